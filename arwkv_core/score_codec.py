"""Scores in a byte each, on a logit scale: what the score store keeps, and what timelines are made of.

The levels lie 0.076 apart in logits where scores matter, and ever further apart below 0.12, where a class is absent
anyway: so a score is off by at most 0.0095, at 0.5, and by less below 0.1, while the noise of the absent classes, most
of all numbers, compresses well. Rounding twice is rounding once.
"""

import numpy as np
from numpy.typing import NDArray

Floats = NDArray[np.float32]
Codes = NDArray[np.uint8]

LARGEST_ERROR = 0.0095
"""Of a score that was rounded."""

_FINE = 0.076  # logits between levels: 0.038 / 4 is the error at 0.5, where the logistic curve is steepest
_COARSE = 1.0  # among scores below 0.01
_FINE_ABOVE, _COARSE_BELOW = (
    -2.0,
    -4.6,
)  # logits: scores 0.12 and 0.01; between them the distance grows evenly
_HIGHEST, _LOWEST = 9.5, -9.6  # logits: scores 0.99993 and 0.00007


def _distance(logit: float) -> float:
    """How far the next lower level lies below a logit."""
    way = (_FINE_ABOVE - logit) / (_FINE_ABOVE - _COARSE_BELOW)
    return float(_FINE * (_COARSE / _FINE) ** min(max(way, 0.0), 1.0))


def _levels() -> NDArray[np.float64]:
    """Logits of all levels, ascending; 0 (a score of 0.5) is one of them."""
    upper = [_FINE * i for i in range(int(_HIGHEST / _FINE) + 1)]
    lower = [0.0]
    while lower[-1] > _LOWEST:
        lower.append(lower[-1] - _distance(lower[-1]))
    return np.array([*reversed(lower[1:]), *upper])


_LOGITS = _levels()
LEVELS: Floats = (1 / (1 + np.exp(-_LOGITS))).astype(np.float32)
"""Score of each code ``(levels,)``, ascending."""

_BORDERS: Floats = (1 / (1 + np.exp(-(_LOGITS[1:] + _LOGITS[:-1]) / 2))).astype(np.float32)


def encode(scores: Floats) -> Codes:
    """Return the code of the level nearest to each score, on the logit scale.

    Parameters
    ----------
    scores : ndarray
        Float32 of any shape, 0 to 1.
    """
    return np.searchsorted(_BORDERS, scores, side="right").astype(np.uint8)


def decode(codes: Codes) -> Floats:
    """Return the scores of codes, in their shape."""
    return LEVELS[codes]


def rounded(scores: Floats) -> Floats:
    """Return scores as they would come back from the store."""
    return decode(encode(scores))

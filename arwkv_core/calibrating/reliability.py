"""How far probabilities can be relied on: how often what was said to be so probable was there."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .evidence import Evidence
from .fit import log_loss

Doubles = NDArray[np.float64]

BINS = 10
"""Of equal width."""

CLOSEST = 2.0**-53
"""A probability is taken to be so far from 0 and 1 at least where its surprise is counted: that is finite then."""

LEAST_PROBABILITY = 0.1
"""Where the error of all classes together begins. Nearly all scores lie below, of classes that nobody hears: counted
in, they would make any model look right."""

LEAST_CLIPS = 5
"""In which a class must sound to count towards the mean over classes."""


@dataclass(frozen=True)
class Bin:
    """Scores between two bounds: their mean, how often the class was there, and how many clips' worth there were."""

    probability: float
    observed: float
    clips: float


@dataclass(frozen=True)
class Reliability:
    """Errors of probabilities.

    Attributes
    ----------
    ece : float
        Expected calibration error of all classes together, of probabilities from 0.1 on: the difference between
        what was said and what was there, mean over the bins, each weighed with its number. NaN if there are none.
    class_ece : float
        The same of each class by itself and of all its probabilities, mean over classes with at least five clips.
    classes : int
        Their number.
    log_loss : float
        Of a clip: mean over its steps, sum over classes.
    bins : tuple of Bin
        Of all classes together; those without scores are left out.
    """

    ece: float
    class_ece: float
    classes: int
    log_loss: float
    bins: tuple[Bin, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        found = asdict(self)
        return {key: None if value != value else value for key, value in found.items()}


def measure(evidence: Evidence, probabilities: Sequence[Doubles]) -> Reliability:
    """Compare probabilities with what was there.

    Parameters
    ----------
    evidence : Evidence
    probabilities : sequence of ndarray
        Of each half, what is said of each level: ``(L, C)``, inside 0 to 1.
    """
    said = np.stack(probabilities)  # (2, L, C)
    which = np.minimum((said * BINS).astype(int), BINS - 1)

    def binned(weights: Doubles, chosen: Any = slice(None)) -> Doubles:
        return np.bincount(which[chosen].ravel(), weights[chosen].ravel(), BINS).astype(np.float64)

    total, predicted, observed = (
        binned(part) for part in (evidence.total, evidence.total * said, evidence.positive)
    )
    read = said >= LEAST_PROBABILITY
    counted = evidence.total[read].sum()
    missed = np.abs(binned(evidence.total * said, read) - binned(evidence.positive, read)).sum()
    (often,) = np.nonzero(evidence.clips.sum(0) >= LEAST_CLIPS)
    by_class = []
    for column in often:
        mine = (slice(None), slice(None), column)
        error = np.abs(binned(evidence.total * said, mine) - binned(evidence.positive, mine)).sum()
        by_class.append(error / evidence.total[mine].sum())
    clips = evidence.total.sum((0, 1)).max(initial=0)
    nearly = np.clip(said, CLOSEST, 1 - CLOSEST)
    logits = np.log(nearly) - np.log1p(-nearly)
    loss = sum(
        log_loss(logits[half], evidence.positive[half], evidence.total[half]) for half in range(len(said))
    )
    return Reliability(
        ece=float(missed / counted) if counted else float("nan"),
        class_ece=float(np.mean(by_class)) if by_class else float("nan"),
        classes=len(often),
        log_loss=float(loss / clips) if clips else float("nan"),
        bins=tuple(
            Bin(float(predicted[i] / total[i]), float(observed[i] / total[i]), float(total[i]))
            for i in range(BINS)
            if total[i]
        ),
    )

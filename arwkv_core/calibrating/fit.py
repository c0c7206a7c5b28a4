"""Fitting curves to evidence: one for all classes, and for each class one that strays from it as far as is justified.

Few clips hold any one class, so a curve has two numbers, and a class's are drawn towards those of all classes: they
are the maximum a posteriori of a logistic regression whose prior is centred on the shared curve. (scikit-learn's
logistic regression has the same likelihood, but a prior around 0 only.) How far classes stray from one another is not
known beforehand: of a few widths, the one is taken whose curves predict the other half of the recordings best.
"""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arwkv_core.calibration import LARGEST
from arwkv_core.score_codec import LEVELS

from .evidence import Evidence

Doubles = NDArray[np.float64]

WIDTHS = (0.03, 0.1, 0.3, 1.0, 3.0)
"""Standard deviations of the prior that are tried, in logits of the offset."""

SLOPE_SHARE = 0.25
"""Standard deviation of the logarithm of a slope, as a share of that: a quarter more or less for one logit."""

SHARED_WIDTH = 1.0
"""Of the prior of the shared curve, which is centred on what changes nothing: slope 1, offset 0."""

MOST_STEPS = 100
"""Of Newton's method, which needs fewer than ten where it gets anywhere."""

CLOSE = 1e-9
"""Change of the numbers at which it ends."""

_LOGITS: Doubles = np.log(LEVELS.astype(np.float64)) - np.log1p(-LEVELS.astype(np.float64))


@dataclass(frozen=True)
class Curves:
    """Slopes and offsets side by side.

    Attributes
    ----------
    slope, offset : ndarray, shape (C,)
    shared : tuple of float
        Slope and offset of all classes together.
    own : ndarray of bool, shape (C,)
        Classes with a curve of their own.
    """

    slope: Doubles
    offset: Doubles
    shared: tuple[float, float]
    own: NDArray[np.bool_]

    def logits(self) -> Doubles:
        """Logits of the probabilities of all levels: ``(L, C)``."""
        return _LOGITS[:, None] * self.slope + self.offset

    def probabilities(self) -> Doubles:
        """Probabilities of all levels: ``(L, C)``."""
        found: Doubles = 1 / (1 + np.exp(-self.logits()))
        return found


def fit_curve(
    positive: Doubles, total: Doubles, centre: tuple[float, float] = (1.0, 0.0), width: float = SHARED_WIDTH
) -> tuple[float, float]:
    """Fit slope and offset to counts.

    Parameters
    ----------
    positive, total : ndarray, shape (L,)
        Of each level: how often the class sounded, and how often the score was that.
    centre : tuple of float
        Slope and offset without evidence.
    width : float
        Standard deviation of the prior, see `WIDTHS`.

    Returns
    -------
    slope, offset : float
        The slope is above 0, whatever the evidence.
    """
    middle = np.array([np.log(centre[0]), centre[1]])
    precision = np.array([(SLOPE_SHARE * width) ** -2, width**-2])

    def loss(at: Doubles) -> float:
        z = np.exp(at[0]) * _LOGITS + at[1]
        fit = total @ np.logaddexp(0, z) - positive @ z
        return float(fit + precision @ (at - middle) ** 2 / 2)

    at, now = middle.copy(), loss(middle)
    for _ in range(MOST_STEPS):
        slope = np.exp(at[0])
        probability = 1 / (1 + np.exp(-(slope * _LOGITS + at[1])))
        jacobian = np.stack([slope * _LOGITS, np.ones_like(_LOGITS)])  # of z
        gradient = jacobian @ (total * probability - positive) + precision * (at - middle)
        curvature = (jacobian * (total * probability * (1 - probability))) @ jacobian.T + np.diag(precision)
        step = np.linalg.solve(curvature, gradient)
        while (then := loss(at - step)) > now and np.abs(step).max() > CLOSE:  # too far
            step /= 2
        if np.abs(step).max() <= CLOSE:
            break
        at, now = at - step, then
    slope, offset = np.clip([np.exp(at[0]), at[1]], [1 / LARGEST, -LARGEST], LARGEST)
    return float(slope), float(offset)


def fit_curves(evidence: Evidence, halves: tuple[int, ...], width: float) -> Curves:
    """Fit the curves of all classes to one half of the recordings, or to both.

    A class that sounded in no clip has the shared curve.
    """
    positive, total = (part[list(halves)].sum(0) for part in (evidence.positive, evidence.total))
    shared = fit_curve(positive.sum(1), total.sum(1))
    own = positive.sum(0) > 0
    found = np.tile(shared, (len(own), 1))
    for column in np.flatnonzero(own):
        found[column] = fit_curve(positive[:, column], total[:, column], shared, width)
    return Curves(found[:, 0], found[:, 1], shared, own)


def log_loss(logits: Doubles, positive: Doubles, total: Doubles) -> float:
    """Negative log likelihood of counts ``(L, C)`` under logits of the same shape, which may be infinite."""
    heard, sounded = total > 0, positive > 0  # else 0 times infinity
    surprise = (total[heard] * np.logaddexp(0, logits[heard])).sum()
    return float(surprise - (positive[sounded] * logits[sounded]).sum())


def crossed(evidence: Evidence, width: float) -> list[Curves]:
    """Of each half, the curves that were fitted to the other."""
    return [fit_curves(evidence, (1 - half,), width) for half in (0, 1)]


def choose_width(evidence: Evidence) -> float:
    """Return the width whose curves, fitted to one half of the recordings, predict the other half best."""

    def missed(width: float) -> float:
        return sum(
            log_loss(curves.logits(), evidence.positive[half], evidence.total[half])
            for half, curves in enumerate(crossed(evidence, width))
        )

    return min(WIDTHS, key=missed)

"""Calibration at work: the curves of a model's classes side by side, for whole arrays of scores."""

from __future__ import annotations

import math
from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from .calibration import Calibration, ClassCurve
from .labels import LabelSet
from .score_codec import LEVELS

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


class ScoreCurves:
    """Turns scores into probabilities, each class by its own curve; see `calibration` for the formula.

    Parameters
    ----------
    curves : sequence of ClassCurve
        One a column of the scores.
    """

    def __init__(self, curves: Sequence[ClassCurve]) -> None:
        self.slope = np.array([curve.slope for curve in curves], np.float64)
        self.offset = np.array([curve.offset for curve in curves], np.float64)

    @classmethod
    def of(cls, calibration: Calibration, labels: LabelSet) -> ScoreCurves:
        """Those of a model's classes, in the order of its scores.

        Raises
        ------
        ConfigError
            If the calibration lacks a class.
        """
        return cls(calibration.of_classes(labels))

    def of_scores(self, scores: Floats) -> Floats:
        """Turn scores into probabilities: ``(..., classes)`` float32, 0 to 1, in their shape.

        In double precision, so that rounding to float32 can't bring two scores out of order.
        """
        exact = scores.astype(np.float64)
        with np.errstate(divide="ignore", over="ignore"):  # of 0 and 1 come 0 and 1
            x = np.divide(exact, 1 - exact)  # odds; 1 - exact is exact, since scores come in float32
            np.log(x, out=x)
            x *= -self.slope
            x -= self.offset
            np.exp(x, out=x)
            x += 1
            return np.divide(1, x, out=x).astype(np.float32)

    def levels(self) -> Floats:
        """Probabilities of the codes of `score_codec`, which kept scores consist of: ``(levels, classes)``."""
        return self.of_scores(np.repeat(LEVELS[:, None], len(self.offset), axis=1))


def score_of(curve: ClassCurve, probability: float) -> float:
    """Return the score to which a curve gives a probability from 0 to 1."""
    if probability in (0.0, 1.0):
        return probability
    logit = (math.log(probability) - math.log1p(-probability) - curve.offset) / curve.slope
    return 1 / (1 + math.exp(-logit)) if logit >= 0 else math.exp(logit) / (1 + math.exp(logit))

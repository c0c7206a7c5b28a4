"""A recording as metrics of detection see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .segments import Span


@dataclass(frozen=True)
class Findings:
    """A recording: what is true, and what a model found there.

    Attributes
    ----------
    seconds : float
    truth, found : list of Span
        Start, end and column.
    """

    seconds: float
    truth: list[Span]
    found: list[Span]


@dataclass(frozen=True)
class Heard(Findings):
    """The same with the scores that decided; spans of one class don't overlap.

    Attributes
    ----------
    scores : ndarray of float32, shape (steps, classes)
    edges : ndarray, shape (steps + 1,)
        Seconds between which the steps lie.
    """

    scores: NDArray[np.float32]
    edges: NDArray[np.float64]

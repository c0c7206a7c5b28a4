"""A recording as metrics of detection see it."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .segments import Span


@dataclass(frozen=True)
class Heard:
    """A recording: what is true, and what a model found there.

    Attributes
    ----------
    name : str
        Different for every recording.
    seconds : float
    truth, found : list of Span
        Start, end and column; those of one class don't overlap.
    scores : ndarray of float32, shape (steps, classes)
    edges : ndarray, shape (steps + 1,)
        Seconds between which the steps lie.
    """

    name: str
    seconds: float
    truth: list[Span]
    found: list[Span]
    scores: NDArray[np.float32]
    edges: NDArray[np.float64]

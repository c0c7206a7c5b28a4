"""Events of one recording as columns of numbers: what is found in its scores, before it gets names."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import STEP_SECONDS

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class Detections:
    """Events as columns, ordered by class, then by start.

    Attributes
    ----------
    steps : int
        Of the recording.
    seconds : float
        Its duration.
    column : ndarray of int64
        ``(events,)`` class.
    first, last : ndarray of int64
        ``(events,)`` first step, and the one after the last.
    mean, max : ndarray of float64
        ``(events,)`` scores; the mean weighs each step with its length.
    """

    steps: int
    seconds: float
    column: Integers
    first: Integers
    last: Integers
    mean: NDArray[np.float64]
    max: NDArray[np.float64]

    def __len__(self) -> int:
        return len(self.column)

    @property
    def start(self) -> NDArray[np.float64]:
        """``(events,)`` seconds, as `scores.step_edges` has them."""
        return self.first.astype(np.float64) * STEP_SECONDS

    @property
    def end(self) -> NDArray[np.float64]:
        """``(events,)`` seconds; an event that reaches the last step ends with the recording."""
        return step_ends(self.last, self.steps, self.seconds)

    def pick(self, index: NDArray[np.bool_]) -> Detections:
        """Return some of the events."""
        columns = (getattr(self, key)[index] for key in ("column", "first", "last", "mean", "max"))
        return Detections(self.steps, self.seconds, *columns)


def step_ends(last: Integers, steps: int, seconds: float) -> NDArray[np.float64]:
    """Times at which the steps before ``last`` end, in a recording of ``steps`` steps and ``seconds``."""
    ends: NDArray[np.float64] = np.where(last == steps, seconds, last * STEP_SECONDS)
    return ends

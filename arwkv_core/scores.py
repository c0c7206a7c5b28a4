"""Scores of a recording's steps: kept in memory, or summed up as they come."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import STEP_SECONDS
from .results import Coverage

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


def step_edges(steps: int, seconds: float) -> Doubles:
    """Return the times between which steps lie.

    Steps are 160 ms long, but for the last, which ends with the recording: it lasts 25 to 185 ms.

    Parameters
    ----------
    steps : int
        At least 1.
    seconds : float
        Duration of the recording.

    Returns
    -------
    ndarray
        ``(steps + 1,)`` seconds, from 0 to ``seconds``.
    """
    edges: Doubles = np.arange(steps + 1, dtype=np.float64) * STEP_SECONDS
    edges[-1] = seconds
    return edges


@dataclass(frozen=True)
class StepScores:
    """All scores of a recording.

    Parameters
    ----------
    values : ndarray
        ``(steps, classes)`` float32, 0 to 1.
    coverage : Coverage
    warnings : list of str
    """

    values: Floats
    coverage: Coverage
    warnings: list[str]

    @property
    def edges(self) -> Doubles:
        """Times between which the steps lie ``(steps + 1,)``, in seconds."""
        return step_edges(len(self.values), self.coverage.decoded_seconds)


@dataclass(frozen=True)
class Summary:
    """Each class over a whole recording.

    Parameters
    ----------
    mean, max : ndarray
        ``(classes,)`` scores; the mean weighs each step with its length.
    active_seconds : ndarray
        ``(classes,)`` seconds of the steps whose score reaches the threshold.
    """

    mean: Doubles
    max: Floats
    active_seconds: Doubles


class SummaryBuilder:
    """Sum up step scores block by block, in memory that does not grow with the recording.

    Parameters
    ----------
    classes : int
    active_threshold : float
        Score from which a step is active.
    """

    def __init__(self, classes: int, active_threshold: float) -> None:
        self.active_threshold = active_threshold
        self.steps = 0
        self._sum = np.zeros(classes)
        self._max = np.zeros(classes, np.float32)
        self._active = np.zeros(classes, np.int64)  # steps
        # the step received last, if any: its length is known at the end only
        self._last = np.zeros((0, classes), np.float32)

    def add(self, scores: Floats) -> None:
        """Take the next steps ``(steps, classes)``."""
        if len(scores) == 0:
            return
        whole = np.concatenate([self._last, scores[:-1]])
        self._last = scores[-1:].copy()
        self._sum += whole.sum(axis=0, dtype=np.float64)
        self._active += (whole >= self.active_threshold).sum(axis=0)
        self._max = np.maximum(self._max, scores.max(axis=0))
        self.steps += len(scores)

    def finish(self, seconds: float) -> Summary:
        """Sum up a recording that lasts ``seconds``.

        Raises
        ------
        ValueError
            If there were no steps.
        """
        if self.steps == 0:
            raise ValueError("no steps to sum up")
        start = (self.steps - 1) * STEP_SECONDS
        rest = seconds - start  # length of the last step
        last = self._last[0]
        active = self._active * STEP_SECONDS + (last >= self.active_threshold) * rest
        return Summary(
            mean=(self._sum * STEP_SECONDS + last * rest) / seconds,
            max=self._max,
            active_seconds=np.minimum(active, seconds),  # sums may round up by an ulp
        )

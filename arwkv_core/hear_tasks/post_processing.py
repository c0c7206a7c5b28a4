"""From a predictor's scores to events, as HEAR makes them: smoothed, decided, and the short ones left out."""

from __future__ import annotations

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.evaluation.segments import SLACK_SECONDS, Span

THRESHOLD = 0.5
"""A class sounds where its smoothed score is higher."""


@dataclass(frozen=True)
class PostProcessing:
    """How events are made of scores.

    Parameters
    ----------
    median_filter_ms : float
        Length of the median filter over a class's scores, rounded to whole steps; 0 for none.
    min_duration : float
        Milliseconds; shorter events are left out.
    """

    median_filter_ms: float
    min_duration: float


DEFAULT_GRID = (PostProcessing(250.0, 125.0), PostProcessing(250.0, 250.0))
"""What is tried where a task does not say what to try; the same as in HEAR's kit."""


def step_middles(steps: int) -> NDArray[np.float64]:
    """The times that HEAR's timestamps of our embeddings are, in seconds ``(steps,)``."""
    middles: NDArray[np.float64] = (np.arange(steps, dtype=np.float64) + 0.5) * STEP_SECONDS
    return middles


def find_events(scores: NDArray[np.floating], post_processing: PostProcessing) -> list[Span]:
    """Find events in the scores of one recording.

    An event begins at the middle of its first step and ends at the middle of its last, as in HEAR, so that an event of
    a single step has no duration.

    Parameters
    ----------
    scores : ndarray, shape (steps, classes)
    post_processing : PostProcessing

    Returns
    -------
    list of Span
        In the order of the classes, and of time.
    """
    from scipy.ndimage import median_filter

    width = round(post_processing.median_filter_ms / (1000 * STEP_SECONDS))
    smooth = median_filter(scores, size=(width, 1)) if width > 1 else scores
    sounding = np.pad(smooth > THRESHOLD, ((1, 1), (0, 0)))
    change = np.diff(sounding.astype(np.int8), axis=0).T  # (classes, steps + 1)
    columns, first = np.nonzero(change == 1)
    _, after = np.nonzero(change == -1)
    middles = step_middles(len(scores))
    starts, ends = middles[first], middles[after - 1]
    long = ends - starts >= post_processing.min_duration / 1000 - SLACK_SECONDS
    return [
        (float(start), float(end), int(column))
        for start, end, column in zip(starts[long], ends[long], columns[long], strict=True)
    ]

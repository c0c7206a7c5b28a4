"""A recording cut into segments of one length: in which of them a class sounds, and what the model says of each.

As in sed_eval and sed_scores_eval: a class sounds in a segment if one of its events does, however briefly, and the
score of a segment is the highest of the steps that it touches.
"""

from __future__ import annotations

import math
from collections.abc import Iterable, Sequence

import numpy as np
from numpy.typing import NDArray

from arwkv_core.metrics import average_precision

SEGMENT_SECONDS = 1.0

SLACK_SECONDS = 1e-6
"""Times that differ by less are the same: annotations have six decimals at most."""

Span = tuple[float, float, int]
"""Start and end in seconds, and the class's column."""


def segment_count(seconds: float, length: float = SEGMENT_SECONDS) -> int:
    """How many segments a recording has; the last may be cut short by its end."""
    return max(1, math.ceil((seconds - SLACK_SECONDS) / length))


def segment_truth(
    events: Iterable[Span], classes: int, seconds: float, length: float = SEGMENT_SECONDS
) -> NDArray[np.bool_]:
    """In which segments which classes sound.

    Parameters
    ----------
    events : iterable of (start, end, column)
        What lies behind the recording's end is left out.
    classes : int
    seconds : float
        Of the recording.
    length : float
        Of a segment, in seconds.

    Returns
    -------
    ndarray of bool, shape (segments, classes)
    """
    count = segment_count(seconds, length)
    truth = np.zeros((count, classes), bool)
    for start, end, column in events:
        first = math.floor((start + SLACK_SECONDS) / length)
        last = math.ceil((end - SLACK_SECONDS) / length)
        truth[first : max(last, first + 1), column] = True
    return truth


def segment_scores(
    values: NDArray[np.floating], edges: NDArray[np.floating], length: float = SEGMENT_SECONDS
) -> NDArray[np.floating]:
    """Score each segment by the highest of its steps.

    Parameters
    ----------
    values : ndarray, shape (steps, classes)
    edges : ndarray, shape (steps + 1,)
        Seconds between which the steps lie, from 0 to the recording's end.
    length : float
        Of a segment, in seconds.

    Returns
    -------
    ndarray, shape (segments, classes)
    """
    count = segment_count(float(edges[-1]), length)
    starts = np.arange(count) * length
    first = np.searchsorted(edges[1:], starts + SLACK_SECONDS, side="right")
    last = np.searchsorted(edges[:-1], starts + length - SLACK_SECONDS, side="left")
    scores: NDArray[np.floating] = np.stack(
        [values[a:b].max(0) for a, b in zip(first, np.maximum(last, first + 1), strict=True)]
    )
    return scores


def segment_average_precision(
    truth: Sequence[NDArray[np.bool_]], scores: Sequence[NDArray[np.floating]]
) -> NDArray[np.float64]:
    """Average precision of each class over the segments of all recordings.

    Parameters
    ----------
    truth, scores : sequence of ndarray, shape (segments, classes)
        One a recording.

    Returns
    -------
    ndarray, shape (classes,)
        NaN where a class never sounds.
    """
    all_truth, all_scores = np.concatenate(truth), np.concatenate(scores)
    return np.array([average_precision(all_truth[:, k], all_scores[:, k]) for k in range(all_truth.shape[1])])

"""F1 and error rate of decisions: by segments of one length, and event by event.

As sed_eval computes them, the field's own program, which can't be imported any more beside a current setuptools. One
thing is mended on the way: it leaves a class that was never found out of its mean over the classes, so that saying
nothing helps. Here such a class counts 0. Times that differ by less than a microsecond are the same, while there a
collar that is met exactly is met or missed by rounding.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .event_matching import Times, count_matches
from .heard import Findings
from .segments import Span, segment_truth

Integers = NDArray[np.int64]


@dataclass(frozen=True)
class FScores:
    """F1: of all decisions together, the mean over the classes that sound somewhere, and of each class."""

    micro: float
    macro: float
    classes: tuple[float, ...]


def segment_f1(recordings: Sequence[Findings], classes: int, length: float) -> FScores:
    """Segment-based F1: a decision for each class and each segment of ``length`` seconds.

    Parameters
    ----------
    recordings : sequence of Findings
    classes : int
        How many.
    length : float
    """
    hits, true, found = np.zeros((3, classes), np.int64)
    for truth, decisions in _segments(recordings, classes, length):
        hits += (truth & decisions).sum(0)
        true += truth.sum(0)
        found += decisions.sum(0)
    return _f_scores(hits, true, found)


def segment_error_rate(recordings: Sequence[Findings], classes: int, length: float) -> float:
    """Segment-based error rate: what must be changed, put in and taken out, as a share of what is true.

    A missed and a false class of one segment make one error, a substitution.

    Parameters
    ----------
    recordings, classes, length
        See `segment_f1`.

    Returns
    -------
    float
        From 0 on; may be above 1. NaN where nothing is true.
    """
    errors = true = 0
    for truth, decisions in _segments(recordings, classes, length):
        missed, false = (truth & ~decisions).sum(1), (decisions & ~truth).sum(1)
        errors += int(np.maximum(missed, false).sum())
        true += int(truth.sum())
    return errors / true if true else math.nan


def event_f1(
    recordings: Sequence[Findings], classes: int, collar: float, offset_share: float | None
) -> FScores:
    """Event-based F1: an event counts if class, onset and offset are right.

    Parameters
    ----------
    recordings : sequence of Findings
    classes : int
        How many.
    collar : float
        Seconds by which an onset may be off, and an offset at least.
    offset_share : float or None
        Share of the true event's length by which its offset may be off, if that is more; None where offsets don't
        matter.
    """
    hits, true, found = np.zeros((3, classes), np.int64)
    for recording in recordings:
        one, two = _by_class(recording.truth, classes), _by_class(recording.found, classes)
        true += [len(times) for times in one]
        found += [len(times) for times in two]
        hits += [count_matches(*pair, collar, offset_share) for pair in zip(one, two, strict=True)]
    return _f_scores(hits, true, found)


def _by_class(spans: Sequence[Span], classes: int) -> list[list[Times]]:
    """Times of the events of each class."""
    times: list[list[Times]] = [[] for _ in range(classes)]
    for start, end, column in spans:
        times[column].append((start, end))
    return times


def _segments(
    recordings: Sequence[Findings], classes: int, length: float
) -> list[tuple[NDArray[np.bool_], NDArray[np.bool_]]]:
    """In which segments of each recording which classes sound, and are found ``(segments, classes)``."""
    return [
        (
            segment_truth(each.truth, classes, each.seconds, length),
            segment_truth(each.found, classes, each.seconds, length),
        )
        for each in recordings
    ]


def _f_scores(hits: Integers, true: Integers, found: Integers) -> FScores:
    by_class = 2 * hits / np.maximum(true + found, 1)
    sounding = by_class[true > 0]
    return FScores(
        micro=float(2 * hits.sum() / max(true.sum() + found.sum(), 1)),
        macro=float(sounding.mean()) if len(sounding) else math.nan,
        classes=tuple(by_class.tolist()),
    )

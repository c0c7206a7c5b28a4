"""Each sound reported once: a class only where no class below it in the ontology explains it.

A model that hears a dog hears an animal too, and says both. Reported is the more exact one: from the events of a class,
those of all reported classes below it are taken away. What is left of an event at the side of such an explained part is
dropped if it is shorter than the class's minimum duration, or no longer than a gap that would be merged: thresholds
are crossed a little earlier by one class than by the other, and nothing sounds in these slivers that was not explained.

What explains is what was found, before anything was taken away. So no instant is reported as both a class and its
ancestor, and each instant that was reported at all still is, but for slivers.
"""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable, Sequence

import numpy as np

from .constants import STEP_SECONDS
from .detections import Detections
from .event_settings import SLACK, Thresholds
from .ontology import Ontology
from .score_trace import ScoreTrace
from .scores import step_edges

Spans = list[tuple[int, int]]
"""Steps from the first of each pair to before the second; sorted and apart."""


def classes_below(mids: Sequence[str], ontology: Ontology) -> dict[int, list[int]]:
    """Which of some classes lie below which others.

    Parameters
    ----------
    mids : sequence of str
        Those that the ontology doesn't know lie below none.
    ontology : Ontology

    Returns
    -------
    dict of int to list of int
        For each class that has any, the indices of those below it, in the order of ``mids``.
    """
    below: dict[int, list[int]] = {}
    index = {mid: i for i, mid in enumerate(mids)}
    for i, mid in enumerate(mids):
        for ancestor in ontology.ancestors(mid) if mid in ontology else ():
            if ancestor in index and index[ancestor] != i:
                below.setdefault(index[ancestor], []).append(i)
    return below


def roll_up(
    found: Detections, below: dict[int, list[int]], thresholds: Thresholds, trace: ScoreTrace
) -> Detections:
    """Take from the events of each class what classes below it explain.

    Parameters
    ----------
    found : Detections
    below : dict of int to list of int
        See `classes_below`.
    thresholds : Thresholds
        By which the events were found.
    trace : ScoreTrace
        Scores of the classes in ``below``, for the mean and the maximum of what is left.

    Returns
    -------
    Detections
    """
    spans: dict[int, Spans] = {}
    for column, first, last in zip(
        found.column.tolist(), found.first.tolist(), found.last.tolist(), strict=True
    ):
        spans.setdefault(column, []).append((first, last))
    edges = step_edges(found.steps, found.seconds)
    kept = np.ones(len(found), np.bool_)
    left: list[tuple[int, int, int, float, float]] = []  # column, first, last, mean, max
    for column, under in below.items():
        if column not in spans:
            continue
        explained = union(span for child in under for span in spans.get(child, ()))
        if not explained:
            continue
        least, gap = float(thresholds.min_duration[column]), int(thresholds.merge_steps[column])
        mine = np.flatnonzero(found.column == column)
        for event, span in zip(mine.tolist(), spans[column], strict=True):
            rest = subtract(span, explained)
            if rest == [span]:
                continue
            kept[event] = False
            for first, last in rest:
                if last - first > gap and edges[last] - edges[first] >= least - SLACK * STEP_SECONDS:
                    scores = trace.scores(column, first, last).astype(np.float64)
                    lengths = np.diff(edges[first : last + 1])
                    highest = float(scores.max())
                    mean = min(float(scores @ lengths / lengths.sum()), highest)
                    left.append((column, first, last, mean, highest))
    columns = [
        np.concatenate([getattr(found, key)[kept], np.array([row[i] for row in left], kind)])
        for i, (key, kind) in enumerate(_COLUMNS.items())
    ]
    order = np.lexsort((columns[1], columns[0]))
    return Detections(found.steps, found.seconds, *(column[order] for column in columns))


_COLUMNS = {"column": np.int64, "first": np.int64, "last": np.int64, "mean": np.float64, "max": np.float64}


def union(spans: Iterable[tuple[int, int]]) -> Spans:
    """Put spans together, whatever their order; those that touch become one."""
    joined: Spans = []
    for first, last in sorted(spans):
        if joined and first <= joined[-1][1]:
            joined[-1] = (joined[-1][0], max(last, joined[-1][1]))
        else:
            joined.append((first, last))
    return joined


def subtract(span: tuple[int, int], others: Spans) -> Spans:
    """Return what is left of a span without ``others``, which are sorted and apart."""
    first, last = span
    rest: Spans = []
    for begin, end in others[max(bisect_right(others, span) - 1, 0) :]:
        if begin >= last:
            break
        if begin > first:
            rest.append((first, begin))
        first = max(first, end)
    if first < last:
        rest.append((first, last))
    return rest

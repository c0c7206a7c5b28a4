"""Events found the slow and plain way, one class and one step at a time: what the quick way is held against."""

from dataclasses import dataclass

import numpy as np

from arwkv_core.scores import step_edges


@dataclass(frozen=True)
class PlainEvent:
    """Steps from ``first`` to before ``last``, with the scores of `Detections`."""

    first: int
    last: int
    start: float
    end: float
    mean: float
    max: float


def plain_median(scores: np.ndarray, window: int) -> list[float]:
    """Running median whose window shrinks symmetrically at the ends."""
    smooth = []
    for i in range(len(scores)):
        side = min(window // 2, i, len(scores) - 1 - i)
        smooth.append(float(np.median(scores[i - side : i + side + 1])))
    return smooth


def plain_events(
    scores: np.ndarray, seconds: float, on: float, off: float, window: int, min_duration: float, merge: int
) -> list[PlainEvent]:
    """Events of one class from its ``(steps,)`` scores; ``merge`` is in steps."""
    on, off = float(np.float32(on)), float(np.float32(off))
    runs: list[list[int]] = []
    sounding = False
    for i, score in enumerate(plain_median(scores, window)):
        if not sounding and score >= on:
            sounding = True
            runs.append([i, i])
        if sounding and score < off:
            sounding = False
        if sounding:
            runs[-1][1] = i + 1
    merged: list[list[int]] = []
    for run in runs:
        if merged and run[0] - merged[-1][1] <= merge:
            merged[-1][1] = run[1]
        else:
            merged.append(run)
    edges = step_edges(len(scores), seconds)
    lengths = np.diff(edges)
    events = []
    for first, last in merged:
        if edges[last] - edges[first] >= min_duration - 1e-6:
            here = scores[first:last].astype(np.float64)
            mean = float((here * lengths[first:last]).sum() / lengths[first:last].sum())
            events.append(PlainEvent(first, last, edges[first], edges[last], mean, float(here.max())))
    return events

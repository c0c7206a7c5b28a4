"""From step scores to events: running median, hysteresis, merging, minimum duration, in this order.

Of each class by itself:

1. **Median**: each step's score becomes the median of the steps around it. Near the recording's ends the window
   shrinks, symmetrically: the first and the last step stay as they are.
2. **Hysteresis**: an event starts where the smoothed score reaches ``on``, and ends where it falls below ``off``.
3. **Merging**: events with a gap between them that is not longer than ``merge_gap`` become one, gap included.
4. **Minimum duration**: what is shorter then is dropped.

The mean and the maximum of an event are those of the scores as they came, not smoothed, over all of its steps.

Only whether a median reaches a threshold matters, and it does if more than half of the scores in its window do. So
medians are never computed: scores are compared first, and what is smoothed are yes and no, by counting.

Letters in shape comments: B rows of scores held, C classes, K of them at work, T steps decided at once.
"""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from .constants import STEP_SECONDS
from .detections import Detections, step_ends
from .event_settings import SLACK, Thresholds
from .score_trace import ScoreTrace

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Integers = NDArray[np.int64]

CHUNK_STEPS = 1024
"""Steps decided at once (164 s): 2 MB of scores, which fit a processor's cache."""

SUM_SCALE = 2**36
"""Scores are summed as integers of so many a unit: exact whatever the order, for 200 days."""


@dataclass
class _Runs:
    """Stretches of steps in which classes are on; with ``total``, the sum of scores, in units of `SUM_SCALE`."""

    row: Integers
    first: Integers
    last: Integers
    total_first: Integers  # sum of the class's scores before the run
    total_last: Integers  # and at its end
    max: Floats

    def pick(self, index: Flags | Integers) -> _Runs:
        return _Runs(*(getattr(self, key)[index] for key in self.__dataclass_fields__))


class EventDetector:
    """Find events in a stream of step scores. Memory grows with the number of events alone.

    Any division of the same scores into blocks gives the same events.

    Parameters
    ----------
    thresholds : Thresholds
        One entry a class.
    trace : ScoreTrace, optional
        Takes the scores of its classes wherever an event may be.
    """

    def __init__(self, thresholds: Thresholds, trace: ScoreTrace | None = None) -> None:
        self.thresholds, self.trace = thresholds, trace
        self.steps = 0  # received
        self._halves = thresholds.median_steps // 2
        self._margin = int(self._halves.max(initial=0))
        self._decided = 0  # steps whose events are known
        classes, room = len(thresholds), CHUNK_STEPS + 2 * self._margin
        self._scores = np.zeros((room, classes), np.float32)  # (B, C)
        self._high = np.zeros((room, classes), np.bool_)  # score >= on
        self._low = np.zeros((room, classes), np.bool_)  # score >= off
        self._held = 0  # rows in use
        # of each class: whether it is on at the last decided step, and the run that may still grow or be merged
        self._open = np.zeros(classes, np.bool_)
        self._pending = np.zeros(classes, np.bool_)
        none = np.zeros(classes, np.int64)
        self._run = _Runs(none, none.copy(), none.copy(), none.copy(), none.copy(), none.astype(np.float32))
        self._gap_max = np.zeros(classes, np.float32)  # of the scores since that run
        self._total = np.zeros(classes, np.int64)  # sum of scores, since the class came to work
        self._found: list[_Runs] = []

    def add(self, scores: Floats, high: Flags | None = None, low: Flags | None = None) -> None:
        """Take the next steps.

        Parameters
        ----------
        scores : ndarray
            ``(steps, classes)`` float32, 0 to 1; with a trace, as `score_codec.rounded` gives them.
        high, low : ndarray of bool, optional
            ``(steps, classes)``: whether a step starts an event, and whether it continues one; what is high must
            be low. By default, scores are compared with the thresholds.
        """
        if scores.ndim != 2 or scores.shape[1] != len(self.thresholds):
            raise ValueError(f"scores: expected (steps, {len(self.thresholds)}), found {scores.shape}")
        given = 0
        while given < len(scores):
            count = min(len(scores) - given, len(self._scores) - self._held)
            take, place = slice(given, given + count), slice(self._held, self._held + count)
            self._scores[place] = scores[take]
            if high is None or low is None:
                np.greater_equal(self._scores[place], self.thresholds.on, out=self._high[place])
                np.greater_equal(self._scores[place], self.thresholds.off, out=self._low[place])
            else:
                self._high[place], self._low[place] = high[take], low[take]
            given += count
            self._held += count
            self.steps += count
            if self._held == len(self._scores):
                self._decide(self.steps - self._margin)
                self._forget()

    def finish(self, seconds: float) -> Detections:
        """Return all events of a recording that lasts ``seconds``.

        Raises
        ------
        ValueError
            If there were no steps, or if the last would begin after the recording's end.
        """
        if self.steps == 0 or not (self.steps - 1) * STEP_SECONDS < seconds:
            raise ValueError(f"expected at least a step and its duration, found {self.steps} in {seconds} s")
        final_scores = self._scores[self._held - 1].astype(np.float64)
        self._decide(self.steps)
        waiting = np.flatnonzero(self._pending)
        parts = [*self._found, dataclasses.replace(self._run.pick(waiting), row=waiting)]
        runs = _Runs(
            *(np.concatenate([getattr(p, key) for p in parts]) for key in parts[0].__dataclass_fields__)
        )
        runs = runs.pick(np.lexsort((runs.first, runs.row)))
        ends = step_ends(runs.last, self.steps, seconds)
        lengths = ends - runs.first * STEP_SECONDS
        longer = seconds - self.steps * STEP_SECONDS  # the last step, than others
        total = (runs.total_last - runs.total_first) / SUM_SCALE * STEP_SECONDS
        total += np.where(runs.last == self.steps, final_scores[runs.row] * longer, 0)
        found = Detections(
            steps=self.steps,
            seconds=seconds,
            column=runs.row,
            first=runs.first,
            last=runs.last,
            mean=np.minimum(total / lengths, runs.max),  # a mean of equal scores may round up by an ulp
            max=runs.max.astype(np.float64),
        )
        # of events with the last step, only now the length is known
        return found.pick(lengths >= self.thresholds.min_duration[runs.row] - SLACK * STEP_SECONDS)

    def _forget(self) -> None:
        """Keep of the rows those that bear on steps that are not decided, and the last, which `finish` needs."""
        first = max(self._decided - max(self._margin, 1), 0) - (self.steps - self._held)  # row
        count = self._held - first
        for held in (self._scores, self._high, self._low):
            held[:count] = held[first : self._held].copy()
        self._held = count

    def _decide(self, until: int) -> None:
        """Find the runs among the steps from `_decided` to ``until``."""
        count = until - self._decided  # T
        if count <= 0:
            return
        active = np.flatnonzero(self._high[: self._held].any(axis=0) | self._pending)  # (K,)
        if len(active):
            skip = self._decided - (self.steps - self._held)
            scores = np.zeros((len(active), count + 1), np.float32)  # (K, T + 1): the last, of 0, parts rows
            scores[:, :count] = self._scores[skip : skip + count, active].T
            if self.trace is not None:
                self.trace.add(active, self._decided, scores[:, :count])
            self._put_together(active, scores, *self._find_runs(active, skip, count), until)
        self._decided = until

    def _find_runs(self, active: Integers, skip: int, count: int) -> tuple[Integers, Integers, Integers]:
        """Hysteresis: rows, first and last steps (counted from `_decided`) of runs, by row and time."""
        stride = count + 1
        high, low = (np.zeros((len(active), stride), np.int8) for _ in range(2))  # (K, T + 1)
        for half in np.unique(self._halves[active]):
            rows = np.flatnonzero(self._halves[active] == half)
            for held, smooth in ((self._high, high), (self._low, low)):
                flags = held[: self._held, active[rows]].T  # (rows, B)
                smooth[rows, :count] = running_majority(flags, int(half), skip, count)
        change = np.diff(low.ravel(), prepend=0)
        begins, ends = np.flatnonzero(change == 1), np.flatnonzero(change == -1)  # of being at or above off
        peaks = np.append(np.flatnonzero(high), high.size)
        first = peaks[np.searchsorted(peaks, begins)]  # the first peak in or after each
        goes_on = (begins % stride == 0) & self._open[active[begins // stride]]
        first = np.where(goes_on, begins, first)
        on = first < ends
        return begins[on] // stride, first[on] % stride, ends[on] - begins[on] // stride * stride

    def _put_together(
        self,
        active: Integers,
        scores: Floats,
        row: Integers,
        first: Integers,
        last: Integers,
        until: int,
    ) -> None:
        """Merge runs with one another and with those that wait; note the ones that are over."""
        count = scores.shape[1] - 1
        totals = self._sum_up(active, scores)
        waiting = np.flatnonzero(self._pending[active])  # rows
        held = self._run.pick(active[waiting])
        held.row = waiting
        new = _Runs(
            row,
            first + self._decided,
            last + self._decided,
            totals[row, first],
            totals[row, last],
            np.zeros(len(row), np.float32),
        )
        runs = _Runs(
            *(np.concatenate([getattr(held, key), getattr(new, key)]) for key in held.__dataclass_fields__)
        )
        if len(runs.row) == 0:  # what was above a threshold was smoothed away
            return
        order = np.argsort(runs.row, kind="stable")  # a run that waits comes before the new ones of its class
        runs = runs.pick(order)
        from_before = order < len(waiting)

        merge = self.thresholds.merge_steps[active][runs.row]
        apart = np.ones(len(runs.row), np.bool_)
        apart[1:] = (runs.row[1:] != runs.row[:-1]) | (runs.first[1:] - runs.last[:-1] > merge[1:])
        heads = np.flatnonzero(apart)
        tails = np.append(heads[1:], len(apart)) - 1
        joined = runs.pick(heads)
        joined.last, joined.total_last = runs.last[tails], runs.total_last[tails]

        from_before, grown = from_before[heads], heads != tails
        begin = np.maximum(joined.first - self._decided, 0)
        end = np.maximum(joined.last - self._decided, 0)
        gap_max = self._gap_max[active][joined.row]
        here = np.where(end > begin, _range_max(scores, joined.row, begin, end), 0)
        before = np.where(from_before, np.maximum(joined.max, np.where(grown, gap_max, 0)), 0)
        joined.max = np.maximum(here, before).astype(np.float32)

        latest = np.append(joined.row[1:] != joined.row[:-1], True)
        gap = until - joined.last
        stays = latest & (gap <= self.thresholds.merge_steps[active][joined.row])
        since = _range_max(scores, joined.row, end, np.full(len(end), count))
        since = np.maximum(since, np.where(from_before & ~grown, gap_max, 0))
        self._keep(active, joined.pick(stays), since[stays])
        self._open[active] = False
        self._open[active[row[last == count]]] = True
        self._note(active, joined.pick(~stays))

    def _sum_up(self, active: Integers, scores: Floats) -> Integers:
        """Sums of the classes' scores before each step ``(K, T + 1)``, in units of `SUM_SCALE`."""
        totals = np.zeros(scores.shape, np.int64)
        np.cumsum((scores[:, :-1] * SUM_SCALE).astype(np.int64), axis=1, out=totals[:, 1:])
        self._total[active[~self._pending[active]]] = 0
        totals += self._total[active][:, None]
        self._total[active] = totals[:, -1]
        return totals

    def _keep(self, active: Integers, runs: _Runs, gap_max: Floats) -> None:
        self._pending[active] = False
        classes = active[runs.row]
        self._pending[classes] = True
        for key in runs.__dataclass_fields__:
            getattr(self._run, key)[classes] = getattr(runs, key)
        self._gap_max[classes] = gap_max

    def _note(self, active: Integers, runs: _Runs) -> None:
        runs.row = active[runs.row]
        # none of them holds the last step, whose length isn't known
        runs = runs.pick(runs.last - runs.first >= self.thresholds.min_steps[runs.row])
        if len(runs.row):
            self._found.append(runs)


def running_majority(flags: Flags, half: int, skip: int, count: int) -> Flags:
    """Whether more than half of the steps around each are set.

    Parameters
    ----------
    flags : ndarray
        ``(rows, steps)``
    half : int
        Steps on either side; fewer, on both sides, where there are no more.
    skip, count : int
        Which steps to return.

    Returns
    -------
    ndarray
        ``(rows, count)``
    """
    if half == 0:
        return flags[:, skip : skip + count]
    steps = flags.shape[1]
    sums = np.zeros((len(flags), steps + 1), np.int32)
    np.cumsum(flags, axis=1, dtype=np.int32, out=sums[:, 1:])
    result = np.empty((len(flags), count), np.bool_)
    low, high = max(skip, half), max(min(skip + count, steps - half), max(skip, half))  # with a whole window
    inner = sums[:, low + half + 1 : high + half + 1] - sums[:, low - half : high - half]
    result[:, low - skip : high - skip] = inner > half
    for step in (*range(skip, min(low, skip + count)), *range(high, skip + count)):
        side = min(step, steps - 1 - step, half)
        result[:, step - skip] = sums[:, step + side + 1] - sums[:, step - side] > side
    return result


def _range_max(scores: Floats, row: Integers, begin: Integers, end: Integers) -> Floats:
    """Maxima of ``scores[row, begin:end]``; the score at ``begin`` where the range is empty."""
    index = np.stack([begin, end], axis=1) + (row * scores.shape[1])[:, None]
    maxima: Floats = np.maximum.reduceat(scores.ravel(), index.ravel())[::2]
    return maxima

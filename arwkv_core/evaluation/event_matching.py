"""Which found events are which true ones: as many pairs as there can be, no event in two of them."""

from __future__ import annotations

from bisect import bisect_left, bisect_right
from collections import deque
from collections.abc import Sequence

from .segments import SLACK_SECONDS

Times = tuple[float, float]
"""Start and end of an event, in seconds."""


def count_matches(
    truth: Sequence[Times], found: Sequence[Times], collar: float, offset_share: float | None
) -> int:
    """Count the events of one class in one recording that were found.

    Parameters
    ----------
    truth, found : sequence of (start, end)
        In any order.
    collar : float
        Seconds by which an onset may be off, and an offset at least.
    offset_share : float or None
        Share of the true event's length by which its offset may be off, if that is more; None where offsets don't
        matter.

    Returns
    -------
    int
        Pairs of a true and a found event that fit; with any other choice of pairs there are no more.
    """
    found = sorted(found)
    onsets = [start for start, _ in found]
    fitting = []
    for start, end in truth:
        reach = collar + SLACK_SECONDS
        near = range(bisect_left(onsets, start - reach), bisect_right(onsets, start + reach))
        if offset_share is not None:
            allowed = max(collar, offset_share * (end - start)) + SLACK_SECONDS
            fitting.append([place for place in near if abs(found[place][1] - end) <= allowed])
        else:
            fitting.append(list(near))
    pairs = _Pairs(fitting)
    return sum(pairs.pair(index) for index in range(len(truth)))


class _Pairs:
    """Pairs that grow one by one along augmenting paths.

    Parameters
    ----------
    fitting : sequence of sequences of int
        For each true event the found ones that it could be paired with.
    """

    def __init__(self, fitting: Sequence[Sequence[int]]) -> None:
        self.fitting = fitting
        self.true_of: dict[int, int] = {}  # found event -> true event
        self.found_of: dict[int, int] = {}

    def pair(self, first: int) -> bool:
        """Pair one more true event, if need be by giving others that have a found one another."""
        wanted_by: dict[int, int] = {}  # found event -> true event that would take it
        waiting = deque([first])
        while waiting:
            index = waiting.popleft()
            for place in self.fitting[index]:
                if place in wanted_by:
                    continue
                wanted_by[place] = index
                if place not in self.true_of:
                    self._take(place, wanted_by)
                    return True
                waiting.append(self.true_of[place])
        return False

    def _take(self, free: int, wanted_by: dict[int, int]) -> None:
        place: int | None = free
        while place is not None:
            taker = wanted_by[place]
            given_up = self.found_of.get(taker)
            self.true_of[place], self.found_of[taker] = taker, place
            place = given_up

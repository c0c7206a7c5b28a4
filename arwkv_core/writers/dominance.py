"""From events that overlap to chapters that don't: what leads each stretch of a recording, without flicker."""

import heapq
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import pairwise

Span = tuple[int, int, str, float]  # start and end in ticks, name, score


@dataclass
class Stretch:
    """A stretch of a recording that one name stands for, from ``start`` to ``end`` in ticks."""

    start: int
    end: int
    name: str


def dominant(spans: Iterable[Span]) -> list[Stretch]:
    """Return who leads when: at any moment, of the events that sound, that with the highest score.

    Among equals, the one that began first leads, then the first by name. Stretches of one name that touch are
    one; where nothing sounds there is none.
    """
    events = sorted(spans)
    edges = sorted({edge for start, end, _, _ in events for edge in (start, end)})
    found: list[Stretch] = []
    sounding: list[tuple[float, int, str, int]] = []  # best first: minus score, start, name, end
    coming = 0
    for start, end in pairwise(edges):
        while coming < len(events) and events[coming][0] <= start:
            began, ends, name, score = events[coming]
            heapq.heappush(sounding, (-score, began, name, ends))
            coming += 1
        while sounding and sounding[0][3] <= start:
            heapq.heappop(sounding)
        if sounding:
            _append(found, Stretch(start, end, sounding[0][2]))
    return found


def without_gaps(stretches: list[Stretch], shortest: int, end: int) -> list[Stretch]:
    """Close gaps shorter than ``shortest``: each goes to the stretch before it, that at the beginning to the first."""
    found: list[Stretch] = []
    for stretch in stretches:
        before = found[-1].end if found else 0
        if stretch.start - before < shortest:
            if found:
                found[-1].end = stretch.start
            else:
                stretch = Stretch(0, stretch.end, stretch.name)
        _append(found, stretch)
    if found and end - found[-1].end < shortest:
        found[-1].end = end
    return found


def without_short(stretches: list[Stretch], shortest: int) -> list[Stretch]:
    """Dissolve stretches shorter than ``shortest``, the shortest first, as long as there are others.

    Its time goes to the longer of the stretches that it touches; one that touches none is left out.
    """
    before = {index: index - 1 for index in range(len(stretches))}
    after = {index: index + 1 for index in range(len(stretches))}
    alive = {index: Stretch(each.start, each.end, each.name) for index, each in enumerate(stretches)}
    queue = [(each.end - each.start, index) for index, each in alive.items()]
    heapq.heapify(queue)

    def remove(index: int) -> None:
        del alive[index]
        after[before[index]], before[after[index]] = after[index], before[index]

    while queue and len(alive) > 1:
        length, index = heapq.heappop(queue)
        if length >= shortest:
            break
        if index not in alive or alive[index].end - alive[index].start != length:
            continue  # it has grown or gone
        short = alive[index]
        left, right = alive.get(before[index]), alive.get(after[index])
        left = left if left and left.end == short.start else None
        right = right if right and right.start == short.end else None
        if left and right and left.name == right.name:
            left.end = right.end
            remove(after[index])
        elif left and (not right or left.end - left.start >= right.end - right.start):
            left.end = short.end
        elif right:
            right.start = short.start
            left = None
        if left or right:
            grown = before[index] if left else after[index]
            heapq.heappush(queue, (alive[grown].end - alive[grown].start, grown))
        remove(index)
    return [alive[index] for index in sorted(alive)]


def _append(stretches: list[Stretch], stretch: Stretch) -> None:
    """Add a stretch, to the last one where that has its name and touches it."""
    if stretches and stretches[-1].end == stretch.start and stretches[-1].name == stretch.name:
        stretches[-1].end = stretch.end
    else:
        stretches.append(stretch)

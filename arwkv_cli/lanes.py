"""Timelines drawn for people: a lane a class, the higher the more sounds there."""

import re
from collections.abc import Iterable
from typing import TextIO

from rich.cells import cell_len, set_cell_size
from rich.console import Console
from rich.text import Text

from arwkv_cli.plain_text import printable, span
from arwkv_cli.time_axis import elapsed_axis, wall_clock_axis
from arwkv_cli.timeline import TOP
from arwkv_core.results import Event, Timeline

WIDEST = 200
NARROWEST = 20
"""Columns of the whole drawing."""

NARROWEST_LANE = 12
"""Columns that a lane has before the names beside it are shortened and the seconds left out."""

HEIGHTS = "▁▂▃▄▅▆▇"
"""No full block: it would touch the lane above."""

PLAIN_HEIGHTS = ".:-=+*#"
"""For terminals that know no more than ASCII."""


class LanesWriter:
    """Draws each timeline that it is given.

    In a cell of a lane, the height is the mean score of the events there, times the square root of the share of the
    cell's time that they fill: the root lets a few seconds in a cell of ten minutes differ from one. No event is so
    short that it is not seen.

    Parameters
    ----------
    stream : TextIO
        With colours if it is a terminal; what is drawn does not depend on them.
    top : int
        Draw at most so many lanes: those of the classes that sound longest.
    """

    def __init__(self, stream: TextIO, top: int = TOP) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=True, emoji=False, markup=False)
        encoding = (getattr(stream, "encoding", None) or "utf-8").lower()
        self._plain = not encoding.startswith("utf")
        self._top = top
        self._first = True

    def write(self, timeline: Timeline) -> None:
        """Draw a recording's timeline."""
        if not self._first:
            self._console.print()
        self._first = False
        self._print_title(timeline)
        lanes = sorted(_by_class(timeline.events), key=lambda lane: -_sum_seconds(lane))
        if not lanes:
            self._print("  no events", "dim")
        else:
            self._print_lanes(timeline, lanes[: self._top])
        hidden = len(lanes) - self._top
        if hidden > 0:
            what = "1 more class" if hidden == 1 else f"{hidden} more classes"
            self._print(f"  {what}: --top {len(lanes)}", "dim")
        self._console.file.flush()

    def close(self) -> None:
        """Nothing ends a drawing but its last lane."""

    def _print_title(self, timeline: Timeline) -> None:
        count = len(timeline.events)
        about = [span(timeline.coverage.decoded_seconds), "1 event" if count == 1 else f"{count} events"]
        if timeline.start_time is not None:
            about.append(f"from {timeline.start_time.time.isoformat(' ', 'seconds')}")
        self._print_parts((self._safe(timeline.file), "bold"), ("  " + "  ".join(about), "dim"))

    def _print_lanes(self, timeline: Timeline, lanes: list[list[Event]]) -> None:
        width = max(min(self._console.width, WIDEST), NARROWEST)
        seconds = timeline.coverage.decoded_seconds
        names = [self._safe(lane[0].name) for lane in lanes]
        sums = [span(_sum_seconds(lane)) for lane in lanes]
        right = max(map(len, sums)) + 1
        left = min(max(map(cell_len, names)), max(width // 3, 8)) + 1
        if width - left - right < NARROWEST_LANE:
            right = 0
        names = shorten(names, left - 1, plain=self._plain)
        lane_width = width - left - right
        start = timeline.start_time
        above = (
            elapsed_axis(seconds, lane_width, plain=self._plain)
            if start is None
            else wall_clock_axis(seconds, lane_width, start.time, plain=self._plain)
        )
        total = "total".rjust(right) if right > len("total") else ""
        self._print(" " * left + above.labels + total, "dim")
        self._print(" " * left + above.ruler, "dim")
        heights = PLAIN_HEIGHTS if self._plain else HEIGHTS
        for name, lane, total in zip(names, lanes, sums, strict=True):
            cells = draw_lane(lane, seconds, lane_width, heights)
            self._print_parts(
                (set_cell_size(name, left), ""),
                (cells, "green"),
                (total.rjust(right) if right else "", "dim"),
            )
        if start is not None:
            below = elapsed_axis(seconds, lane_width, plain=self._plain)
            self._print(" " * left + below.labels, "dim")

    def _print(self, text: str, style: str) -> None:
        self._print_parts((text, style))

    def _print_parts(self, *parts: tuple[str, str]) -> None:
        text = Text.assemble(*parts)
        text.rstrip()
        self._console.print(text)

    def _safe(self, text: str) -> str:
        """Replace what the terminal would obey, and what it can't show."""
        encoding = getattr(self._console.file, "encoding", None) or "utf-8"
        return printable(text).encode(encoding, "replace").decode(encoding)


def draw_lane(events: Iterable[Event], seconds: float, width: int, heights: str) -> str:
    """Draw the events of one class.

    Parameters
    ----------
    events : iterable of Event
    seconds : float
        Duration of the recording.
    width : int
        Columns.
    heights : str
        Characters, rising.

    Returns
    -------
    str
        As many characters as columns.
    """
    cell = seconds / width
    filled, weighted = [0.0] * width, [0.0] * width
    seen = set()
    for event in events:
        first = min(int(event.start / cell), width - 1)
        last = min(int(event.end / cell), width - 1)
        longest, where = -1.0, first
        for column in range(first, last + 1):
            overlap = min(event.end, (column + 1) * cell) - max(event.start, column * cell)
            filled[column] += max(overlap, 0.0)
            weighted[column] += max(overlap, 0.0) * event.mean
            if overlap > longest:
                longest, where = overlap, column
        seen.add(where)
    line = ""
    for column, (time, score) in enumerate(zip(filled, weighted, strict=True)):
        height = score / time * min(time / cell, 1.0) ** 0.5 * len(heights) if time > 0 else 0.0
        level = int(height + 0.5 + 1e-9)  # errors of rounding must not make a constant score waver
        line += heights[min(max(level, 1), len(heights)) - 1] if level or column in seen else " "
    return line


def shorten(names: list[str], width: int, *, plain: bool = False) -> list[str]:
    """Make names fit a number of columns, so that they can still be told apart where that can be.

    First what follows a comma or a bracket goes (Roaring cats (lions, tigers)), then the end.
    """
    short = [re.split(r"\s*[,(]", name)[0] or name for name in names]
    result = []
    for name, head in zip(names, short, strict=True):
        if cell_len(name) > width and short.count(head) == 1:
            name = head
        if cell_len(name) > width:
            end = "." if plain else "…"
            name = set_cell_size(name, max(width - 1, 0)).rstrip() + end
        result.append(name)
    return result


def _by_class(events: Iterable[Event]) -> list[list[Event]]:
    lanes: dict[str, list[Event]] = {}
    for event in events:
        lanes.setdefault(event.mid, []).append(event)
    return list(lanes.values())


def _sum_seconds(events: Iterable[Event]) -> float:
    return sum(event.end - event.start for event in events)

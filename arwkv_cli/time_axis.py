"""A time axis of a given width: round times, and how they are written."""

from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta

from arwkv_cli.plain_text import clock

_MINUTE, _HOUR, _DAY = 60.0, 3600.0, 86_400.0

STEPS = (
    *(0.01, 0.02, 0.05, 0.1, 0.2, 0.5, 1.0, 2.0, 5.0, 10.0, 15.0, 30.0),
    *(minutes * _MINUTE for minutes in (1, 2, 5, 10, 15, 30)),
    *(hours * _HOUR for hours in (1, 2, 3, 6, 12)),
    *(days * _DAY for days in (1, 2, 5, 10, 20, 50, 100, 200, 500, 1000)),
)
"""Seconds between ticks."""

BLANKS = 2
"""Columns between the labels of two ticks at least."""


@dataclass(frozen=True)
class Axis:
    """Two lines of the same width.

    Parameters
    ----------
    labels : str
        Each begins above its tick; what would not fit at the end is left out.
    ruler : str
        From the recording's start to its end.
    ticks : tuple of int
        Columns of the ticks.
    """

    labels: str
    ruler: str
    ticks: tuple[int, ...]


def elapsed_axis(seconds: float, width: int, *, plain: bool = False) -> Axis:
    """Draw the time since the recording's start.

    Parameters
    ----------
    seconds : float
        Duration of the recording.
    width : int
        Columns, at least 1.
    plain : bool
        Draw with ASCII alone.
    """

    def label(time: float, step: float) -> str:
        if step < 1:
            return f"{time:.{2 if step < 0.1 else 1}f}"
        if step < _MINUTE or seconds < _HOUR:
            return clock(time)
        hours, minutes = divmod(round(time / _MINUTE), 60)
        return f"{hours}h" if step >= _HOUR else f"{hours}h{minutes:02}"

    return _axis(seconds, width, 0.0, label, plain)


def wall_clock_axis(seconds: float, width: int, start: datetime, *, plain: bool = False) -> Axis:
    """Draw the time of day; at midnight, and where ticks are days, the date.

    Parameters
    ----------
    seconds, width, plain
        See `elapsed_axis`.
    start : datetime
        When the recording began.
    """
    midnight = start.replace(hour=0, minute=0, second=0, microsecond=0)
    first = (start - midnight).total_seconds()

    def label(time: float, step: float) -> str:
        moment = start + timedelta(seconds=round(time, 3))
        if step < 1:
            return moment.strftime("%H:%M:%S.") + f"{moment.microsecond // 10_000:02}"
        moment += timedelta(seconds=0.5)  # ticks are whole seconds: what lies below one is rounding
        if step >= _DAY or (moment.hour, moment.minute, moment.second) == (0, 0, 0):
            return moment.strftime("%m-%d")
        return moment.strftime("%H:%M" if step >= _MINUTE else "%H:%M:%S")

    return _axis(seconds, width, first, label, plain)


def _axis(
    seconds: float, width: int, first: float, label: Callable[[float, float], str], plain: bool
) -> Axis:
    """Put ticks where ``first`` plus the time is a multiple of the shortest step whose labels fit."""
    for step in STEPS:
        if seconds / step > width:
            continue
        begin = -(-(first - 1e-6) // step)
        count = int((first + seconds) / step - begin + 1e-6) + 1
        times = [max((begin + i) * step - first, 0.0) for i in range(count)]
        columns = [min(int(time / seconds * width), width - 1) for time in times]
        texts = [label(time, step) for time in times]
        gaps = zip(columns, columns[1:], texts, strict=False)  # the last label has no next
        if all(right - left >= len(text) + BLANKS for left, right, text in gaps):
            break
    if not any(column + len(text) <= width for column, text in zip(columns, texts, strict=True)):
        columns, texts = [0], [label(0.0, 1.0)]  # no round time lies in it, or too far right
    labels = ""
    for column, text in zip(columns, texts, strict=True):
        if column + len(text) <= width:
            labels = labels.ljust(column) + text
    line, tick = "-+" if plain else "─┬"
    ruler = [line] * width
    for column in columns:
        ruler[column] = tick
    return Axis(labels.ljust(width), "".join(ruler), tuple(columns))

"""Times in whole ticks of a format (microseconds, milliseconds), which never leave the recording."""

from collections.abc import Iterator
from datetime import datetime, timedelta, timezone

from ..results import Event, StartTime, Timeline

MICROSECONDS = 1_000_000
"""Ticks a second of formats with six decimals: finer than a sample at any rate."""

MILLISECONDS = 1_000
"""Ticks a second of subtitles and chapters."""


def last_tick(seconds: float, per_second: int) -> int:
    """Return the last tick that does not lie after ``seconds``, however the reader turns it into a float."""
    tick = round(seconds * per_second)
    return tick if tick / per_second <= seconds else tick - 1


def event_ticks(timeline: Timeline, per_second: int) -> Iterator[tuple[Event, int, int]]:
    """Yield each event with its start and end in ticks.

    Rounding to the nearest tick could put the end of the last event behind the recording's, or leave nothing
    of an event shorter than a tick: ends are kept inside, and every event lasts a tick at least. A recording
    shorter than a tick has no room for one.

    Parameters
    ----------
    timeline : Timeline
    per_second : int
        Ticks a second.

    Yields
    ------
    event : Event
    start, end : int
        ``0 <= start < end <= last_tick(decoded_seconds, per_second)``.
    """
    limit = last_tick(timeline.coverage.decoded_seconds, per_second)
    if limit < 1:
        return
    for event in timeline.events:
        start = min(max(round(event.start * per_second), 0), limit - 1)
        end = min(max(round(event.end * per_second), start + 1), limit)
        yield event, start, end


def decimals(tick: int, per_second: int) -> str:
    """Write a tick as seconds with all its decimals: ``"12.345000"``."""
    whole, part = divmod(tick, per_second)
    return f"{whole}.{part:0{len(str(per_second)) - 1}d}"


def clock_time(start: StartTime | None, microseconds: int) -> datetime | None:
    """Return what the clock showed at a time of the recording; None where its start is not known.

    A zone's change to summer time is minded: what passes is time, not clock time.

    Parameters
    ----------
    start : StartTime or None
    microseconds : int
        From the recording's beginning.
    """
    if start is None:
        return None
    passed = timedelta(microseconds=microseconds)
    try:
        if start.time.tzinfo is None:
            return start.time + passed
        return (start.time.astimezone(timezone.utc) + passed).astimezone(start.time.tzinfo)
    except OverflowError:  # a recorder whose clock stood at the year 9999
        return None


def iso(time: datetime | None) -> str | None:
    """Write a clock time as ISO 8601, always with six decimals: readers guess the form from the first row."""
    return None if time is None else time.isoformat(timespec="microseconds")

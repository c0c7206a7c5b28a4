"""What csv, json, jsonl and parquet say of a timeline: the same numbers in all four."""

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from typing import Any

from ..results import SCHEMA_VERSION, Event, StartTime, Timeline
from .tag_record import coverage_record, rounded
from .ticks import MICROSECONDS, clock_time, event_ticks, iso


@dataclass(frozen=True)
class EventRow:
    """An event as it is written.

    Parameters
    ----------
    event : Event
    start, end : float
        Seconds, in whole microseconds and inside the recording.
    start_time, end_time : datetime or None
        What the clock showed, with a zone where that is known.
    """

    event: Event
    start: float
    end: float
    start_time: datetime | None
    end_time: datetime | None


def event_rows(timeline: Timeline) -> Iterator[EventRow]:
    """Yield the events as they are written."""
    for event, start, end in event_ticks(timeline, MICROSECONDS):
        yield EventRow(
            event,
            start / MICROSECONDS,
            end / MICROSECONDS,
            clock_time(timeline.start_time, start),
            clock_time(timeline.start_time, end),
        )


def timeline_record(timeline: Timeline) -> dict[str, Any]:
    """Turn a timeline into plain dicts, lists and numbers."""
    return {
        "schema_version": SCHEMA_VERSION,
        "file": timeline.file,
        "model": timeline.model,
        "calibration": timeline.calibration,
        "coverage": coverage_record(timeline.coverage),
        "start_time": _start_time(timeline.start_time),
        "settings": timeline.settings,
        "events": [
            {
                "start": row.start,
                "end": row.end,
                "name": row.event.name,
                "mid": row.event.mid,
                "mean": rounded(row.event.mean),
                "max": rounded(row.event.max),
                "start_time": iso(row.start_time),
                "end_time": iso(row.end_time),
            }
            for row in event_rows(timeline)
        ],
        "warnings": list(timeline.warnings),
    }


def _start_time(start: StartTime | None) -> dict[str, Any] | None:
    return None if start is None else {"time": iso(start.time), "source": start.source}

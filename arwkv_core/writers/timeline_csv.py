"""Timelines as CSV: a row per event."""

from typing import TextIO

from ..results import SCHEMA_VERSION, Timeline
from .csv_rows import CsvRows
from .tag_record import rounded
from .ticks import iso
from .timeline_record import event_rows

COLUMNS = (
    "file",
    "start",
    "end",
    "name",
    "mid",
    "mean",
    "max",
    "start_time",
    "end_time",
    "decoded_seconds",
    "model",
    "schema_version",
)
"""A format is read by name, so columns may be added at the end without a new version."""


class TimelineCsvWriter:
    """Writes a header and a row per event; a recording without events has one row that names none.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._rows = CsvRows(stream)
        self._rows.add(COLUMNS)

    def write(self, timeline: Timeline) -> None:
        """Add a recording's rows."""
        recording = [rounded(timeline.coverage.decoded_seconds), timeline.model, SCHEMA_VERSION]
        empty = True
        for row in event_rows(timeline):
            event = row.event
            self._rows.add(
                [
                    timeline.file,
                    row.start,
                    row.end,
                    event.name,
                    event.mid,
                    rounded(event.mean),
                    rounded(event.max),
                    iso(row.start_time),
                    iso(row.end_time),
                    *recording,
                ]
            )
            empty = False
        if empty:
            self._rows.add([timeline.file, *[None] * 8, *recording])
        self._rows.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row."""
        self._rows.flush()

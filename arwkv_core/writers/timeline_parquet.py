"""Timelines as Parquet: the rows of the CSV, with types."""

import json
from datetime import datetime, timezone
from typing import TYPE_CHECKING, Any, BinaryIO

from ..results import SCHEMA_VERSION, Timeline
from .parquet_table import ParquetTable, readable
from .tag_record import rounded
from .timeline_record import EventRow, event_rows

if TYPE_CHECKING:
    import pyarrow as pa


class TimelineParquetWriter:
    """Writes a row per event; a recording without events has one row that names none.

    Times of the clock stand there twice, as a column has one zone or none: as the recorder showed them, and in
    UTC where its zone is known.

    Parameters
    ----------
    stream : BinaryIO
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._table: ParquetTable | None = None

    def write(self, timeline: Timeline) -> None:
        """Add a recording's rows; they are written in groups."""
        if self._table is None:
            self._table = ParquetTable(self._stream, _schema(timeline))
        file, model = readable(timeline.file), readable(timeline.model)
        recording = (rounded(timeline.coverage.decoded_seconds), model, SCHEMA_VERSION)
        empty = True
        for row in event_rows(timeline):
            self._table.add((file, *_event_cells(row), *recording))
            empty = False
        if empty:
            self._table.add((file, *[None] * 10, *recording))

    def close(self) -> None:
        """Complete the file."""
        if self._table is None:
            self._table = ParquetTable(self._stream, _schema(None))
        self._table.close()


def _schema(timeline: Timeline | None) -> "pa.Schema":
    """Columns, and what is true of all recordings of a run, as the first of them tells it."""
    import pyarrow as pa

    metadata = {"arwkv.kind": "timeline", "arwkv.schema_version": str(SCHEMA_VERSION)}
    if timeline is not None:
        metadata["arwkv.model"] = readable(timeline.model)
        metadata["arwkv.settings"] = json.dumps(timeline.settings, allow_nan=False)
    clock, utc = pa.timestamp("us"), pa.timestamp("us", "UTC")
    return pa.schema(
        [
            ("file", pa.string()),
            ("start", pa.float64()),
            ("end", pa.float64()),
            ("name", pa.string()),
            ("mid", pa.string()),
            ("mean", pa.float64()),
            ("max", pa.float64()),
            ("start_time", clock),
            ("end_time", clock),
            ("start_time_utc", utc),
            ("end_time_utc", utc),
            ("decoded_seconds", pa.float64()),
            ("model", pa.string()),
            ("schema_version", pa.int32()),
        ],
        metadata,
    )


def _event_cells(row: EventRow) -> tuple[Any, ...]:
    event = row.event
    return (
        row.start,
        row.end,
        readable(event.name),
        readable(event.mid),
        rounded(event.mean),
        rounded(event.max),
        _on_the_clock(row.start_time),
        _on_the_clock(row.end_time),
        _in_utc(row.start_time),
        _in_utc(row.end_time),
    )


def _on_the_clock(time: datetime | None) -> datetime | None:
    return None if time is None else time.replace(tzinfo=None)


def _in_utc(time: datetime | None) -> datetime | None:
    return None if time is None or time.tzinfo is None else time.astimezone(timezone.utc)

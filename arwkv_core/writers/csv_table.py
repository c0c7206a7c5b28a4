"""Tags as CSV: a row per recording and tag."""

import csv
from typing import TextIO

from ..results import SCHEMA_VERSION, TagResult
from .tag_record import rounded

COLUMNS = (
    "file",
    "rank",
    "name",
    "mid",
    "mean",
    "max",
    "active_seconds",
    "decoded_seconds",
    "model",
    "schema_version",
)
"""A format is read by name, so columns may be added at the end without a new version."""


class CsvWriter:
    """Writes a header and a row per recording and tag; a recording without tags has no row.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._rows = csv.writer(stream, lineterminator="\n")
        self._rows.writerow(COLUMNS)

    def write(self, result: TagResult) -> None:
        """Add a recording's rows."""
        for rank, tag in enumerate(result.tags, start=1):
            self._rows.writerow(
                [
                    result.file,
                    rank,
                    tag.name,
                    tag.mid,
                    rounded(tag.mean),
                    rounded(tag.max),
                    rounded(tag.active_seconds),
                    rounded(result.coverage.decoded_seconds),
                    result.model,
                    SCHEMA_VERSION,
                ]
            )
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row."""
        self._stream.flush()

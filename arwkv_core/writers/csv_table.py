"""Tags as CSV: a row per recording and tag."""

from typing import TextIO

from ..results import SCHEMA_VERSION, TagResult
from .csv_rows import CsvRows
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
        self._rows = CsvRows(stream)
        self._rows.add(COLUMNS)

    def write(self, result: TagResult) -> None:
        """Add a recording's rows."""
        for rank, tag in enumerate(result.tags, start=1):
            self._rows.add(
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
        self._rows.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row."""
        self._rows.flush()

"""Rows of separated values, quoted so that every reader gets back what was written."""

import csv
from collections.abc import Iterable
from typing import Any, TextIO


class CsvRows:
    """Writes rows that end with a line feed.

    Python's own writer leaves a carriage return unquoted where lines end with a line feed only; readers take it
    for the end of the row. So it writes rows that end with both, and the carriage return is left out here.

    Parameters
    ----------
    stream : TextIO
    delimiter : str
        What separates cells.
    """

    def __init__(self, stream: TextIO, delimiter: str = ",") -> None:
        self._stream = stream
        self._rows = csv.writer(self, delimiter=delimiter, lineterminator="\r\n")

    def add(self, cells: Iterable[Any]) -> None:
        """Write a row; None is an empty cell."""
        self._rows.writerow(cells)

    def write(self, row: str) -> int:
        """Take a row from Python's writer."""
        return self._stream.write(row.removesuffix("\r\n") + "\n")

    def flush(self) -> None:
        """Let whoever reads along see the rows."""
        self._stream.flush()

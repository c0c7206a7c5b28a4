"""``failures.csv``: which recordings of a folder could not be done, and why."""

from __future__ import annotations

import csv
import io
import time
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .errors import UsageError
from .results import Failure
from .whole_file import WholeFile

FAILURES_FILE = "failures.csv"
COLUMNS = ("file", "reason", "place")
"""``place`` is the recording's path below the folder of the run, by which a later run knows it again; it is empty where
no recording failed but a folder or a pattern."""

REST_SECONDS = 1.0
"""The file is written anew this long after it was written, at the soonest, and takes a tenth of the time at most."""


class FailureList:
    """The failures in a folder of outputs, those of earlier runs among them, in a file that is always whole.

    Parameters
    ----------
    folder : Path
    """

    def __init__(self, folder: Path) -> None:
        self.path = folder / FAILURES_FILE
        self._lines = self._read()
        self._changed = False
        self._next_write = 0.0

    def __enter__(self) -> FailureList:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self.write()
        else:
            with suppress(OSError):  # the first error tells
                self.write()

    def add(self, failure: Failure, place: str) -> None:
        """Take note of a failure."""
        line = (_text(failure.file), _text(failure.reason), _text(place))
        key = _key(line[0], line[2])
        if self._lines.get(key) != line:
            self._lines[key] = line
            self._changed = True
            self._write_sometimes()

    def remove(self, file: str, place: str) -> None:
        """Take note of a success."""
        if self._lines and self._lines.pop(_key(_text(file), _text(place)), None) is not None:
            self._changed = True
            self._write_sometimes()

    def write(self) -> None:
        """Write the file; without failures there is none."""
        if not self._changed:
            return
        if self._lines:
            file = WholeFile(self.path, overwrite=True)
            try:
                rows = csv.writer(file.stream, lineterminator="\n")
                rows.writerow(COLUMNS)
                rows.writerows(self._lines.values())
            except BaseException:
                file.discard()
                raise
            file.commit()
        else:
            self.path.unlink(missing_ok=True)
        self._changed = False

    def _write_sometimes(self) -> None:
        now = time.monotonic()
        if now >= self._next_write:
            self.write()
            took = time.monotonic() - now
            self._next_write = now + max(REST_SECONDS, 10 * took)

    def _read(self) -> dict[str, tuple[str, str, str]]:
        try:
            text = self.path.read_text("utf-8")
        except FileNotFoundError:
            return {}
        except (OSError, UnicodeDecodeError) as error:
            raise UsageError(f"{self.path}: can't be read: {error}") from error
        rows = list(csv.reader(io.StringIO(text, newline="")))
        if not rows or tuple(rows[0]) != COLUMNS:
            raise UsageError(
                f"{self.path}: expected failures of a run ({','.join(COLUMNS)}); move it elsewhere"
            )
        return {
            _key(row[0], row[2]): (row[0], row[1], row[2]) for row in rows[1:] if len(row) == len(COLUMNS)
        }


def _key(file: str, place: str) -> str:
    return place or f"/{file}"  # a place is never absolute


def _text(name: str) -> str:
    r"""Write bytes that are no text as ``\udcff``, as in every other output."""
    return name.encode("utf-8", "backslashreplace").decode()

"""``clips.csv``: which clip is cut from which recording, where in it, and what is heard there."""

from __future__ import annotations

import os
from pathlib import Path
from typing import TYPE_CHECKING, TextIO

from .clip_file import PARTIAL_SUFFIX
from .errors import UsageError
from .results import SCHEMA_VERSION
from .writers.csv_rows import CsvRows
from .writers.tag_record import rounded
from .writers.ticks import iso

if TYPE_CHECKING:
    from .clip_folder import Clip

TABLE_NAME = "clips.csv"

COLUMNS = (
    "clip",
    "file",
    "start",
    "end",
    "name",
    "mid",
    "mean",
    "max",
    "start_time",
    "clip_start",
    "clip_end",
    "clip_start_time",
    "sample_rate",
    "channels",
    "frames",
    "gain",
    "model",
    "schema_version",
)
"""A format is read by name, so columns may be added at the end without a new version."""


class ClipRows:
    """Writes the table to a text stream.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._rows = CsvRows(stream)
        self._rows.add(COLUMNS)

    def add(self, clip: Clip) -> None:
        """Add a clip's row."""
        event = clip.event
        self._rows.add(
            [
                clip.path,
                clip.file,
                rounded(event.start),
                rounded(event.end),
                event.name,
                event.mid,
                rounded(event.mean),
                rounded(event.max),
                iso(clip.event_clock),
                rounded(clip.start),
                rounded(clip.end),
                iso(clip.clip_clock),
                clip.sample_rate,
                clip.channels,
                clip.frames,
                rounded(clip.gain),
                clip.model,
                SCHEMA_VERSION,
            ]
        )


class ClipTable:
    """The table in a folder of clips: written anew by every run, and there when the run is done.

    Parameters
    ----------
    folder : Path

    Attributes
    ----------
    rows : int
        Clips so far.

    Raises
    ------
    UsageError
        If a file of that name is none of ours.
    """

    def __init__(self, folder: Path) -> None:
        path = folder / TABLE_NAME
        if path.exists():
            with path.open("rb") as file:
                head = file.read(64)
            if head and not head.startswith(",".join(COLUMNS[:5]).encode()):
                raise UsageError(
                    f"--output-dir {folder}: {TABLE_NAME} in it is no list of clips; take another folder"
                )
        self._path = path
        # a fixed name, since the folder is ours alone: what a killed run has left is written over
        self._temporary = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
        self._stream = self._temporary.open("w", encoding="utf-8", errors="backslashreplace", newline="")
        self._rows = ClipRows(self._stream)
        self.rows = 0

    def add(self, clip: Clip) -> None:
        """Add a clip's row."""
        self._rows.add(clip)
        self.rows += 1

    def commit(self) -> Path:
        """Put the table into its place."""
        self._close(self._path)
        self._partial.unlink(missing_ok=True)
        return self._path

    def break_off(self) -> None:
        """Keep what an interrupted run has, if it has anything, as ``clips.csv.partial``."""
        if self.rows:
            self._close(self._partial)
        else:
            self._stream.close()
            self._temporary.unlink()

    @property
    def _partial(self) -> Path:
        return self._path.with_name(self._path.name + ".partial")

    def _close(self, path: Path) -> None:
        self._stream.flush()
        os.fsync(self._stream.fileno())  # on disk before its name is, or a power cut leaves an empty file
        self._stream.close()
        self._temporary.replace(path)

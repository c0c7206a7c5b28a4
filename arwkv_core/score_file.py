"""The file in which the scores of one recording are kept.

It is a Parquet file, because every data tool reads those, because they compress column by column, and because many
people keep the format well. A row is a step: `step` (int32, from 0; it begins at ``step * 0.16`` s) and `scores`
(as many bytes as there are classes, a code each). Byte-stream-split puts the bytes of one class beside each other,
where they compress best. All else is JSON under the key ``arwkv`` of the file's metadata: `ScoreFileWriter` says what.
"""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
import pyarrow as pa
from numpy.typing import NDArray
from pyarrow import parquet

from .errors import ScoreFileError
from .file_lock import lock_alone
from .labels import LabelSet
from .results import Coverage, StartTime
from .score_codec import LEVELS, Codes, decode
from .whole_file import naming

SUFFIX = ".scores.parquet"
"""What the name of a recording is followed by in the name of its scores."""

SCHEMA_VERSION = 1

_KEY = b"arwkv"
_GROUP_STEPS = 22_500  # an hour: 12 MB with 521 classes
_BLOCK_STEPS = 2_250  # six minutes
_COMPRESSION_LEVEL = 9  # of Zstandard: a tenth smaller than 3, and still beyond 50 MB/s


class ScoreFileWriter:
    """Writes scores to a hidden file beside their place, where they appear whole.

    Parameters
    ----------
    path : Path
        Folders above it are made.
    classes : int
    """

    def __init__(self, path: Path, classes: int) -> None:
        self.path, self.classes = path, classes
        self._schema = pa.schema([("step", pa.int32()), ("scores", pa.binary(classes))])
        path.parent.mkdir(parents=True, exist_ok=True)
        # always the same name, so that what a kill leaves is written over; short, since names may be long already
        self._hidden = path.with_name(f".{hashlib.sha256(os.fsencode(path.name)).hexdigest()[:16]}.partial")
        self._file = _open_alone(self._hidden)
        self._writer = parquet.ParquetWriter(
            self._file,
            self._schema,
            compression="zstd",
            compression_level=_COMPRESSION_LEVEL,
            use_dictionary=False,
            column_encoding={"step": "DELTA_BINARY_PACKED", "scores": "BYTE_STREAM_SPLIT"},
            data_page_size=_GROUP_STEPS * classes,
            write_statistics=False,
            store_schema=False,  # it would repeat the metadata
        )
        self._committed = False
        self._waiting: list[Codes] = []
        self._waiting_steps = self._written_steps = 0

    def add(self, codes: Codes) -> None:
        """Take the next steps ``(steps, classes)``."""
        while len(codes):
            room = _GROUP_STEPS - self._waiting_steps
            self._waiting.append(codes[:room])
            self._waiting_steps += len(codes[:room])
            codes = codes[room:]
            if self._waiting_steps == _GROUP_STEPS:
                with naming(self.path):
                    self._flush()

    def commit(self, meta: dict[str, Any]) -> None:
        """End the file with its metadata and put it into its place.

        Parameters
        ----------
        meta : dict
            ``file``, ``model`` (name, weights_sha256 ...), ``front_end``, ``windows``, ``classes`` (mids), ``names``,
            ``source`` (path, size, mtime_ns, hashes), ``calibrated`` (whether the model was; the codes never are),
            ``start_time``, ``coverage``, ``warnings``. The version of the schema and the levels of the codes are added.
        """
        with naming(self.path):
            self._flush()
            complete = {
                "schema_version": SCHEMA_VERSION,
                **meta,
                "levels": [float(f"{x:.6g}") for x in LEVELS],
            }
            self._writer.add_key_value_metadata({_KEY: json.dumps(complete, separators=(",", ":")).encode()})
            self._writer.close()
            self._file.flush()
            os.fsync(self._file.fileno())
            self._hidden.replace(self.path)  # locked until it has left: another run would empty it
            self._committed = True
            self._file.close()

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""
        if self._committed:
            return  # another run may be writing under the hidden name by now
        with suppress(OSError, pa.ArrowException):  # the disk is full: the first error tells
            self._writer.close()
        self._hidden.unlink(missing_ok=True)
        with suppress(OSError):
            self._file.close()

    def _flush(self) -> None:
        if not self._waiting_steps:
            return
        codes = np.ascontiguousarray(np.concatenate(self._waiting))
        first, last = self._written_steps, self._written_steps + len(codes)
        column = pa.Array.from_buffers(pa.binary(self.classes), len(codes), [None, pa.py_buffer(codes)])
        steps = pa.array(np.arange(first, last, dtype=np.int32))
        self._writer.write_table(pa.Table.from_arrays([steps, column], schema=self._schema), _GROUP_STEPS)
        self._written_steps = last
        self._waiting, self._waiting_steps = [], 0


class StoredScores:
    """The kept scores of a recording: a `recording.ScoreSource` that needs neither torch nor the model.

    Parameters
    ----------
    path : str or Path

    Attributes
    ----------
    meta : dict
        What the file says of itself.

    Raises
    ------
    ScoreFileError
        If it isn't such a file, is damaged, or was written by a newer arwkv.
    """

    def __init__(self, path: str | Path) -> None:
        self.path = Path(path)
        try:
            # opened here, since pyarrow can't open paths that aren't UTF-8
            with self.path.open("rb") as raw, parquet.ParquetFile(raw) as file:
                self.meta = self._read_meta(file)
                steps = file.metadata.num_rows
            self.coverage = Coverage(**self.meta["coverage"])
            if steps != self.coverage.steps:
                raise ValueError(f"expected {self.coverage.steps} steps, found {steps}")
            self.labels = _labels(self.meta, str(self.path))
            self.file: str = self.meta["file"]
            self.model_name: str = self.meta["model"]["name"]
            self.warnings: list[str] = list(self.meta["warnings"])
            self.levels: NDArray[np.float32] = np.array(self.meta["levels"], np.float32)
        except (pa.ArrowException, KeyError, TypeError, ValueError, OSError) as error:
            raise self._damaged(error) from error

    @property
    def active_threshold(self) -> float:
        """Score from which a step counts as active, by the model's own judgement."""
        return float(self.meta["model"]["active_threshold"])

    @property
    def start_time(self) -> StartTime | None:
        """When the recording began, where its file told."""
        known = self.meta["start_time"]
        return known and StartTime(datetime.fromisoformat(known["time"]), known["source"])

    def __iter__(self) -> Iterator[NDArray[np.float32]]:
        """Yield ``(steps, classes)`` float32, each step of the recording once, in order."""
        for codes in self.codes():
            yield decode(codes)

    def codes(self) -> Iterator[Codes]:
        """Yield ``(steps, classes)`` uint8, as they stand in the file.

        Raises
        ------
        ScoreFileError
            If the file is damaged, or if steps are missing.
        """
        classes, steps = len(self.labels), 0
        try:
            with self.path.open("rb") as opened, parquet.ParquetFile(opened) as file:
                for batch in file.iter_batches(_BLOCK_STEPS, columns=["scores"]):
                    column = batch.column(0)
                    start = column.offset * classes
                    raw = np.frombuffer(column.buffers()[1], np.uint8)
                    rows = raw[start : start + len(column) * classes].reshape(-1, classes)
                    if rows.max(initial=0) >= len(LEVELS):
                        raise ValueError(f"code {rows.max()} has no level")
                    steps += len(rows)
                    yield rows
        except (pa.ArrowException, ValueError, OSError) as error:
            raise self._damaged(error) from error
        if steps != self.coverage.steps:
            raise self._damaged(f"expected {self.coverage.steps} steps, found {steps}")

    def _read_meta(self, file: parquet.ParquetFile) -> dict[str, Any]:
        text = (file.metadata.metadata or {}).get(_KEY)
        if text is None:
            raise ValueError("a Parquet file of something else")
        meta: dict[str, Any] = json.loads(text)
        if meta["schema_version"] != SCHEMA_VERSION:
            raise ValueError(f"schema version {meta['schema_version']}, this arwkv knows {SCHEMA_VERSION}")
        return meta

    def _damaged(self, reason: object) -> ScoreFileError:
        line = " ".join(str(reason).split())
        return ScoreFileError(
            f"{self.path}: expected scores kept by arwkv, found: {line}; delete it and run again"
        )


def kept_scores(folder: str | Path) -> Iterator[Path]:
    """Yield the files of kept scores below a folder, in the order of their names.

    Raises
    ------
    ScoreFileError
        If there are none.
    """
    found = False
    for parent, folders, names in os.walk(folder):
        folders.sort()
        for name in sorted(names):
            if name.endswith(SUFFIX) and not name.startswith("."):
                found = True
                yield Path(parent, name)
    if not found:
        raise ScoreFileError(f"{folder}: no kept scores (*{SUFFIX}) below it; --scores {folder} keeps them")


def _open_alone(path: Path) -> BinaryIO:
    """Open an empty file that no other process has open in this way.

    Raises
    ------
    ScoreFileError
        If one has.
    """
    file = path.open("a+b")
    try:
        lock_alone(file)
        if os.fstat(file.fileno()).st_ino != path.stat().st_ino:
            raise BlockingIOError  # the other has just put it into its place
    except (BlockingIOError, FileNotFoundError) as error:
        file.close()
        raise ScoreFileError(f"{path}: another run is writing these scores") from error
    file.truncate(0)
    return file


def labels_to_meta(labels: LabelSet) -> dict[str, Any]:
    """Return what a score file says of its classes: mids, and the names where they aren't AudioSet's."""
    audioset = LabelSet.audioset()
    known = all(mid in audioset and audioset.name(mid) == name for mid, name in labels)
    return {"classes": list(labels.mids), "names": None if known else list(labels.names)}


def _labels(meta: dict[str, Any], source: str) -> LabelSet:
    mids, names = meta["classes"], meta["names"]
    if names is None:
        audioset = LabelSet.audioset()
        names = [audioset.name(mid) for mid in mids]
    return LabelSet(mids, names, source)

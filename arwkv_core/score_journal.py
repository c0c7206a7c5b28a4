"""A file of scores that grows while a recording is worked on, and survives the end of its process at any moment.

Layout: a magic line, then records of length (uint32), CRC-32 of the payload (uint32) and payload, little-endian. The
first record is JSON: what the scores belong to. Each further one holds the next steps: their codes, row by row,
compressed by zlib. A record that was not written to its end is cut off when the journal is opened again.
"""

from __future__ import annotations

import hashlib
import json
import os
import struct
import time
import zlib
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from .errors import ScoreFileError
from .file_lock import lock_alone
from .score_codec import Codes
from .whole_file import naming

SUFFIX = ".journal"
"""What the name of a score file is followed by in the name of its journal, which is hidden besides."""

_MAGIC = b"arwkv scores journal 1\n"
_RECORD = struct.Struct("<II")
_MOST_BYTES = 1 << 28  # a longer record is damage
_LONGEST_NAME = 255  # bytes, on all usual file systems
_SYNC_SECONDS = 5.0  # a power cut costs at most about so much work


def journal_path(score_file: Path) -> Path:
    """Where the journal of a score file lies: beside it, hidden; under a short name if that would be too long."""
    name = f".{score_file.name}{SUFFIX}"
    if len(os.fsencode(name)) > _LONGEST_NAME:
        name = f".{hashlib.sha256(os.fsencode(score_file.name)).hexdigest()[:16]}{SUFFIX}"
    return score_file.with_name(name)


class ScoreJournal:
    """The journal of one recording, locked against other runs.

    Parameters
    ----------
    path : Path
        Made, with the folders above it, where it isn't there.
    identity : dict
        What the scores belong to, as JSON has it: source, model, front end, windows. A journal of something else is
        emptied.
    classes : int

    Attributes
    ----------
    steps : int
        Steps in the journal.

    Raises
    ------
    ScoreFileError
        If another process has it open.
    """

    def __init__(self, path: Path, identity: dict[str, Any], classes: int) -> None:
        self.path, self.classes, self.steps = path, classes, 0
        path.parent.mkdir(parents=True, exist_ok=True)
        self._file = open(path, "a+b")  # noqa: SIM115, PTH123 - it lives as long as the object
        try:
            lock_alone(self._file)
        except BlockingIOError as error:
            self._file.close()
            raise ScoreFileError(f"{path}: another run is working on this recording") from error
        self._begin(json.dumps(identity, sort_keys=True).encode())
        self._synced = time.monotonic()

    def append(self, codes: Codes) -> None:
        """Add the next steps ``(steps, classes)``; they are safe from the end of this process when this returns."""
        self._write(zlib.compress(np.ascontiguousarray(codes).tobytes(), level=1))
        self.steps += len(codes)
        now = time.monotonic()
        if now - self._synced > _SYNC_SECONDS:
            os.fsync(self._file.fileno())
            self._synced = now

    def codes(self) -> Iterator[Codes]:
        """Yield all steps ``(steps, classes)`` uint8, in the blocks in which they came."""
        offset = self._body
        for payload in self._records(offset):
            yield np.frombuffer(zlib.decompress(payload), np.uint8).reshape(-1, self.classes)

    def clear(self) -> None:
        """Forget all steps."""
        self._file.truncate(self._body)
        self.steps = 0

    def close(self) -> None:
        """Let go of the file, which stays."""
        self._file.close()

    def remove(self) -> None:
        """Delete the file: what it held is kept elsewhere now."""
        self.path.unlink(missing_ok=True)
        self._file.close()

    def _begin(self, identity: bytes) -> None:
        """Find the end of what is whole; start anew if the journal is about something else."""
        self._file.seek(0)
        whole = len(_MAGIC)
        matches = self._file.read(whole) == _MAGIC
        for index, payload in enumerate(self._records(whole) if matches else ()):
            if index == 0:
                matches = payload == identity
            else:
                try:
                    size = len(zlib.decompress(payload))
                except zlib.error:
                    break
                if size % self.classes:
                    break
                self.steps += size // self.classes
            whole += _RECORD.size + len(payload)
            if not matches:
                break
        self._body = len(_MAGIC) + _RECORD.size + len(identity)
        if matches and whole >= self._body:
            self._file.truncate(whole)
            return
        self.steps = 0
        self._file.truncate(0)
        self._file.write(_MAGIC)
        self._write(identity)

    def _records(self, offset: int) -> Iterator[bytes]:
        """Yield the payloads from a byte on, up to the end or the first that is not whole."""
        while True:
            self._file.seek(offset)
            head = self._file.read(_RECORD.size)
            if len(head) < _RECORD.size:
                return
            length, checksum = _RECORD.unpack(head)
            payload = self._file.read(length) if length <= _MOST_BYTES else b""
            if len(payload) < length or zlib.crc32(payload) != checksum:
                return
            yield payload
            offset += _RECORD.size + length

    def _write(self, payload: bytes) -> None:
        with naming(self.path):
            self._file.write(_RECORD.pack(len(payload), zlib.crc32(payload)) + payload)
            self._file.flush()

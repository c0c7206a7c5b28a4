"""Embeddings on their way to stdout or to a file of many recordings: they come in a file for each recording."""

from __future__ import annotations

import shutil
from pathlib import Path
from typing import BinaryIO, Protocol

from ..errors import UsageError
from .one_recording import OneRecording

_PIECE_BYTES = 1 << 20


class WrittenPart(Protocol):
    """A recording whose embeddings were written."""

    @property
    def file(self) -> str:
        """The recording, as the user named it."""

    @property
    def part(self) -> Path | None:
        """Where they are."""


class EmbeddingCopier:
    """Copies the file of one recording.

    Parameters
    ----------
    stream : BinaryIO
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._one = OneRecording("npz, safetensors")

    def write(self, result: WrittenPart) -> None:
        """Copy the recording's file, and remove it.

        Raises
        ------
        UsageError
            If it is the second.
        """
        self._one.take(result.file)
        part = taken_part(result)
        with part.open("rb") as source:
            shutil.copyfileobj(source, self._stream, _PIECE_BYTES)
        part.unlink()

    def close(self) -> None:
        """Nothing follows."""
        self._stream.flush()


class NpyOnStream(EmbeddingCopier):
    """Refuses: of the two files that an npy needs, a stream has room for one.

    Raises
    ------
    UsageError
        Always.
    """

    def __init__(self, stream: BinaryIO) -> None:
        raise UsageError(
            "--format npy: its times are in a second file, for which stdout has no room; "
            "say --output FILE.npy, --output-dir, or --format npz"
        )


def taken_part(result: WrittenPart) -> Path:
    """Return where a recording's embeddings are."""
    assert result.part is not None, "the task was told to write no part"
    return result.part

"""The formats of embeddings: what is known of each before anything is written in it, and how all are written."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, Protocol

from .embedding_npy import NpyWriter
from .embedding_npz import NpzWriter
from .embedding_parquet import EmbeddingParquetTable, EmbeddingParquetWriter
from .embedding_parts import EmbeddingCopier, NpyOnStream, WrittenPart
from .embedding_record import check_dtype, embedding_record
from .embedding_safetensors import SafetensorsWriter

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock, EmbeddingStream


class EmbeddingWriter(Protocol):
    """Writes the embeddings of one recording, block by block, to files that appear when all is done."""

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""

    def commit(self, record: dict[str, Any]) -> None:
        """End the files with what `embedding_record` says of the recording, and put them into their places."""

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""


class EmbeddingPartWriter(Protocol):
    """Writes recordings that were written to files of their own to one stream, which it does not close."""

    def write(self, result: WrittenPart) -> None:
        """Add a recording, and remove its file."""

    def close(self) -> None:
        """End the document."""


@dataclass(frozen=True)
class EmbeddingFormat:
    """A format of embeddings.

    Parameters
    ----------
    name : str
        What ``--format`` calls it, and the ending of its files.
    suffix : str
        Ending of a recording's file of vectors, appended to its full name. Where that file is, all is there.
    file_writer : callable
        Makes an `EmbeddingWriter`: ``file_writer(path, file, dtype="float32", overwrite=False)``, where ``file`` is
        the recording's name. It raises `UsageError` if the path exists and must not be replaced.
    writer : callable
        Makes of a binary stream what takes recordings that were written to files of their own: ``write(result)`` and
        ``close()``, as the writers of tags and timelines have them.
    several : bool
        Whether one file may hold several recordings.
    binary : bool
        The stream takes bytes.
    """

    name: str
    suffix: str
    file_writer: Callable[..., EmbeddingWriter]
    writer: Callable[[BinaryIO], EmbeddingPartWriter]
    several: bool = False
    binary: bool = True


EMBEDDING_FORMATS: dict[str, EmbeddingFormat] = {
    format.name: format
    for format in (
        EmbeddingFormat("npy", ".embeddings.npy", NpyWriter, NpyOnStream),
        EmbeddingFormat("npz", ".embeddings.npz", NpzWriter, EmbeddingCopier),
        EmbeddingFormat(
            "parquet", ".embeddings.parquet", EmbeddingParquetWriter, EmbeddingParquetTable, several=True
        ),
        EmbeddingFormat("safetensors", ".embeddings.safetensors", SafetensorsWriter, EmbeddingCopier),
    )
}
"""Formats by name; the first is the one that is taken where none is named."""


def write_embeddings(
    stream: EmbeddingStream,
    places: Sequence[tuple[str, Path]],
    *,
    dtype: str = "float32",
    overwrite: bool = False,
) -> int:
    """Run a recording through the model once and write it in all formats wanted, in flat memory.

    Parameters
    ----------
    stream : EmbeddingStream
        Not begun.
    places : sequence of (str, Path)
        Name of a format, and the file for the vectors.
    dtype : {"float32", "float16"}
        How the vectors are kept.
    overwrite : bool
        Replace what is there.

    Returns
    -------
    int
        How many vectors there are.

    Raises
    ------
    UsageError
        If a file exists and must not be replaced, or a vector has no place in float16.
    AudioError
        If the recording can't be decoded. No file appears then.
    """
    check_dtype(dtype)
    with ExitStack() as stack:
        writers: list[EmbeddingWriter] = []
        for name, path in places:
            writer = EMBEDDING_FORMATS[name].file_writer(path, stream.file, dtype=dtype, overwrite=overwrite)
            stack.callback(writer.discard)
            writers.append(writer)
        vectors = width = 0
        for block in stream:
            for writer in writers:
                writer.add(block)
            vectors += len(block.vectors)
            width = block.vectors.shape[1]
        record = embedding_record(stream, vectors, width, dtype)
        for writer in writers:
            writer.commit(record)
    return vectors

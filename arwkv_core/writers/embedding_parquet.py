"""Embeddings as Parquet: a row per vector with ``file``, ``start``, ``end`` and ``embedding``, a list of fixed length.

All else is JSON under the key ``arwkv`` of the file's metadata, where ``recordings`` has an object per recording.
"""

from __future__ import annotations

import json
from contextlib import suppress
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from ..errors import ArwkvError
from ..whole_file import WholeFile
from .embedding_parts import WrittenPart, taken_part
from .embedding_record import stored
from .parquet_table import readable

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock

METADATA_KEY = b"arwkv"

_GROUP_BYTES = 8 << 20
"""Of the vectors that are held and written at once."""

_RECORDING_KEYS = ("file", "vectors", "coverage", "warnings")


class EmbeddingParquetWriter:
    """Writes the embeddings of one recording.

    Parameters
    ----------
    path : Path
    file : str
        The recording, as the user named it.
    dtype : {"float32", "float16"}
    overwrite : bool
        Replace what is there.
    """

    def __init__(self, path: Path, file: str, *, dtype: str = "float32", overwrite: bool = False) -> None:
        self.file, self.dtype = file, dtype
        self._whole = WholeFile(path, overwrite=overwrite)
        self._rows = _Rows(self._whole.stream.buffer)

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""
        vectors = stored(block.vectors, self.dtype, self.file)
        self._rows.add([readable(self.file)] * len(vectors), block.starts, block.ends, vectors)

    def commit(self, record: dict[str, Any]) -> None:
        """End the file and put it into its place."""
        self._rows.close(_common(record), [json.dumps(_recording(record), allow_nan=False)])
        self._whole.commit()

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""
        self._rows.abandon()
        self._whole.discard()


class EmbeddingParquetTable:
    """Writes a file of many recordings, each from a file of its own.

    That was written before: a recording that fails at its end leaves no rows.

    Parameters
    ----------
    stream : BinaryIO
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._rows = _Rows(stream)
        self._common: dict[str, Any] | None = None
        self._recordings: list[str] = []  # JSON: a third of what the objects would take

    def write(self, result: WrittenPart) -> None:
        """Add the rows of a recording's file, and remove that.

        Raises
        ------
        ArwkvError
            If its vectors are of another model or otherwise made.
        """
        part = taken_part(result)
        self.append(part)
        part.unlink()

    def append(self, part: Path) -> None:
        """Add the rows of a recording's file; see `write`."""
        from pyarrow import parquet

        # opened here: pyarrow takes no paths that are not UTF-8
        with part.open("rb") as stream, parquet.ParquetFile(stream) as file:
            meta = json.loads((file.metadata.metadata or {}).get(METADATA_KEY, b"{}"))
            if "recordings" not in meta:
                raise ArwkvError(f"{part}: expected embeddings written by arwkv, found other Parquet")
            recordings = meta.pop("recordings")
            if self._common is None:
                self._common = meta
            elif self._common != meta:
                raise ArwkvError(
                    f"{part}: expected vectors made as those before, {self._common}, found {meta}"
                )
            for batch in file.iter_batches(_GROUP_BYTES // (4 * meta["width"]) + 1):
                names, starts, ends, vectors = batch.columns
                flat = vectors.flatten().to_numpy(zero_copy_only=False)
                rows = flat.reshape(len(batch), meta["width"])
                self._rows.add(names.to_pylist(), starts.to_numpy(), ends.to_numpy(), rows)
        self._recordings += [json.dumps(recording) for recording in recordings]

    def close(self) -> None:
        """End the file, which holds a recording at least."""
        self._rows.close(self._common or {}, self._recordings)

    def abandon(self) -> None:
        """Let go of the stream, in the midst of the file."""
        self._rows.abandon()


class _Rows:
    """Rows on their way into a Parquet file, in groups that are worth reading.

    They are copied into arrays that are made once. Many small arrays that stay, between large ones that come and go,
    would keep the memory of the large ones from being used again: 370 MB of it were seen for a group of 8 MB.
    """

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._file: Any = None  # a ParquetWriter, once the width is known
        self._names: list[str] = []  # of the recordings, for the rows that wait

    def add(self, names: list[str], starts: NDArray[Any], ends: NDArray[Any], vectors: NDArray[Any]) -> None:
        """Take rows: names, times ``(n,)`` and vectors ``(n, width)``."""
        if self._file is None:
            self._open(vectors)
        while names:
            first = len(self._names)
            here = slice(0, len(self._vectors) - first)
            self._names += names[here]
            rows = slice(first, len(self._names))
            self._starts[rows], self._ends[rows], self._vectors[rows] = (
                starts[here],
                ends[here],
                vectors[here],
            )
            done = slice(here.stop, None)
            names, starts, ends, vectors = names[done], starts[done], ends[done], vectors[done]
            if len(self._names) == len(self._vectors):
                self._write_group()

    def close(self, common: dict[str, Any], recordings: list[str]) -> None:
        if self._names:
            self._write_group()
        text = json.dumps(common, allow_nan=False)[:-1] + ', "recordings": [' + ", ".join(recordings) + "]}"
        self._file.add_key_value_metadata({METADATA_KEY: text})
        self._file.close()
        self._stream.flush()

    def abandon(self) -> None:
        """Let go of a stream that is closed next: the ParquetWriter would write to it when it is collected."""
        if self._file is not None:
            with suppress(OSError, ValueError):
                self._file.close()

    def _open(self, vectors: NDArray[Any]) -> None:
        import pyarrow as pa
        from pyarrow import parquet

        width = vectors.shape[1]
        rows = max(1, _GROUP_BYTES // (width * vectors.itemsize))
        self._starts, self._ends = np.empty(rows), np.empty(rows)
        self._vectors = np.empty((rows, width), vectors.dtype)
        self._schema = pa.schema(
            [
                ("file", pa.string()),
                ("start", pa.float64()),
                ("end", pa.float64()),
                ("embedding", pa.list_(pa.from_numpy_dtype(vectors.dtype), width)),
            ]
        )
        self._file = parquet.ParquetWriter(
            self._stream, self._schema, compression="zstd", use_dictionary=["file"]
        )

    def _write_group(self) -> None:
        import pyarrow as pa

        count = len(self._names)
        vectors = pa.FixedSizeListArray.from_arrays(
            pa.array(self._vectors[:count].reshape(-1)), self._vectors.shape[1]
        )
        columns = [
            pa.array(self._names, pa.string()),
            pa.array(self._starts[:count]),
            pa.array(self._ends[:count]),
            vectors,
        ]
        self._file.write_table(pa.Table.from_arrays(columns, schema=self._schema), row_group_size=count)
        self._names = []


def _common(record: dict[str, Any]) -> dict[str, Any]:
    return {key: value for key, value in record.items() if key not in _RECORDING_KEYS}


def _recording(record: dict[str, Any]) -> dict[str, Any]:
    return {key: record[key] for key in _RECORDING_KEYS}

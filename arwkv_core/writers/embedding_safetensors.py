"""Embeddings as safetensors: ``embeddings``, ``start``, ``end``, and a JSON text ``arwkv`` in the metadata."""

from __future__ import annotations

import json
from pathlib import Path
from typing import TYPE_CHECKING, Any

from ..whole_file import WholeFile
from .embedding_record import TIME_DTYPE, stored
from .spool import Spool

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock

_NAMES = {"float32": "F32", "float16": "F16"}
_ALIGNMENT = 8


class SafetensorsWriter:
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
        # the file begins with the places of all tensors, whose lengths are known at the end
        self._vectors, self._starts, self._ends = (Spool(path.parent) for _ in range(3))

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""
        self._vectors.add(stored(block.vectors, self.dtype, self.file))
        self._starts.add(block.starts.astype(TIME_DTYPE))
        self._ends.add(block.ends.astype(TIME_DTYPE))

    def commit(self, record: dict[str, Any]) -> None:
        """Put the tensors together and the file into its place."""
        count, width = record["vectors"], record["width"]
        tensors: list[tuple[str, str, list[int], Spool]] = [  # wider numbers first, so that all lie aligned
            ("start", "F64", [count], self._starts),
            ("end", "F64", [count], self._ends),
            ("embeddings", _NAMES[self.dtype], [count, width], self._vectors),
        ]
        # JSON inside JSON: the inner one may escape what is no text, which readers of the outer one refuse
        header: dict[str, Any] = {"__metadata__": {"arwkv": json.dumps(record, allow_nan=False)}}
        offset = 0
        for name, dtype, shape, spool in tensors:
            header[name] = {
                "dtype": dtype,
                "shape": shape,
                "data_offsets": [offset, offset + spool.bytes],
            }
            offset += spool.bytes
        text = json.dumps(header).encode()
        text += b" " * (-len(text) % _ALIGNMENT)
        stream = self._whole.stream.buffer
        stream.write(len(text).to_bytes(8, "little") + text)
        for _, _, _, spool in tensors:
            spool.copy_to(stream)
        self._whole.commit()

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""
        self._whole.discard()
        for spool in (self._vectors, self._starts, self._ends):
            spool.close()

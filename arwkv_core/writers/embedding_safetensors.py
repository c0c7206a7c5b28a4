"""Embeddings as safetensors: ``embeddings``, ``start``, ``end``, and a JSON text ``arwkv`` in the metadata."""

from __future__ import annotations

import json
from typing import Any

from .embedding_spools import SpooledEmbeddings
from .spool import Spool

_NAMES = {"float32": "F32", "float16": "F16"}
_ALIGNMENT = 8


class SafetensorsWriter(SpooledEmbeddings):
    """Writes the embeddings of one recording.

    The file begins with the places of all tensors, whose lengths are known at the end.
    """

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

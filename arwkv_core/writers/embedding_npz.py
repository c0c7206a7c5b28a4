"""Embeddings as NumPy's npz: the arrays ``embeddings``, ``start``, ``end``, and ``meta``, a JSON text."""

from __future__ import annotations

import json
import zipfile
from typing import Any, BinaryIO, cast

import numpy as np

from .embedding_npy import write_header
from .embedding_record import TIME_DTYPE
from .embedding_spools import SpooledEmbeddings


class NpzWriter(SpooledEmbeddings):
    """Writes the embeddings of one recording.

    An array's length comes before its numbers, and what is in a zip can't be changed.
    """

    def commit(self, record: dict[str, Any]) -> None:
        """Put the arrays together and the file into its place."""
        count = record["vectors"]
        arrays = {
            "embeddings": (self._vectors, (count, record["width"]), self.dtype),
            "start": (self._starts, (count,), TIME_DTYPE),
            "end": (self._ends, (count,), TIME_DTYPE),
        }
        with zipfile.ZipFile(self._whole.stream.buffer, "w", allowZip64=True) as archive:
            for name, (spool, shape, dtype) in arrays.items():
                with archive.open(_entry(name), "w", force_zip64=True) as entry:
                    write_header(cast(BinaryIO, entry), shape, dtype)
                    spool.copy_to(cast(BinaryIO, entry))
            with archive.open(_entry("meta"), "w") as entry:
                # in ASCII: undecodable bytes of file names stay what they are
                np.lib.format.write_array(entry, np.array(json.dumps(record, allow_nan=False)))
        self._whole.commit()


def _entry(name: str) -> zipfile.ZipInfo:
    """An array's place in the archive; its time is the first that zip knows, so that equal content is equal."""
    return zipfile.ZipInfo(f"{name}.npy")

"""Embeddings as NumPy's npz: the arrays ``embeddings``, ``start``, ``end``, and ``meta``, a JSON text."""

from __future__ import annotations

import json
import zipfile
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO, cast

import numpy as np

from ..whole_file import WholeFile
from .embedding_npy import write_header
from .embedding_record import TIME_DTYPE, stored
from .spool import Spool

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock


class NpzWriter:
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
        # an array's length comes before its numbers, and what is in a zip can't be changed
        self._vectors, self._starts, self._ends = (Spool(path.parent) for _ in range(3))

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""
        self._vectors.add(stored(block.vectors, self.dtype, self.file))
        self._starts.add(block.starts.astype(TIME_DTYPE))
        self._ends.add(block.ends.astype(TIME_DTYPE))

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

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""
        self._whole.discard()
        for spool in (self._vectors, self._starts, self._ends):
            spool.close()


def _entry(name: str) -> zipfile.ZipInfo:
    """An array's place in the archive; its time is the first that zip knows, so that equal content is equal."""
    return zipfile.ZipInfo(f"{name}.npy")

"""Embeddings as NumPy's npy with a JSON file beside it, which has the times and all else.

The vectors can be mapped (``numpy.load(path, mmap_mode="r")``). They come last and, where others are replaced, the old
ones go first: where an npy is, the JSON beside it belongs to it and both are complete.
"""

from __future__ import annotations

import io
import json
from pathlib import Path
from typing import TYPE_CHECKING, Any, BinaryIO

import numpy as np

from ..whole_file import WholeFile, check_output
from .embedding_record import TIME_DTYPE, stored
from .spool import Spool

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock


class NpyWriter:
    """Writes the embeddings of one recording.

    Parameters
    ----------
    path : Path
        For the vectors; `sidecar` tells the place of the JSON.
    file : str
        The recording, as the user named it.
    dtype : {"float32", "float16"}
    overwrite : bool
        Replace what is there.
    """

    def __init__(self, path: Path, file: str, *, dtype: str = "float32", overwrite: bool = False) -> None:
        self.file, self.dtype, self.overwrite = file, dtype, overwrite
        self._sidecar = sidecar(path)
        check_output(self._sidecar, overwrite=overwrite)
        self._whole = WholeFile(path, overwrite=overwrite)
        self._times = {"start": Spool(path.parent), "end": Spool(path.parent)}
        self._vectors = self._header_bytes = 0

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""
        stream = self._whole.stream.buffer
        if not self._header_bytes:  # room for it: how many vectors there are is known at the end
            self._header_bytes = write_header(stream, (0, block.vectors.shape[1]), self.dtype)
        stream.write(stored(block.vectors, self.dtype, self.file).data)
        self._vectors += len(block.vectors)
        self._times["start"].add(block.starts.astype(TIME_DTYPE))
        self._times["end"].add(block.ends.astype(TIME_DTYPE))

    def commit(self, record: dict[str, Any]) -> None:
        """Put the JSON into its place, then the vectors."""
        stream = self._whole.stream.buffer
        stream.seek(0)
        written = write_header(stream, (self._vectors, record["width"]), self.dtype)
        assert written == self._header_bytes, "numpy leaves room for any number of rows"
        described = WholeFile(self._sidecar, overwrite=self.overwrite)
        try:
            self._describe(described, record)
            if self.overwrite:
                self._whole.path.unlink(missing_ok=True)
            described.commit()
            self._whole.commit()
        finally:
            described.discard()

    def discard(self) -> None:
        """Leave nothing behind; no harm after `commit`."""
        self._whole.discard()
        for times in self._times.values():
            times.close()

    def _describe(self, file: WholeFile, record: dict[str, Any]) -> None:
        """Write the JSON, whose lists of times are never held."""
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        file.stream.write(text.removesuffix("\n}"))
        for key, times in self._times.items():
            file.stream.write(f',\n  "{key}": ')
            separator = "["
            for piece in times.numbers(TIME_DTYPE):
                file.stream.write(separator + ", ".join(map(repr, piece.tolist())))
                separator = ", "
            file.stream.write("]")
        file.stream.write("\n}\n")


def sidecar(path: Path) -> Path:
    """Return the place of the JSON that belongs to the vectors in ``path``."""
    return path.with_suffix(".json") if path.suffix == ".npy" else path.with_name(path.name + ".json")


def write_header(stream: BinaryIO, shape: tuple[int, ...], dtype: str) -> int:
    """Write what comes before the numbers of an npy; return its length, which any number of rows leaves as it is."""
    kind = np.dtype(dtype).newbyteorder("<").str
    header = io.BytesIO()
    np.lib.format.write_array_header_1_0(header, {"descr": kind, "fortran_order": False, "shape": shape})
    return stream.write(header.getvalue())

"""Embeddings on their way into a format whose beginning tells how many there are: kept aside until all have come."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

from ..whole_file import WholeFile
from .embedding_record import TIME_DTYPE, stored
from .spool import Spool

if TYPE_CHECKING:
    from ..embeddings import EmbeddingBlock


class SpooledEmbeddings:
    """Takes the embeddings of one recording; a format's ``commit`` puts the file together.

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
        self._vectors, self._starts, self._ends = (Spool(path.parent) for _ in range(3))

    def add(self, block: EmbeddingBlock) -> None:
        """Take the next vectors."""
        self._vectors.add(stored(block.vectors, self.dtype, self.file))
        self._starts.add(block.starts.astype(TIME_DTYPE))
        self._ends.add(block.ends.astype(TIME_DTYPE))

    def discard(self) -> None:
        """Leave nothing behind; no harm after ``commit``."""
        self._whole.discard()
        for spool in (self._vectors, self._starts, self._ends):
            spool.close()

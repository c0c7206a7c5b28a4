"""Numbers that wait on disk until it is known how many there are."""

from __future__ import annotations

import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

_PIECE_BYTES = 1 << 20


class Spool:
    """A nameless file beside the output that needs it; the system removes it even after a kill.

    Parameters
    ----------
    folder : Path
        Where the output will be: there is room for it, which the folder for temporary files need not have.

    Attributes
    ----------
    bytes : int
        How much was added.
    """

    def __init__(self, folder: Path) -> None:
        self._file = tempfile.TemporaryFile(dir=folder)  # noqa: SIM115 - closed by close()
        self.bytes = 0

    def add(self, numbers: NDArray[Any]) -> None:
        """Take the next numbers, as the bytes of a contiguous array."""
        self._file.write(np.ascontiguousarray(numbers).data)
        self.bytes += numbers.nbytes

    def copy_to(self, stream: BinaryIO) -> None:
        """Write all to a stream."""
        self._file.seek(0)
        shutil.copyfileobj(self._file, stream, _PIECE_BYTES)

    def numbers(self, dtype: str) -> Iterator[NDArray[Any]]:
        """Yield all in pieces of a megabyte."""
        self._file.seek(0)
        while piece := self._file.read(_PIECE_BYTES):
            yield np.frombuffer(piece, dtype)

    def close(self) -> None:
        """Give the disk back."""
        self._file.close()

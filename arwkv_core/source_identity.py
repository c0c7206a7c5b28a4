"""Whether a recording is still the one that was heard."""

# ruff: noqa: PTH100, PTH116, PTH123 - paths stay text here, as the user wrote them

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

_SAMPLES = 16
_SAMPLE_BYTES = 65_536
_READ_BYTES = 1 << 20


@dataclass(frozen=True)
class SourceIdentity:
    """What a file was like.

    Parameters
    ----------
    path : str
        Absolute; for information, since files are moved.
    size : int
        Bytes.
    mtime_ns : int
        When it was changed last, in nanoseconds since 1970.
    sha256 : str
        Of all its bytes.
    sample_sha256 : str
        Of sixteen blocks of 64 KiB, evenly spread; of all bytes, if there are no more. Quick to make again.
    ctime_ns : int
        When the system noted a change last, of content, name or rights: no program can set it back. 0: not known.
    """

    path: str
    size: int
    mtime_ns: int
    sha256: str
    sample_sha256: str
    ctime_ns: int = 0

    def still(self, path: str | Path) -> bool:
        """Whether the file at ``path`` has the same content.

        A file of the same size and times is compared by its samples, one with another time by all its bytes: tools
        that write into a recording may set the time of its last change back.

        Raises
        ------
        OSError
            If it can't be read.
        """
        status = os.stat(path)
        if status.st_size != self.size:
            return False
        if (status.st_mtime_ns, status.st_ctime_ns) == (self.mtime_ns, self.ctime_ns):
            return sample_hash(path, self.size) == self.sample_sha256
        return _whole_hash(path) == self.sha256


def identify(path: str | Path) -> SourceIdentity:
    """Take the identity of a file, reading all of it once.

    Raises
    ------
    OSError
        If it can't be read.
    """
    status = os.stat(path)
    return SourceIdentity(
        path=os.path.abspath(path),
        size=status.st_size,
        mtime_ns=status.st_mtime_ns,
        sha256=_whole_hash(path),
        sample_sha256=sample_hash(path, status.st_size),
        ctime_ns=status.st_ctime_ns,
    )


def _whole_hash(path: str | Path) -> str:
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        while block := file.read(_READ_BYTES):
            digest.update(block)
    return digest.hexdigest()


def sample_hash(path: str | Path, size: int) -> str:
    """Hash sixteen evenly spread blocks of a file of ``size`` bytes; see `SourceIdentity.sample_sha256`."""
    digest = hashlib.sha256()
    with open(path, "rb", buffering=0) as file:
        if size <= _SAMPLES * _SAMPLE_BYTES:
            digest.update(file.read())
        else:
            for index in range(_SAMPLES):
                file.seek((size - _SAMPLE_BYTES) * index // (_SAMPLES - 1))
                digest.update(file.read(_SAMPLE_BYTES))
    return digest.hexdigest()

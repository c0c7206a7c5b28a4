"""Where the bytes of a recording come from: a path, standard input or a file object, as one seekable file."""

from __future__ import annotations

import os
import shutil
import stat
import sys
import tempfile
from io import SEEK_END
from pathlib import Path
from typing import Any, BinaryIO

from arwkv_core.errors import AudioError

HEAD_BYTES = 64
_COPY_BYTES = 1 << 20


class AudioSource:
    """A recording's bytes, open for reading and seekable.

    Both decoders need to seek: the index of an mp4 may stand at its end. What can't seek (a pipe, a network
    response) is therefore copied to an unnamed temporary file first, not held in memory.

    Parameters
    ----------
    path : str, os.PathLike or binary file object
        ``"-"`` is standard input. A file object is read from its beginning and left open.

    Attributes
    ----------
    name : str
        What messages call it; always printable.
    file : BinaryIO
        Seekable.
    fileno : int or None
        Descriptor of `file`, where its offset is that of the descriptor.
    size : int
        Bytes.
    head : bytes
        The first 64 bytes, or fewer.

    Raises
    ------
    AudioError
        If there is nothing to read: missing, a folder, not permitted, empty ...
    """

    def __init__(self, path: str | os.PathLike[str] | BinaryIO) -> None:
        self._owned = True
        self.fileno: int | None = None
        if hasattr(path, "read"):
            self.name = _printable(getattr(path, "name", None) or "the file object")
            self.file = self._adopt(path)
        elif os.fspath(path) == "-":
            self.name = "standard input"
            self.file = self._adopt(_standard_input())
        else:
            self.name = _printable(os.fspath(path))
            self.file = self._open(Path(os.fsdecode(path)))
        try:
            self.size = self.file.seek(0, SEEK_END)
            self.file.seek(0)
            self.head = self.file.read(HEAD_BYTES)
        except OSError as error:
            self.close()
            raise AudioError(f"{self.name}: can't be read: {_reason(error)}") from error
        if not self.head:
            self.close()
            raise AudioError(f"{self.name}: is empty (0 bytes); expected sound: was its copy finished?")

    def close(self) -> None:
        """Close what was opened here."""
        if self._owned:
            self.file.close()

    def _open(self, path: Path) -> BinaryIO:
        try:
            if path.is_dir():
                raise AudioError(f"{self.name}: is a folder; expected a sound file")
            file = path.open("rb", buffering=0)
        except (OSError, ValueError) as error:  # ValueError: a zero byte in the name
            raise AudioError(f"{self.name}: {_reason(error)}") from error
        kind = os.fstat(file.fileno()).st_mode
        if stat.S_ISREG(kind):
            self.fileno = file.fileno()
            return file
        with file:
            if stat.S_ISFIFO(kind) or stat.S_ISSOCK(kind):
                return self._spool(file)
        raise AudioError(f"{self.name}: is a device; expected a sound file, or - for standard input")

    def _adopt(self, file: Any) -> BinaryIO:
        if not isinstance(file.read(0), bytes):
            raise AudioError(f"{self.name}: is opened as text; expected a file opened with mode 'rb'")
        if hasattr(file, "seekable") and file.seekable():
            self._owned = False
            adopted: BinaryIO = file
            return adopted
        return self._spool(file)

    def _spool(self, file: Any) -> BinaryIO:
        spool = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115 (closed by `close`)
        try:
            shutil.copyfileobj(file, spool, _COPY_BYTES)
        except OSError as error:
            spool.close()
            raise AudioError(
                f"{self.name}: can't be copied to the temporary folder {tempfile.gettempdir()}: "
                f"{_reason(error)}; set TMPDIR to a folder with more room"
            ) from error
        except BaseException:
            spool.close()
            raise
        self.fileno = spool.fileno()
        return spool


def _standard_input() -> BinaryIO:
    if sys.stdin is None or sys.stdin.isatty():
        raise AudioError("standard input: is a terminal; expected sound, as in: arwkv tag - < recording.wav")
    return sys.stdin.buffer  # seekable, and then not copied, where the shell redirected it from a file


def _reason(error: Exception) -> str:
    if isinstance(error, FileNotFoundError):
        return "there is no such file"
    if isinstance(error, PermissionError):
        return "may not be read: permission denied"
    return getattr(error, "strerror", None) or str(error)


def _printable(name: object) -> str:
    """`name` with bytes that aren't UTF-8 written as escapes, so that every terminal and log takes it."""
    text = os.fsdecode(name) if isinstance(name, str | bytes) else str(name)
    return text.encode(errors="backslashreplace").decode()

"""Write a file so that it appears under its name whole, or not at all."""

import os
import secrets
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path
from typing import TextIO

from .errors import UsageError

PARTIAL_SUFFIX = ".partial"


def check_output(path: Path, *, overwrite: bool, option: str = "--output") -> None:
    """Refuse an output that can't or must not be written, before any work is done for it.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Whether it may exist.
    option : str
        That names it, for the message.

    Raises
    ------
    UsageError
        If the path exists and ``overwrite`` is not set, is a folder, or lies in a folder that doesn't exist.
    """
    if path.is_dir():
        raise UsageError(f"{option} {path}: expected a file, found a folder")
    if not path.parent.is_dir():
        raise UsageError(f"{option} {path}: there is no folder {path.parent}")
    if os.path.lexists(path) and not overwrite:
        raise UsageError(f"{option} {path}: exists already; --overwrite replaces it")


def check_not_input(path: Path, inputs: Iterable[str]) -> None:
    """Refuse to replace one of the recordings that are read.

    Raises
    ------
    UsageError
        If ``path`` is one of ``inputs``, under whatever name.
    """
    if not path.exists():
        return
    for name in inputs:
        with suppress(OSError):  # stdin, or a file that isn't there
            if path.samefile(name):
                raise UsageError(f"--output {path}: is one of the recordings; name another file")


@contextmanager
def naming(path: Path) -> Iterator[None]:
    """Let errors of the system that come without a file's name, as that of a full disk does, bear this one."""
    try:
        yield
    except OSError as error:
        if error.filename is None:
            error.filename = str(path)
        raise


class WholeFile:
    r"""A text file in UTF-8 that is written under a temporary name beside its place.

    Parameters
    ----------
    path : Path
    overwrite : bool
        Replace what is there.

    Attributes
    ----------
    stream : TextIO
        What to write to. What is no text (bytes of undecodable file names) is written as ``\udcff``.

    Raises
    ------
    UsageError
        See `check_output`.
    """

    def __init__(self, path: Path, *, overwrite: bool = False) -> None:
        check_output(path, overwrite=overwrite)
        self.path, self.overwrite = path, overwrite
        # another name in every run, so that two runs with one output don't write into each other's, and a short
        # one: that of the file may be as long as names can be
        self._temporary = path.with_name(f".{secrets.token_hex(8)}{PARTIAL_SUFFIX}")
        self.stream: TextIO = self._temporary.open(
            "x", encoding="utf-8", errors="backslashreplace", newline=""
        )

    def commit(self) -> Path:
        """Put the file into its place; return the path.

        Raises
        ------
        UsageError
            If something has appeared there meanwhile; what was written is kept then, see `keep_partial`.
        """
        try:
            check_output(self.path, overwrite=self.overwrite)
        except UsageError as error:
            raise UsageError(f"{error}; this run's output is in {self.keep_partial()}") from error
        self._close()
        self._temporary.replace(self.path)
        return self.path

    def keep_partial(self) -> Path:
        """Keep what was written of an interrupted run as ``NAME.partial``; return that path."""
        self._close()
        partial = self.path.with_name(self.path.name + PARTIAL_SUFFIX)
        self._temporary.replace(partial)
        return partial

    def discard(self) -> None:
        """Leave nothing behind."""
        with suppress(OSError):  # the disk is full
            self.stream.close()
        self._temporary.unlink(missing_ok=True)

    def _close(self) -> None:
        try:
            with naming(self.path):
                self.stream.flush()
                os.fsync(
                    self.stream.fileno()
                )  # on disk before its name is, or a power cut leaves an empty file
                self.stream.close()
        except OSError:
            self.discard()  # its end is missing
            raise

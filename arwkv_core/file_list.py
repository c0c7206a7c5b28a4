"""Lists of files, as other programs write them."""

import os
import sys
from pathlib import Path

from .errors import UsageError

_UTF8_MARK = b"\xef\xbb\xbf"


def read_file_list(source: str) -> list[str]:
    r"""Read the names in a list.

    With a zero byte in it, names end with those, as ``find -print0`` writes them; otherwise each line is a name.
    Blank ones are skipped. Bytes that aren't text come back when the file is opened.

    Parameters
    ----------
    source : str
        A path, or ``-`` for stdin.

    Returns
    -------
    list of str
        A file whose name is ``-`` is ``./-``, since ``-`` would be stdin.

    Raises
    ------
    UsageError
        If the list can't be read.
    """
    try:
        data = _read_stdin() if source == "-" else Path(source).read_bytes()
    except OSError as error:
        raise UsageError(f"--files-from {source}: can't be read: {error.strerror}") from error
    if b"\0" in data:
        names = data.split(b"\0")
    else:
        lines = data.removeprefix(_UTF8_MARK).split(b"\n")
        names = [line.removesuffix(b"\r") for line in lines]  # lists from Windows
    return [os.path.join(".", "-") if name == b"-" else os.fsdecode(name) for name in names if name.strip()]  # noqa: PTH118


def _read_stdin() -> bytes:
    if sys.stdin is None or sys.stdin.isatty():
        raise UsageError("--files-from -: expected a list of files on stdin, found a terminal")
    return sys.stdin.buffer.read()

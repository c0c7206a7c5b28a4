"""Text of label files and tables as programs write it: UTF-8, or UTF-16 where Excel saved it as Unicode text."""

from __future__ import annotations

import codecs
from pathlib import Path

_UTF16 = (codecs.BOM_UTF16_LE, codecs.BOM_UTF16_BE)


def read_label_text(path: Path) -> str:
    """Read a file in UTF-8, or in UTF-16 if it begins with that encoding's byte order mark.

    Raises
    ------
    OSError
        If it can't be read.
    UnicodeDecodeError
        If it is in another encoding.
    """
    return decoded(path.read_bytes())


def decoded(data: bytes, errors: str = "strict") -> str:
    """Text of bytes, without a byte order mark."""
    return data.decode("utf-16" if data.startswith(_UTF16) else "utf-8-sig", errors)

"""Whether an Ogg file is whole: its last page carries the mark of a last page."""

from __future__ import annotations

from typing import BinaryIO

_LARGEST_PAGE_BYTES = 65_307
_FLAGS_OFFSET = 5
_LAST_PAGE = 0x04


def ends_with_last_page(file: BinaryIO, size: int) -> bool:
    """Tell whether the last page in `file`, of `size` bytes, ends its stream; changes the file's offset."""
    file.seek(max(0, size - _LARGEST_PAGE_BYTES))
    tail = file.read(_LARGEST_PAGE_BYTES)
    page = tail.rfind(b"OggS")
    return 0 <= page < len(tail) - _FLAGS_OFFSET and bool(tail[page + _FLAGS_OFFSET] & _LAST_PAGE)

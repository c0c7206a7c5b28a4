"""How many frames an mp3 says that it has: the Xing, Info or VBRI tag in its first frame."""

from __future__ import annotations

from typing import BinaryIO

_ID3_HEADER_BYTES = 10
_FRAME_BYTES = 1500  # more than the largest first frame up to the end of its tag
_COUNT_OFFSETS = {b"Xing": 8, b"Info": 8, b"VBRI": 14}  # from the tag's name
_HAS_COUNT = 0x01  # flag of Xing and Info


def stated_frame_count(file: BinaryIO) -> int | None:
    """Look behind an ID3 tag for the tag with the number of frames.

    Returns
    -------
    int or None
        None without such a tag: a player can then only estimate the duration from the bit rate. The file's
        offset is left as it was.
    """
    offset = file.tell()
    try:
        file.seek(0)
        head = file.read(_ID3_HEADER_BYTES)
        start = 0
        if head[:3] == b"ID3" and len(head) == _ID3_HEADER_BYTES:
            size = 0
            for byte in head[6:]:  # four times seven bits
                size = size << 7 | byte & 0x7F
            start = _ID3_HEADER_BYTES + size
        file.seek(start)
        frame = file.read(_FRAME_BYTES)
    finally:
        file.seek(offset)
    for name, count_offset in _COUNT_OFFSETS.items():
        tag = frame.find(name)
        count = frame[tag + count_offset : tag + count_offset + 4]
        if tag >= 0 and len(count) == 4 and (name == b"VBRI" or frame[tag + 7] & _HAS_COUNT):
            return int.from_bytes(count, "big") or None
    return None

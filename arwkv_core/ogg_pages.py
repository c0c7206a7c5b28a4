"""Whether an Ogg file is whole: one stream of consecutive pages, all of them as their checksums say.

libsndfile passes over damaged pages without a word and stops at the second of several streams. A look at the
pages first costs some milliseconds for an hour of sound, and tells which decoder can read the file to its end.
"""

from __future__ import annotations

import zlib
from dataclasses import dataclass
from typing import BinaryIO

_HEADER_BYTES = 27
_FIRST_PAGE, _LAST_PAGE = 0x02, 0x04
_REVERSED_BITS = bytes(int(f"{byte:08b}"[::-1], 2) for byte in range(256))
_SEARCH_BYTES = 1 << 16
_MOST_WRONG_PAGES = 10_000  # a file of nothing but marks would take a day to look through


@dataclass(frozen=True)
class OggPages:
    """What a walk over all pages found.

    Attributes
    ----------
    streams : int
        First pages: more than one if streams are joined or interleaved.
    damaged : int
        Places where a page is missing or isn't as its checksum says.
    ended : bool
        Whether the last page is marked as such and complete.
    """

    streams: int
    damaged: int
    ended: bool


def inspect_ogg(file: BinaryIO) -> OggPages:
    """Walk over the pages of an Ogg file.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its offset is changed.
    """
    file.seek(0)
    streams = damaged = wrong = 0
    ended, in_step = False, True
    following: dict[bytes, int] = {}  # serial number of a stream -> number of its next page
    while header := file.read(_HEADER_BYTES):
        if len(header) < _HEADER_BYTES:
            ended = False
            break
        if header[:4] != b"OggS":
            damaged += in_step  # a hole counts once
            in_step = False
            if not _find_page(file, header):
                break
            continue
        lengths = file.read(header[26])
        body = file.read(sum(lengths))
        if len(lengths) < header[26] or len(body) < sum(lengths):
            ended = False  # truncated
            break
        if _checksum(header[:22] + bytes(4) + header[26:] + lengths + body) != header[22:26]:
            damaged += in_step
            in_step = False
            wrong += 1
            if wrong > _MOST_WRONG_PAGES:
                break
            file.seek(1 - _HEADER_BYTES - len(lengths) - len(body), 1)  # the length may be wrong, too
            if not _find_page(file, b""):
                break
            continue
        flags, serial = header[5], header[14:18]
        number = int.from_bytes(header[18:22], "little")
        streams += bool(flags & _FIRST_PAGE)
        if not flags & _FIRST_PAGE and number != following.get(serial, number):
            damaged += in_step
        following[serial] = number + 1 & 0xFFFFFFFF
        ended, in_step = bool(flags & _LAST_PAGE), True
    return OggPages(streams, damaged, ended and in_step)


def _find_page(file: BinaryIO, tail: bytes) -> bool:
    """Move to the next page, of which `tail` may hold the beginning; False if there is none."""
    file.seek(-max(0, len(tail) - 1), 1)
    while data := file.read(_SEARCH_BYTES):
        place = data.find(b"OggS")
        if place >= 0:
            file.seek(place - len(data), 1)
            return True
        if len(data) > 3:
            file.seek(-3, 1)  # the mark may lie across the border
        if len(data) < _SEARCH_BYTES:
            return False
    return False


def _checksum(page: bytes) -> bytes:
    """Checksum of a page whose own field is zero: CRC-32 from the highest bit, starting at 0.

    zlib's runs from the lowest bit and starts at all ones; reversed bits and a start of zeros make it the same.
    """
    reflected = zlib.crc32(page.translate(_REVERSED_BITS), 0xFFFFFFFF) ^ 0xFFFFFFFF
    return reflected.to_bytes(4, "big").translate(_REVERSED_BITS)

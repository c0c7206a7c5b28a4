"""The metadata that recorders put beside the sound, read without the sound.

Of a wav file (also RF64, BW64, RIFX and Sony Wave64) the chunks before and behind the samples; of a FLAC file
its comments, and the chunks that ``flac --keep-foreign-metadata`` has kept of the wav it was made from. What is
damaged gives less, or nothing, and never an error: a recording is worth hearing whatever its metadata.
"""

import struct
from collections.abc import Iterator
from io import SEEK_END, BytesIO
from typing import BinaryIO, NamedTuple

from .sound_chunk import LAYOUTS, find_sound_chunk

MOST_BYTES = 1 << 16
"""Of a chunk. Metadata with a time in it is shorter, and a lying size must not fill the memory."""

_MOST_CHUNKS = 256
_RIFF_LIKE = (b"RIFF", b"RF64", b"BW64", b"RIFX", b"riff")
_FLAC_APPLICATION, _FLAC_COMMENT = 2, 4


class Chunk(NamedTuple):
    """A piece of metadata."""

    name: str
    """In lower case: ``guan``, ``bext``, ``list`` …; ``comment`` for a FLAC file's comments."""
    body: bytes
    whole: bool
    """False if the file or our patience ended before the chunk did."""


def read_metadata(file: BinaryIO, wanted: frozenset[str]) -> list[Chunk]:
    """Return the metadata of a recording.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its offset is changed.
    wanted : frozenset of str
        Names of the chunks to read, in lower case; the others are passed over.

    Returns
    -------
    list of Chunk
        In the order of the file; none for other formats.

    Raises
    ------
    OSError
        If the disk fails.
    """
    size = file.seek(0, SEEK_END)
    file.seek(0)
    head = file.read(10)
    if head.startswith(_RIFF_LIKE):
        return list(_riff_chunks(file, size, wanted))
    if head.startswith(b"ID3") and len(head) == 10:  # some taggers put an mp3's tag before a FLAC file
        file.seek(10 + _synchsafe(head[6:10]))
        if file.read(4) == b"fLaC":
            return list(_flac_chunks(file, file.tell(), wanted))
    elif head.startswith(b"fLaC"):
        return list(_flac_chunks(file, 4, wanted))
    return []


def _riff_chunks(file: BinaryIO, size: int, wanted: frozenset[str]) -> Iterator[Chunk]:
    """Walk the chunks of a wav file; over the samples with the size that the decoders believe."""
    sound = find_sound_chunk(file, size)
    file.seek(0)
    layout = LAYOUTS[file.read(4)]
    size_bytes = struct.calcsize(layout.size_format)
    header = layout.name_bytes + size_bytes
    offset = layout.first
    for _ in range(_MOST_CHUNKS):
        if offset > size:  # a size of 64 bits can lead further than a file can be
            return
        file.seek(offset)
        head = file.read(header)
        if len(head) < header:
            return
        start = offset + header
        (promised,) = struct.unpack(layout.size_format, head[layout.name_bytes :])
        promised -= header if layout.header_counts else 0
        if sound is not None and start == sound.start:
            if sound.promised is None or sound.truncated:
                return
            promised = sound.promised
        if promised < 0:
            return
        name = head[:4].decode("latin-1").lower()
        if name in wanted:
            body = file.read(min(promised, MOST_BYTES))
            yield Chunk(name, body, len(body) == promised)
        end = start + promised
        offset = start + -(-promised // layout.alignment) * layout.alignment
        if (
            offset != end
            and header == 8
            and _chunk_at(file, size, end, layout.size_format)
            and not _chunk_at(file, size, offset, layout.size_format)
        ):
            offset = end  # many writers forget the padding of an odd size


def _chunk_at(file: BinaryIO, size: int, offset: int, size_format: str) -> bool:
    """Whether a chunk can begin there: a name of four printable characters, and a size that fits."""
    file.seek(offset)
    head = file.read(8)
    if len(head) < 8 or not all(0x20 <= byte < 0x7F for byte in head[:4]):
        return False
    return offset + 8 + int(struct.unpack(size_format, head[4:])[0]) <= size


def _flac_chunks(file: BinaryIO, offset: int, wanted: frozenset[str]) -> Iterator[Chunk]:
    """Walk the metadata blocks of a FLAC file: kept RIFF chunks have a block each."""
    for _ in range(_MOST_CHUNKS):
        file.seek(offset)
        head = file.read(4)
        if len(head) < 4:
            return
        kind, promised = head[0] & 0x7F, int.from_bytes(head[1:], "big")
        if kind == _FLAC_COMMENT and "comment" in wanted:
            body = file.read(min(promised, MOST_BYTES))
            yield Chunk("comment", body, len(body) == promised)
        elif kind == _FLAC_APPLICATION:
            body = file.read(min(promised, MOST_BYTES + 12))
            if body.startswith(b"riff") and len(body) >= 12:
                name = body[4:8].decode("latin-1").lower()
                (inner,) = struct.unpack("<I", body[8:12])
                if name in wanted:
                    yield Chunk(name, body[12 : 12 + inner], len(body) - 12 >= inner)
        if head[0] & 0x80:  # the last block
            return
        offset += 4 + promised


def flac_comments(body: bytes) -> dict[str, str]:
    """Read a block of Vorbis comments: names in lower case; of several with one name the first."""
    file = BytesIO(body)

    def text() -> bytes:
        return file.read(int.from_bytes(file.read(4), "little"))

    text()  # who wrote it
    comments: dict[str, str] = {}
    for _ in range(min(int.from_bytes(file.read(4), "little"), _MOST_CHUNKS)):
        name, _equals, value = text().decode("utf-8", "replace").partition("=")
        comments.setdefault(name.lower(), value)
    return comments


def _synchsafe(data: bytes) -> int:
    """Read a number of seven bits a byte, as ID3 has them."""
    number = 0
    for byte in data:
        number = number << 7 | byte & 0x7F
    return number

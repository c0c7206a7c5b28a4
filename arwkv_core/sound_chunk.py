"""What a wav, w64, aiff, caf or au file promises: the size of its samples, against the bytes that are there.

Decoders hide the promise: they shorten it quietly to what they find. It tells a truncated file from a whole
one, and a writer that couldn't know the length (a pipe, a recorder that lost power) from one that could.
"""

from __future__ import annotations

import struct
from dataclasses import dataclass
from typing import BinaryIO

_GIB4 = 1 << 32
_PLACEHOLDERS = (0x7FFFFFFF, 0x80000000, 0xFFFFFFFF)  # sox, arecord, ffmpeg writing to a pipe ...
_PLACEHOLDER_SLACK = 4096  # ... some less the header's size, or rounded to whole samples
_MOST_CHUNKS = 10_000


@dataclass(frozen=True)
class SoundChunk:
    """The chunk that holds the samples.

    Attributes
    ----------
    start : int
        Offset of its first sample (bytes).
    promised : int or None
        Its size by the header (bytes); None where the writer didn't know.
    available : int
        Bytes from `start` that can be samples: up to `promised`, or to the file's end if that is nearer or
        nothing usable is promised.
    size_field : int
        Offset of the 32-bit size (RIFF only, else 0).
    """

    start: int
    promised: int | None
    available: int
    size_field: int = 0

    @property
    def truncated(self) -> bool:
        """Whether the file ends before the promised size."""
        return self.promised is not None and self.available < self.promised


@dataclass(frozen=True)
class ChunkLayout:
    """How a container writes its chunks: name, then size, then body, then padding to a boundary."""

    name_bytes: int
    size_format: str
    alignment: int
    first: int  # offset of the first chunk
    sound: bytes  # name of the chunk of samples
    header_counts: bool = False  # the size includes name and size


W64_TAIL = bytes.fromhex("f3acd3118cd100c04f8edb8a")  # what all names of W64 but the first end with
LAYOUTS = {
    b"RIFF": ChunkLayout(4, "<I", 2, 12, b"data"),
    b"RF64": ChunkLayout(4, "<I", 2, 12, b"data"),
    b"BW64": ChunkLayout(4, "<I", 2, 12, b"data"),
    b"RIFX": ChunkLayout(4, ">I", 2, 12, b"data"),
    b"riff": ChunkLayout(16, "<Q", 8, 40, b"data" + W64_TAIL, header_counts=True),
    b"FORM": ChunkLayout(4, ">I", 2, 12, b"SSND"),
    b"caff": ChunkLayout(4, ">q", 1, 8, b"data"),
}


def find_sound_chunk(file: BinaryIO, size: int) -> SoundChunk | None:
    """Walk a file's chunks to the one with the samples.

    Parameters
    ----------
    file : BinaryIO
        Seekable; its offset is changed.
    size : int
        Its length in bytes.

    Returns
    -------
    SoundChunk or None
        None for other containers, and where the chunk isn't reached.
    """
    file.seek(0)
    magic = file.read(4)
    if magic == b".snd":
        return _au_chunk(file, size)
    layout = LAYOUTS.get(magic)
    if layout is None:
        return None
    size_bytes = struct.calcsize(layout.size_format)
    header = layout.name_bytes + size_bytes
    offset, large_size = layout.first, None
    for _ in range(_MOST_CHUNKS):
        file.seek(offset)
        head = file.read(header + 16)
        if len(head) < header:
            return None
        name = head[: layout.name_bytes]
        (promised,) = struct.unpack(layout.size_format, head[layout.name_bytes : header])
        promised -= header if layout.header_counts else 0
        start = offset + header
        if name == b"ds64" and len(head) == header + 16:  # 64-bit sizes: of the file, then of the samples
            large_size = struct.unpack("<Q", head[header + 8 :])[0]
        if name == layout.sound:
            if promised == 0xFFFFFFFF and large_size is not None:
                promised = large_size
            riff = layout.sound == b"data" and layout.name_bytes == 4 and size_bytes == 4
            return _judge(file, size, start, promised, offset + 4 if riff else 0)
        if promised < 0:
            return None
        offset = start + -(-promised // layout.alignment) * layout.alignment
        if offset >= size:
            return None
    return None


def _judge(file: BinaryIO, size: int, start: int, promised: int, size_field: int) -> SoundChunk:
    rest = max(0, size - start)
    if promised < 0 or promised == 0xFFFFFFFF or (promised > rest and _is_placeholder(promised)):
        return SoundChunk(start, None, rest, size_field)
    if promised == 0 and rest > 0 and not _is_chunk_name(file, start):
        return SoundChunk(start, None, rest, size_field)
    if size_field and rest - promised >= _GIB4 and (rest - promised) % _GIB4 < _PLACEHOLDER_SLACK:
        return SoundChunk(start, None, rest, size_field)  # more than 4 GiB: the size has wrapped around
    return SoundChunk(start, promised, min(promised, rest), size_field)


def _is_placeholder(promised: int) -> bool:
    return any(abs(promised - value) <= _PLACEHOLDER_SLACK for value in _PLACEHOLDERS) or promised >= 1 << 62


def _is_chunk_name(file: BinaryIO, offset: int) -> bool:
    file.seek(offset)
    name = file.read(4)
    return len(name) == 4 and all(0x20 <= byte < 0x7F for byte in name)


def _au_chunk(file: BinaryIO, size: int) -> SoundChunk | None:
    head = file.read(8)
    if len(head) < 8:
        return None
    start, promised = struct.unpack(">II", head)
    return _judge(file, size, start, promised, 0)

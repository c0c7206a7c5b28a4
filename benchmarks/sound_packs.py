"""Read the sounds of a package: plain files, and those that games and instruments keep inside files of their own."""

import struct
import zipfile
import zlib
from collections.abc import Iterator
from dataclasses import dataclass
from fnmatch import fnmatchcase
from io import BytesIO
from pathlib import Path

import numpy as np
import soundfile

SOUNDS = (".wav", ".ogg", ".mp3", ".flac", ".opus", ".aiff")

CLONK_HEADER, CLONK_ENTRY, CLONK_NAME = 204, 316, 260  # bytes of a group's head, of an entry and of its name
ASC_MAGIC, ASC_ENTRY = b"NCBM", struct.Struct("<III")  # unused, first byte, last byte; then the name
GUS_HEADER, GUS_SAMPLE = 239, struct.Struct("<7sBIIIH33xB")  # name, ..., size, ..., rate, modes
SF2_SAMPLE = struct.Struct("<20sIIIIIBbHH")  # name, start, end, loop start, loop end, rate, ...


@dataclass(frozen=True)
class Sound:
    """A recording in a package.

    Attributes
    ----------
    name : str
        Its path in the package; inside a pack, the pack's path and its own.
    waveform : ndarray of float32, shape (samples, channels)
    rate : int
        In Hz.
    """

    name: str
    waveform: np.ndarray
    rate: int


def sounds(folder: Path, wanted: "Wanted") -> Iterator[Sound]:
    """All sounds below a folder whose name is wanted, in the order of their names."""
    for path in sorted(path for path in folder.rglob("*") if path.is_file() and not path.is_symlink()):
        name = path.relative_to(folder).as_posix()
        suffix = path.suffix.lower()
        if suffix in SOUNDS and wanted(name):
            yield Sound(name, *soundfile.read(path, dtype="float32", always_2d=True))
        elif suffix == ".sf2":
            yield from soundfont_samples(name, path.read_bytes(), wanted)
        elif suffix == ".pat":
            yield from (sound for sound in gravis_patch(name, path.read_bytes()) if wanted(sound.name))
        elif suffix in PACKS:
            for inner, data in PACKS[suffix](name, path.read_bytes()):
                if inner.lower().endswith(SOUNDS) and wanted(inner):
                    yield decoded(inner, data)


class Wanted:
    """Whether a name matches one of some shell patterns; remembers which one."""

    def __init__(self, patterns: list[str]) -> None:
        self.patterns = patterns

    def __call__(self, name: str) -> bool:
        return self.first(name) is not None

    def first(self, name: str) -> int | None:
        """Place of the first pattern that matches."""
        return next((k for k, pattern in enumerate(self.patterns) if fnmatchcase(name, pattern)), None)


def decoded(name: str, data: bytes) -> Sound:
    """Decode a file that is held in memory."""
    return Sound(name, *soundfile.read(BytesIO(data), dtype="float32", always_2d=True))


def qt_resources(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of a Qt resource collection (.rcc): names, and contents where they are plain or zlib's."""
    if data[:4] != b"qres":
        raise ValueError(f"{name}: not a Qt resource collection")
    version, tree, contents, names = struct.unpack_from(">4I", data, 4)
    size = 22 if version >= 2 else 14

    def walk(node: int, path: str) -> Iterator[tuple[str, bytes]]:
        at = tree + size * node
        text, flags = struct.unpack_from(">IH", data, at)
        if node:
            (length,) = struct.unpack_from(">H", data, names + text)
            start = names + text + 6
            path += "/" + data[start : start + 2 * length].decode("utf-16-be")
        if flags & 2:  # a folder
            count, first = struct.unpack_from(">II", data, at + 6)
            for child in range(first, first + count):
                yield from walk(child, path)
        elif not flags & 4:  # not zstd
            (offset,) = struct.unpack_from(">I", data, at + 10)
            (length,) = struct.unpack_from(">I", data, contents + offset)
            body = data[contents + offset + 4 : contents + offset + 4 + length]
            yield path, zlib.decompress(body[4:]) if flags & 1 else body

    yield from walk(0, name)


def clonk_group(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of an OpenClonk group (.ocg, .ocd), which is gzip with other magic bytes around a table of entries."""
    if data[:2] != b"\x1f\x8b":
        data = b"\x1f\x8b" + data[2:]
    yield from _clonk_entries(name, zlib.decompressobj(31).decompress(data))


def _clonk_entries(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    head = bytearray(byte ^ 237 for byte in data[:CLONK_HEADER])
    for k in range(0, CLONK_HEADER - 2, 3):
        head[k], head[k + 2] = head[k + 2], head[k]
    if not head.startswith(b"RedWolf Design GrpFolder"):
        raise ValueError(f"{name}: not an OpenClonk group")
    (count,) = struct.unpack_from("<i", head, 36)
    base = CLONK_HEADER + CLONK_ENTRY * count
    for k in range(count):
        at = CLONK_HEADER + CLONK_ENTRY * k
        inner = name + "/" + data[at : at + CLONK_NAME].split(b"\0")[0].decode("latin-1")
        _, is_group, size, _, offset = struct.unpack_from("<5i", data, at + CLONK_NAME)
        body = data[base + offset : base + offset + size]
        if is_group:
            yield from _clonk_entries(inner, body)
        else:
            yield inner, body


def asc_container(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of a container of Advanced Strategic Command (.ascdat); some are compressed, and no sound to a reader."""
    if data[:4] != ASC_MAGIC:
        raise ValueError(f"{name}: not a container of ASC")
    (at,) = struct.unpack_from("<I", data, 4)
    (count,) = struct.unpack_from("<I", data, at)
    at += 4
    for _ in range(count):
        _, first, last = ASC_ENTRY.unpack_from(data, at)
        end = data.index(0, at + ASC_ENTRY.size)
        yield name + "/" + data[at + ASC_ENTRY.size : end].decode("latin-1"), data[first : last + 1]
        at = end + 1


def zip_members(name: str, data: bytes) -> Iterator[tuple[str, bytes]]:
    """Files of a zip (.pk3)."""
    try:
        archive = zipfile.ZipFile(BytesIO(data))
    except zipfile.BadZipFile as error:
        raise ValueError(f"{name}: not a zip") from error
    for inner in sorted(archive.namelist()):
        if inner.lower().endswith(SOUNDS):
            yield f"{name}/{inner}", archive.read(inner)


PACKS = {
    ".rcc": qt_resources,
    ".ocg": clonk_group,
    ".ocd": clonk_group,
    ".ascdat": asc_container,
    ".pk3": zip_members,
}
"""Readers of files that hold files, by the end of their name."""


def gravis_patch(name: str, data: bytes) -> Iterator[Sound]:
    """The first sample of a Gravis Ultrasound patch (.pat), if it is of 16 bits."""
    if not data.startswith(b"GF1PATCH"):
        raise ValueError(f"{name}: not a Gravis patch")
    _, _, size, _, _, rate, modes = GUS_SAMPLE.unpack_from(data, GUS_HEADER)
    if modes & 1:
        waveform = np.frombuffer(data, "<u2" if modes & 2 else "<i2", size // 2, GUS_HEADER + 96)
        if modes & 2:
            waveform = waveform.astype(np.int32) - 32768
        yield Sound(name, waveform[:, None].astype(np.float32) / 32768, rate)


def soundfont_samples(name: str, data: bytes, wanted: Wanted) -> Iterator[Sound]:
    """Samples of a SoundFont 2 (.sf2) whose name is wanted."""
    head, body = data.find(b"shdr"), data.find(b"smpl")
    if min(head, body) < 0:
        raise ValueError(f"{name}: not a SoundFont")
    (length,) = struct.unpack_from("<I", data, head + 4)
    (samples,) = struct.unpack_from("<I", data, body + 4)
    waveform = np.frombuffer(data, "<i2", samples // 2, body + 8)
    for at in range(head + 8, head + 8 + length, SF2_SAMPLE.size):
        text, start, end, _, _, rate, *_ = SF2_SAMPLE.unpack_from(data, at)
        inner = name + "/" + text.split(b"\0")[0].decode("latin-1")
        if wanted(inner):
            yield Sound(inner, waveform[start:end, None].astype(np.float32) / 32768, rate)

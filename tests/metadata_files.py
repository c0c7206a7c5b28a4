"""Recordings as recorders write them, put together byte by byte: wav with metadata chunks, FLAC with blocks."""

import struct
from datetime import datetime, timedelta, timezone
from pathlib import Path

from arwkv_core.results import StartTime
from arwkv_core.start_time import find_start_time

UTC = timezone.utc
DAWN = datetime(2026, 5, 14, 5, 30)
GUANO = b"GUANO|Version: 1.0\nMake: Somebody\nTimestamp: 2026-05-14T05:30:00+02:00\nLength: 1\n"
MOTH = b"Recorded at 19:17:30 17/02/2021 (UTC+2) by AudioMoth 243B1F0759E7E1D1 at medium gain while battery was 4.2V."
SILENCE = bytes(3200)
FMT = struct.pack("<HHIIHH", 1, 1, 16_000, 32_000, 2, 16)


def zone(hours: float) -> timezone:
    return timezone(timedelta(hours=hours))


def chunk(name: bytes, body: bytes, order: str = "<", pad: bool = True) -> bytes:
    return name + struct.pack(f"{order}I", len(body)) + body + b"\0" * (len(body) % 2 if pad else 0)


def wav(*chunks: bytes, before: tuple[bytes, ...] = (), magic: bytes = b"RIFF", order: str = "<") -> bytes:
    """A wav file with chunks behind the samples, and some before them."""
    fmt = struct.pack(f"{order}HHIIHH", 1, 1, 16_000, 32_000, 2, 16)
    parts = [b"WAVE", chunk(b"fmt ", fmt, order), *before, chunk(b"data", SILENCE, order), *chunks]
    body = b"".join(parts)
    return magic + struct.pack(f"{order}I", len(body)) + body


def bext(date: bytes = b"2026-05-14", time: bytes = b"05:30:00") -> bytes:
    return chunk(b"bext", bytes(320) + date.ljust(10, b"\0") + time.ljust(8, b"\0") + bytes(264))


def info(comment: bytes) -> bytes:
    return chunk(
        b"LIST", b"INFO" + chunk(b"ICMT", comment.ljust(384, b"\0")) + chunk(b"IART", b"AudioMoth 24")
    )


def found(folder: Path, data: bytes, name: str = "dawn.wav") -> StartTime | None:
    (folder / name).write_bytes(data)
    return find_start_time(str(folder / name))

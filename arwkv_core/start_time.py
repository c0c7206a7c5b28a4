"""When a recording began: what the user says, else what its metadata say, else its name.

An hour of recording at half past five is another thing at dawn than in the afternoon: times by the clock make
events of recordings comparable. A time without zone stays one: the recorder's local time, whatever that was.
"""

import os
import re
import stat
from collections.abc import Iterator
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path
from typing import BinaryIO

from .clock_text import read_audiomoth, read_bext, read_iso
from .errors import UsageError
from .file_name_time import read_file_name
from .metadata_chunks import Chunk, flac_comments, read_metadata
from .results import StartTime

_FIRST_OPTION_YEAR = 1857
"""In which sound was recorded for the first time: digitised tapes and wax cylinders may be given their own."""

_WANTED = frozenset({"guan", "wamd", "bext", "list", "comment"})
_SCAN_BYTES = 1 << 16
_COMPRESSED = re.compile(rb"OggS|ID3|\xff[\xe0-\xff]|\x1a\x45\xdf\xa3|....ftyp", re.DOTALL)
_WAMD_TIMESTAMP = 5


def find_start_time(
    path: str | os.PathLike[str] | BinaryIO, *, option: str | datetime | None = None
) -> StartTime | None:
    """Find out when a recording began.

    In this order: ``option``; a GUANO chunk (``guan``); Wildlife Acoustics' chunk (``wamd``); a broadcast wave
    file's ``bext``; the comment of an AudioMoth; the file's name. The sound itself is not read, so that a file of
    twelve hours takes no longer than one of a second.

    Parameters
    ----------
    path : str, PathLike or BinaryIO
        Only of a path to a regular file the metadata are read; ``"-"`` and open files have none.
    option : str or datetime, optional
        What the user says (``--start``): ISO 8601 with or without a zone, or a datetime.

    Returns
    -------
    StartTime or None
        None where nothing tells. Damaged or impossible metadata tell nothing.

    Raises
    ------
    UsageError
        If ``option`` is no time.
    """
    if option is not None:
        return StartTime(read_option(option), "option")
    if not isinstance(path, str | os.PathLike):
        return None
    name = os.fspath(path)
    if name == "-":
        return None
    with suppress(
        OSError, ValueError
    ):  # decoding it will tell what is wrong; ValueError: a zero byte in the name
        found = _from_metadata(name)
        if found is not None:
            return found
    time = read_file_name(Path(name).stem)
    return None if time is None else StartTime(time, "name")


def read_option(option: str | datetime) -> datetime:
    """Read ``--start``.

    Raises
    ------
    UsageError
        If it is no time, or one before sound was recorded.
    """
    time = read_iso(option, first_year=_FIRST_OPTION_YEAR) if isinstance(option, str) else option
    if time is None or time.year < _FIRST_OPTION_YEAR:
        raise UsageError(
            "--start: expected a date and a time like 2026-05-14T05:30:00, 2026-05-14T05:30:00+02:00 or "
            f"2026-05-14T03:30:00Z, found {str(option)!r}"
        )
    distance = time.utcoffset()
    # recorders don't change to summer time midway, so neither does a zone that knows it
    return time if distance is None else time.replace(tzinfo=timezone(distance))


def wall_clock(start: StartTime | datetime, seconds: float) -> datetime:
    """Return the time by the clock some seconds into a recording, exact to the microsecond.

    Parameters
    ----------
    start : StartTime or datetime
        Without a zone, the result is without one too. A zone keeps its distance from UTC.
    seconds : float
        From the recording's beginning.
    """
    time = start.time if isinstance(start, StartTime) else start
    return time + timedelta(seconds=seconds)


def _from_metadata(name: str) -> StartTime | None:
    if not stat.S_ISREG(os.stat(name).st_mode):  # noqa: PTH116 (opening a pipe would wait for its writer)
        return None
    with open(name, "rb", buffering=0) as file:  # noqa: PTH123 (the name may be undecodable bytes, kept as text)
        times: dict[str, datetime | None] = dict.fromkeys(("guano", "wamd", "bext", "audiomoth"))
        for source, time in _times(read_metadata(file, _WANTED)):
            times[source] = times[source] or time
        for source, time in times.items():
            if time is not None:
                return StartTime(time, source)
        file.seek(0)
        head = file.read(_SCAN_BYTES)
        if not _COMPRESSED.match(head):
            return None
        # A copy in another format keeps the comment somewhere in its tags: near the start, or in mp4 at the end.
        texts = [head]
        if head[4:8] == b"ftyp" and len(head) == _SCAN_BYTES:
            file.seek(-_SCAN_BYTES, os.SEEK_END)
            texts.append(file.read(_SCAN_BYTES))
        for text in texts:  # without zeros, UTF-16 reads as ASCII
            time = read_audiomoth(text.replace(b"\0", b"").decode("latin-1"))
            if time is not None:
                return StartTime(time, "audiomoth")
    return None


def _times(chunks: list[Chunk]) -> Iterator[tuple[str, datetime | None]]:
    for chunk in chunks:
        if chunk.name == "guan":
            yield "guano", _guano(chunk)
        elif chunk.name == "wamd":
            yield "wamd", _wamd(chunk.body)
        elif chunk.name == "bext":
            yield "bext", _bext(chunk.body)
        elif chunk.name == "list":
            yield "audiomoth", read_audiomoth(chunk.body.replace(b"\0", b"").decode("latin-1"))
        else:
            comments = flac_comments(chunk.body)
            for text in comments.values():
                yield "audiomoth", read_audiomoth(text)
            # FFmpeg's names for what it found in bext
            yield (
                "bext",
                read_bext(comments.get("origination_date", ""), comments.get("origination_time", "")),
            )


def _guano(chunk: Chunk) -> datetime | None:
    lines = chunk.body.replace(b"\0", b"").replace(b"\r", b"\n").decode("utf-8", "replace").split("\n")
    for line in lines if chunk.whole else lines[:-1]:  # half a time could pass for another one
        key, _colon, value = line.partition(":")
        if key.strip().lower() == "timestamp":
            return read_iso(value)
    return None


def _wamd(body: bytes) -> datetime | None:
    """Read the timestamp among Song Meter's entries: a number (16 bits), a length (32), then the text."""
    at = 0
    while at + 6 <= len(body):
        kind, size = (
            int.from_bytes(body[at : at + 2], "little"),
            int.from_bytes(body[at + 2 : at + 6], "little"),
        )
        text = body[at + 6 : at + 6 + size]
        if kind == _WAMD_TIMESTAMP and len(text) == size:
            return read_iso(text.rstrip(b"\0").decode("latin-1"))
        at += 6 + size
    return None


def _bext(body: bytes) -> datetime | None:
    """Read OriginationDate and OriginationTime behind 320 bytes of description and originator."""
    text = body[:338].decode("latin-1")
    return read_bext(text[320:330].replace("\0", " "), text[330:338].replace("\0", " "))

"""Where recorders' metadata stand in files of all kinds, sizes and states, and that they are found there."""

import os
import struct
import time as clock
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from metadata_files import DAWN, FMT, GUANO, MOTH, SILENCE, bext, chunk, found, info, wav, zone

from arwkv_core.results import StartTime
from arwkv_core.start_time import find_start_time


def rf64(
    sound: int, behind: bytes, magic: bytes = b"RF64", promised: int = 0xFFFFFFFF
) -> tuple[bytes, bytes]:
    """What stands before and behind the samples."""
    ds64 = struct.pack("<QQQI", 0, sound, 0, 0)
    head = chunk(b"ds64", ds64) + chunk(b"fmt ", FMT) + b"data" + struct.pack("<I", promised)
    return magic + b"\xff\xff\xff\xffWAVE" + head, behind


@pytest.mark.parametrize("magic", [b"RF64", b"BW64"])
def test_behind_twelve_hours_of_sound(tmp_path: Path, magic: bytes) -> None:
    size = 5_000_000_001 if os.name == "posix" else 3_001  # sparse: no disk is filled; odd, so padded
    before, behind = rf64(size, chunk(b"guan", GUANO), magic)
    path = tmp_path / "long.wav"
    with path.open("wb") as file:
        file.write(before)
        file.seek(len(before) + size + 1)
        file.write(behind)
    begun = clock.perf_counter()
    start = find_start_time(path)
    assert clock.perf_counter() - begun < 0.1
    assert start is not None
    assert start.source == "guano"


def test_wave64(tmp_path: Path) -> None:
    tail = bytes.fromhex("f3acd3118cd100c04f8edb8a")

    def guid_chunk(name: bytes, body: bytes) -> bytes:
        return name + tail + struct.pack("<Q", 24 + len(body)) + body + bytes(-len(body) % 8)

    inside = guid_chunk(b"fmt ", FMT) + guid_chunk(b"data", SILENCE) + guid_chunk(b"bext", bext()[8:])
    data = b"riff" + bytes.fromhex("2e91cf11a5d628db04c10000") + struct.pack("<Q", 40 + len(inside))
    assert found(tmp_path, data + b"wave" + tail + inside, "a.w64") == StartTime(DAWN, "bext")


def test_an_odd_chunk_without_its_padding(tmp_path: Path) -> None:
    odd = chunk(b"note", b"odd", pad=False)
    assert found(tmp_path, wav(bext(), before=(odd,))) == StartTime(DAWN, "bext")
    assert found(tmp_path, wav(odd, chunk(b"guan", GUANO))) is not None


def test_sizes_that_lie(tmp_path: Path) -> None:
    lying = b"guan" + struct.pack("<I", 0xFFFFFFF0) + GUANO
    assert found(tmp_path, wav(lying)) == StartTime(DAWN.replace(tzinfo=zone(2)), "guano")
    assert found(tmp_path, wav(b"junk" + struct.pack("<I", 0xFFFFFFF0), chunk(b"guan", GUANO))) is None
    assert found(tmp_path, wav(*[chunk(b"zero", b"")] * 20_000)) is None
    padded = GUANO + bytes(3 << 20)  # a chunk of megabytes is read to its first part
    assert found(tmp_path, wav(chunk(b"guan", padded))) is not None


def flac_block(kind: int, body: bytes, last: bool = False) -> bytes:
    return bytes([kind | (0x80 if last else 0)]) + len(body).to_bytes(3, "big") + body


def comments(*texts: bytes) -> bytes:
    entries = b"".join(struct.pack("<I", len(text)) + text for text in texts)
    return struct.pack("<I", 4) + b"test" + struct.pack("<I", len(texts)) + entries


def test_flac_keeps_what_the_wav_had(tmp_path: Path) -> None:
    streaminfo = flac_block(0, bytes(34))
    foreign = flac_block(2, b"riffRIFF\0\0\0\0WAVE") + flac_block(2, b"riff" + bext())
    foreign += flac_block(2, b"riff" + chunk(b"guan", GUANO), last=True)
    start = StartTime(DAWN.replace(tzinfo=zone(2)), "guano")
    assert found(tmp_path, b"fLaC" + streaminfo + foreign, "a.flac") == start
    tagged = b"ID3\4\0\0\0\0\1\0" + bytes(128) + b"fLaC" + streaminfo + foreign
    assert found(tmp_path, tagged, "a.flac") == start
    moth = b"fLaC" + streaminfo + flac_block(4, comments(b"TITLE=x", b"COMMENT=" + MOTH), last=True)
    audiomoth = StartTime(datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(2)), "audiomoth")
    assert found(tmp_path, moth, "a.flac") == audiomoth
    ffmpeg = comments(b"origination_date=2026-05-14", b"origination_time=05:30:00")
    assert found(tmp_path, b"fLaC" + streaminfo + flac_block(4, ffmpeg), "a.flac") == StartTime(DAWN, "bext")


@pytest.mark.parametrize(
    ("format", "suffix"), [("FLAC", "flac"), ("OGG", "ogg"), ("WAV", "wav"), ("MP3", "mp3")]
)
def test_comments_that_a_real_encoder_wrote(tmp_path: Path, format: str, suffix: str) -> None:
    path = tmp_path / f"moth.{suffix}"
    with soundfile.SoundFile(path, "w", 16_000, 1, format=format) as file:
        file.comment = MOTH.decode()
        file.write(np.zeros(16_000))
    start = find_start_time(path)
    assert start == StartTime(datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(2)), "audiomoth")


def test_mp4_with_its_index_at_the_end(tmp_path: Path) -> None:
    data = b"\0\0\0\x18ftypM4A " + bytes(300_000) + b"moov" + MOTH + bytes(50)
    start = found(tmp_path, data, "a.m4a")
    assert start is not None
    assert start.source == "audiomoth"


PIECES = [
    b"RIFF", b"RF64", b"RIFX", b"riff", b"WAVE", b"fLaC", b"ID3", b"OggS", b"data", b"fmt ", b"guan", b"bext", b"LIST",
    b"ds64", b"INFO", b"wamd", b"Timestamp:", b"2026-05-14T05:30:00", b"\n", b"Recorded at ", MOTH, GUANO,
    b"\xff\xff\xff\xff", b"\x80\0\0\x10", bext(), chunk(b"guan", GUANO), chunk(b"data", b""), bytes(400),
]  # fmt: skip


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
@given(st.lists(st.sampled_from(PIECES) | st.binary(max_size=12), max_size=12))
def test_no_bytes_break_it(tmp_path: Path, parts: list[bytes]) -> None:
    start = found(tmp_path, b"".join(parts), "noise.wav")
    assert start is None or 1990 <= start.time.year <= 2100


@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=200)
@given(at=st.integers(0, 4000), noise=st.binary(min_size=1, max_size=8), cut=st.integers(0, 4600))
def test_no_damage_breaks_it(tmp_path: Path, at: int, noise: bytes, cut: int) -> None:
    whole = wav(chunk(b"guan", GUANO), before=(bext(), info(MOTH)))
    damaged = whole[:at] + noise + whole[at + len(noise) :]
    start = found(tmp_path, damaged[:cut], "20260514_053000.wav")
    assert start is not None  # the name is still there

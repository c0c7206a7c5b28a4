"""What headers promise: the chunk of samples in wav, RF64, w64, aiff, caf and au files."""

import io
import struct
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_files import read, with_data_size

from arwkv_core.sound_chunk import SoundChunk, find_sound_chunk

GIB = 1 << 30


def chunk_of(path: Path) -> SoundChunk | None:
    with path.open("rb") as file:
        return find_sound_chunk(file, path.stat().st_size)


@pytest.mark.parametrize("container", ["WAV", "WAVEX", "RF64", "W64", "AIFF", "CAF", "AU"])
@pytest.mark.parametrize("frames", [1000, 1001])
def test_a_whole_file_keeps_its_promise(tmp_path: Path, container: str, frames: int) -> None:
    path = tmp_path / "sound"
    soundfile.write(
        path, np.zeros(frames), 8000, format=container, subtype="PCM_U8" if "WAV" in container else None
    )
    chunk = chunk_of(path)
    assert chunk is not None
    assert chunk.available == chunk.promised
    assert chunk.promised in (
        frames,
        2 * frames,
        2 * frames + 4,
        2 * frames + 8,
    )  # caf and aiff count fields, too
    assert not chunk.truncated


def wav_of(size: int, promised: int, rate: int = 192_000) -> bytes:
    fmt = struct.pack("<HHIIHH", 1, 2, rate, 4 * rate, 4, 16)
    return (
        b"RIFF"
        + struct.pack("<I", 36)
        + b"WAVEfmt "
        + struct.pack("<I", 16)
        + fmt
        + b"data"
        + struct.pack("<I", promised)
    )


@pytest.mark.parametrize(
    ("size", "promised", "expected"),
    [
        (5 * GIB, 5 * GIB % 2**32, None),  # wrapped around
        (5 * GIB + 500, 5 * GIB % 2**32, None),  # and a small chunk behind it
        (2**32 + 100, 2**32 - 10_000, 2**32 - 10_000),  # not wrapped: a chunk behind it
        (2**32 + 100, 2**32 - 1_000, 2**32 - 1_000),
        (5 * GIB, 0xFFFFFFFF, None),
        (3 * GIB, 3 * GIB, 3 * GIB),
        (1000, 0x7FFFF000, None),
        (1000, 2**30, 2**30),  # truncated
        (1000, 0, None),
        (1000, 900, 900),  # bytes behind the samples are none of ours
        (0, 0, 0),
    ],
)
def test_promises_of_wav(tmp_path: Path, size: int, promised: int, expected: int | None) -> None:
    path = tmp_path / "sound.wav"
    with path.open("wb") as file:
        file.write(wav_of(size, promised))
        file.truncate(44 + size)
    chunk = chunk_of(path)
    assert chunk is not None
    assert (chunk.start, chunk.promised, chunk.size_field) == (44, expected, 40)
    assert chunk.available == (size if expected is None else min(size, expected))


def test_more_than_4_gib_are_heard_to_the_end(tmp_path: Path) -> None:
    path, size, channels = tmp_path / "long.wav", (1 << 32) + 40_000, 400
    fmt = struct.pack("<HHIIHH", 3, channels, 192_000, 192_000 * 8 * channels, 8 * channels, 64)
    size -= size % (8 * channels)
    with path.open("wb") as file:
        file.write(b"RIFF" + bytes(4) + b"WAVEfmt " + struct.pack("<I", 16) + fmt + b"data")
        file.write(struct.pack("<I", size % (1 << 32)))
        file.truncate(44 + size)
    from arwkv_core.audio_source import AudioSource
    from arwkv_core.decode import open_decoder

    source = AudioSource(path)
    decoder = open_decoder(source, find_sound_chunk(source.file, source.size))
    assert type(decoder).__name__ == "PyavDecoder"
    decoder.close()
    source.close()


def test_an_empty_chunk_before_another_is_empty(tmp_path: Path) -> None:
    path = tmp_path / "none.wav"
    path.write_bytes(wav_of(0, 0) + b"LIST" + struct.pack("<I", 4) + b"INFO")
    assert chunk_of(path) == SoundChunk(44, 0, 0, 40)


def test_unfinished_rf64(tmp_path: Path) -> None:
    path = tmp_path / "sound.wav"
    soundfile.write(path, np.full(8000, 0.5), 8000, format="RF64")
    whole = path.read_bytes()
    at = whole.index(b"ds64") + 16
    path.write_bytes(with_data_size(whole[:at] + bytes(8) + whole[at + 8 :], 0xFFFFFFFF))
    audio, heard = read(path, sample_rate=8000)
    assert len(heard) == 8000
    assert audio.header_seconds is None


@pytest.mark.parametrize(
    "content", [b"", b"RIFF", b".snd", b"RIFF" + bytes(100), b"FORM" + b"\xff" * 40, b"riff" * 30]
)
def test_nonsense_has_no_chunk(content: bytes) -> None:
    assert find_sound_chunk(io.BytesIO(content), len(content)) is None

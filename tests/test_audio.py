"""Whole recordings of all kinds: their samples, lengths, channels and rates."""

import tracemalloc
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given, settings
from hypothesis import strategies as st
from sound_files import encode, mp3, read, tones

from arwkv_core.audio import LEAST_BLOCK_SECONDS, open_audio
from arwkv_core.audio_source import AudioSource
from arwkv_core.decode import open_decoder
from arwkv_core.decoder import MOST_BLOCK_FRAMES
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.resample import Resampler, resampled_length


@pytest.mark.parametrize(
    ("subtype", "tolerance"),
    [
        ("PCM_U8", 2**-7),
        ("PCM_S8", 2**-7),
        ("PCM_16", 2**-15),
        ("PCM_24", 2**-23),
        ("PCM_32", 1e-7),
        ("FLOAT", 0),
        ("DOUBLE", 0),
        ("ULAW", 0.02),
        ("ALAW", 0.02),
    ],
)
def test_sample_types(tmp_path: Path, subtype: str, tolerance: float) -> None:
    samples = tones(0.2, 32_000, 1)
    container = "AIFF" if subtype == "PCM_S8" else "WAV"
    path = tmp_path / f"sound.{container.lower()}"
    soundfile.write(path, samples, 32_000, subtype=subtype)
    audio, heard = read(path)
    assert np.abs(heard - samples[:, 0]).max() <= tolerance
    assert (audio.source_sample_rate, audio.channels) == (32_000, 1)
    assert audio.header_seconds == audio.decoded_seconds == 0.2
    assert (audio.warnings, audio.invalid_samples, audio.filled_seconds) == ([], 0, 0.0)


@pytest.mark.parametrize("rate", [8_000, 11_025, 16_000, 22_050, 32_000, 44_100, 48_000, 96_000, 192_000])
def test_sample_rates(tmp_path: Path, rate: int) -> None:
    time = np.arange(rate + 7) / rate
    soundfile.write(tmp_path / "tone.wav", 0.5 * np.sin(2 * np.pi * 1000 * time), rate, subtype="FLOAT")
    audio, heard = read(tmp_path / "tone.wav")
    assert audio.decoded_seconds == (rate + 7) / rate
    assert len(heard) == resampled_length(rate + 7, rate, 32_000)
    expected = 0.5 * np.sin(2 * np.pi * 1000 * np.arange(len(heard)) / 32_000)
    middle = slice(2_000, -2_000)  # the filter rings where the tone starts and stops
    assert np.abs(heard - expected)[middle].max() < 1e-3


@pytest.mark.parametrize("channels", [1, 2, 6])
@pytest.mark.parametrize("suffix", ["wav", "flac"])
def test_channels_are_averaged_or_picked(tmp_path: Path, channels: int, suffix: str) -> None:
    path, samples = tmp_path / f"sound.{suffix}", tones(0.3, 32_000, channels)
    soundfile.write(path, samples, 32_000)
    audio, heard = read(path)
    assert audio.channels == channels
    assert np.abs(heard - samples.mean(axis=1)).max() < 1e-4
    for channel in range(channels):
        assert np.abs(read(path, channel=channel)[1] - samples[:, channel]).max() < 1e-4
    with pytest.raises(AudioError, match=rf"sound\.{suffix}.*--channel {channels}.* {channels} channel"):
        open_audio(path, channel=channels)


@pytest.mark.parametrize(
    ("name", "codec", "rate", "extra_frames"),
    [
        ("sound.m4a", "aac", 44_100, 1024),
        ("sound.aac", "aac", 44_100, 3072),  # without a container nobody says what is padding
        ("lossless.m4a", "alac", 44_100, 0),
        ("sound.webm", "libopus", 48_000, 0),
        ("sound.mka", "libopus", 48_000, 0),
        ("sound.mkv", "flac", 44_100, 0),
        ("sound.ogg", "flac", 44_100, 0),
        ("sound.wma", "wmav2", 44_100, 4096),
        ("sound.ac3", "ac3", 48_000, 1536),
        ("sound.mp2", "mp2", 48_000, 2000),
        ("sound.opus", "libopus", 48_000, 0),
        ("sound.mp3", "libmp3lame", 44_100, 0),
        ("sound.caf", "pcm_s16be", 44_100, 0),
        ("sound.ts", "aac", 44_100, 3072),
    ],
)
def test_compressed_formats(
    tmp_path: Path, capfd: pytest.CaptureFixture[str], name: str, codec: str, rate: int, extra_frames: int
) -> None:
    samples = tones(2.0, rate)
    encoded = encode(tmp_path / name, codec, samples, rate, container="adts" if name[-4:] == ".aac" else None)
    audio, heard = read(encoded)
    frames = round(audio.decoded_seconds * rate)
    assert abs(frames - 2 * rate) <= extra_frames
    assert (audio.source_sample_rate, audio.channels) == (rate, 2)
    assert audio.header_seconds == pytest.approx(2.0, abs=0.2)
    loudness, expected = np.sqrt(np.mean(heard**2)), np.sqrt(np.mean(samples.mean(axis=1) ** 2))
    assert loudness == pytest.approx(expected, rel=0.07)  # LAME turns down by 5 %
    assert audio.warnings == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("suffix", ["mp3", "flac", "ogg", "opus", "w64", "rf64", "aiff", "caf", "au"])
def test_same_samples_as_libsndfile(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"sound.{suffix}"
    kind = {"opus": ("OGG", "OPUS"), "rf64": ("RF64", None), "au": ("AU", None)}.get(suffix, (None, None))
    soundfile.write(path, tones(1.5, 48_000), 48_000, format=kind[0], subtype=kind[1])
    expected = soundfile.read(path, dtype="float32")[0].mean(axis=1)
    audio, heard = read(path, sample_rate=48_000)
    assert audio.header_seconds == audio.decoded_seconds == 1.5
    assert np.abs(heard - expected).max() < 1e-5


def test_long_5_1_film_sound(tmp_path: Path) -> None:
    path = encode(tmp_path / "film.mp4", "aac", tones(1.0, 48_000, 6), 48_000, "5.1", video=True)
    audio, heard = read(path, channel=1)
    assert audio.channels == 6
    spectrum = np.abs(np.fft.rfft(heard[4_000:20_000]))
    assert np.argmax(spectrum) * 32_000 / 16_000 == pytest.approx(500, abs=2)  # the second channel's tone


@pytest.mark.parametrize("suffix", ["mp3", "flac", "m4a"])
def test_blocks_hold_many_of_ffmpegs_frames(tmp_path: Path, suffix: str) -> None:
    codec = {"mp3": "libmp3lame", "flac": "flac", "m4a": "aac"}[suffix]
    source = AudioSource(encode(tmp_path / f"sound.{suffix}", codec, tones(5.0), 44_100))
    decoder = open_decoder(source, None)
    lengths = [len(block.samples) for block in decoder.blocks()]
    decoder.close()
    source.close()
    assert all(MOST_BLOCK_FRAMES <= length < MOST_BLOCK_FRAMES + 4608 for length in lengths[1:-1])
    assert len(lengths) <= 8


@pytest.mark.parametrize(("codec", "suffix"), [("aac", "m4a"), ("libopus", "mka"), ("pcm_f32le", "mka")])
def test_many_channels(tmp_path: Path, codec: str, suffix: str) -> None:
    channels, layout = (16, "16 channels") if codec == "pcm_f32le" else (8, "7.1")
    path = encode(tmp_path / f"many.{suffix}", codec, tones(1.0, 48_000, channels), 48_000, layout)
    audio, heard = read(path, channel=channels - 1)
    assert audio.channels == channels
    spectrum = np.abs(np.fft.rfft(heard[4_000:20_000]))  # bins of 2 Hz
    assert 2 * np.argmax(spectrum) == 300 + 200 * (channels - 1)  # the last channel's tone
    with pytest.raises(AudioError, match=f"use 0 to {channels - 1}"):
        open_audio(path, channel=channels)


def test_video_without_sound(tmp_path: Path) -> None:
    path = encode(tmp_path / "silent.mp4", "", np.zeros((0, 1), np.float32), 1, video=True)
    with pytest.raises(AudioError, match=r"silent\.mp4: has no audio track.*video"):
        open_audio(path)


def test_only_the_first_of_two_tracks_is_heard(tmp_path: Path) -> None:
    import av

    with av.open(str(tmp_path / "two.mka"), "w") as output:
        tracks = [output.add_stream("pcm_s16le", rate=8_000, layout="mono") for _ in range(2)]
        for track, level in zip(tracks, (1000, 2000), strict=True):
            frame = av.AudioFrame.from_ndarray(np.full((1, 8_000), level, np.int16), "s16", "mono")
            frame.rate, frame.pts = 8_000, 0
            output.mux(track.encode(frame))
    audio, heard = read(tmp_path / "two.mka", sample_rate=8_000)
    assert np.all(heard == np.float32(1000 / 2**15))
    assert "2 audio tracks" in audio.warnings[0]


@settings(max_examples=25, deadline=None)
@given(
    rate=st.sampled_from([8_000, 22_050, 32_000, 44_100, 96_000, 12_345]),
    samples=st.integers(0, 30_000),
    cuts=st.lists(st.integers(0, 30_000), max_size=8),
)
def test_resampling_in_blocks_equals_at_once(rate: int, samples: int, cuts: list[int]) -> None:
    sound = np.random.default_rng(samples).standard_normal(samples).astype(np.float32)
    whole, blocks = Resampler(rate, 32_000), Resampler(rate, 32_000)
    expected = np.concatenate([whole.push(sound), whole.flush()])
    pieces = np.split(sound, sorted(min(cut, samples) for cut in cuts))
    found = np.concatenate([*map(blocks.push, pieces), blocks.flush()])
    assert len(found) == blocks.given == resampled_length(samples, rate, 32_000)
    assert np.array_equal(found, expected)


@pytest.mark.parametrize("block_seconds", [0.001, 0.37, 1.0, 100.0])
def test_block_size_changes_nothing(tmp_path: Path, block_seconds: float) -> None:
    path = mp3(tmp_path / "sound.mp3", 2.0)
    _, expected = read(path)
    with open_audio(path, block_seconds=block_seconds) as audio:
        blocks = list(audio)
    assert {len(block) for block in blocks[:-1]} <= {round(block_seconds * 32_000)}
    assert 0 < len(blocks[-1]) <= round(block_seconds * 32_000)
    assert np.array_equal(np.concatenate(blocks), expected)


def test_blocks_of_no_particular_size_are_long(tmp_path: Path) -> None:
    path = mp3(tmp_path / "sound.mp3", 30.0)
    _, expected = read(path)
    with open_audio(path, block_seconds=None) as audio:
        blocks = list(audio)
        assert audio.samples == len(expected)
    assert len(blocks) == 4
    assert all(len(block) >= LEAST_BLOCK_SECONDS * 32_000 for block in blocks[:-1])
    assert np.array_equal(np.concatenate(blocks), expected)


def test_an_unfinished_stream_can_be_closed(tmp_path: Path) -> None:
    with open_audio(mp3(tmp_path / "sound.mp3"), block_seconds=0.1) as audio:
        next(audio)
        assert audio.samples == 3200
    audio.close()
    with pytest.raises(StopIteration):
        next(audio)


@pytest.mark.parametrize(
    ("options", "named"),
    [
        ({"channel": -1}, "--channel"),
        ({"sample_rate": 0}, "sample_rate"),
        ({"block_seconds": 0.0}, "block_seconds"),
        ({"block_seconds": float("nan")}, "block_seconds"),
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, options: dict[str, float], named: str) -> None:
    with pytest.raises(UsageError, match=named):
        open_audio(tmp_path / "never-opened.wav", **options)  # type: ignore[arg-type]


def test_memory_stays_flat(tmp_path: Path) -> None:
    path, seconds = tmp_path / "half-an-hour.wav", 1800
    soundfile.write(path, np.zeros(1, np.int16), 32_000)
    header = bytearray(path.read_bytes()[:44])
    header[40:44] = (seconds * 64_000).to_bytes(4, "little")
    with path.open("wb") as file:
        file.write(header)
        file.truncate(44 + seconds * 64_000)  # zeros that take no room on the disk
    tracemalloc.start()
    with open_audio(path) as audio:
        assert sum(map(len, audio)) == seconds * 32_000
    _, peak = tracemalloc.get_traced_memory()
    tracemalloc.stop()
    assert peak < 10e6  # the samples are 230 MB

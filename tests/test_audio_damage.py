"""Damaged, mislabelled and odd recordings: a result with a warning, or an error with file and reason."""

import re
import struct
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
import soundfile
from sound_files import (
    encode,
    mp3,
    overwritten,
    read,
    tones,
    with_data_size,
    with_flac_total,
    with_frame_count,
)

from arwkv_core.audio import open_audio
from arwkv_core.errors import AudioError
from arwkv_core.features import log_mel_blocks


@pytest.fixture(autouse=True)
def no_chatter(capfd: pytest.CaptureFixture[str]) -> object:
    """Neither library may print, whatever it meets."""
    yield
    assert capfd.readouterr() == ("", "")


def save(path: Path, content: bytes) -> Path:
    path.write_bytes(content)
    return path


def wav(path: Path, samples: np.ndarray, rate: int = 32_000, subtype: str | None = None) -> Path:
    soundfile.write(path, samples, rate, subtype=subtype)
    return path


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("empty.wav", b"", "is empty"),
        ("page.mp3", b"<!DOCTYPE html><html><body>Not found</body></html>" * 9, "holds text"),
        ("text.wav", b"hello\n" * 100, "holds text"),
        ("zeros.wav", bytes(5000), "begins with zeros"),
        ("noise.flac", np.random.default_rng(0).bytes(5000), "convert it to WAV or FLAC"),
        ("head.m4a", struct.pack(">I", 24) + b"ftypM4A " + bytes(500), "moov"),
        ("cut.wav", b"RIFF\x24\0\0\0WAVE", "can't be read as sound"),
        ("cut.flac", b"fLaC\0\0\0\x22", "can't be read as sound"),
        ("cut.ogg", b"OggS\0\x02", "can't be read as sound"),
    ],
)
def test_what_is_no_sound(tmp_path: Path, name: str, content: bytes, reason: str) -> None:
    with pytest.raises(AudioError, match=f"{re.escape(name)}: .*{reason}"):
        open_audio(save(tmp_path / name, content))


@pytest.mark.parametrize("suffix", ["wav", "aiff", "ogg", "w64", "caf"])
def test_header_without_samples(tmp_path: Path, suffix: str) -> None:
    path = wav(tmp_path / f"none.{suffix}", np.zeros((0, 2)), 44_100)
    with pytest.raises(AudioError, match=rf"none\.{suffix}: holds no audio"):
        open_audio(path)


@pytest.mark.parametrize("suffix", ["wav", "flac", "ogg", "mp3"])
def test_one_sample(tmp_path: Path, suffix: str) -> None:
    path = wav(tmp_path / f"one.{suffix}", np.full((1, 1), 0.5))
    audio, heard = read(path)
    assert len(heard) == 1
    assert audio.decoded_seconds == 1 / 32_000
    with open_audio(path) as audio, pytest.raises(AudioError, match=rf"one\.{suffix}.*25 ms.*1 samples"):
        list(log_mel_blocks(audio))


def test_digital_silence_is_a_result(tmp_path: Path) -> None:
    audio, heard = read(wav(tmp_path / "silence.wav", np.zeros(32_000)))
    assert not heard.any()
    assert audio.warnings == []


def test_invalid_samples_become_zeros(tmp_path: Path) -> None:
    samples = tones(2.0, 32_000, 2)
    samples[40_000, 0] = np.nan
    samples[40_001, 1] = np.inf
    samples[50_000] = -np.inf
    samples[60_000] = 1e30
    path = wav(tmp_path / "broken.wav", samples, subtype="FLOAT")
    audio, heard = read(path)
    assert audio.invalid_samples == 6
    assert heard[40_000] == samples[40_000, 1] / 2
    assert heard[50_000] == heard[60_000] == 0
    (warning,) = audio.warnings
    assert "broken.wav" in warning
    assert "6 samples" in warning
    assert "1.250 s" in warning
    assert read(path, channel=1)[0].invalid_samples == 3


def test_doubles_beyond_float32_are_invalid(tmp_path: Path) -> None:
    audio, heard = read(wav(tmp_path / "huge.wav", np.array([0.5, 1e300, 0.25]), subtype="DOUBLE"))
    assert heard.tolist() == [0.5, 0.0, 0.25]
    assert audio.invalid_samples == 1


def test_clipped_and_loud_samples_are_kept(tmp_path: Path) -> None:
    clipped = np.clip(3 * tones(0.5, 32_000, 1), -1, 1)
    assert np.array_equal(read(wav(tmp_path / "clipped.wav", clipped, subtype="FLOAT"))[1], clipped[:, 0])
    audio, heard = read(wav(tmp_path / "loud.wav", 8 * clipped, subtype="FLOAT"))
    assert np.array_equal(heard, 8 * clipped[:, 0])
    assert audio.warnings == []
    audio, heard = read(wav(tmp_path / "integers.wav", 32_767 * clipped, subtype="FLOAT"))
    assert heard.max() == 32_767
    assert "times full scale" in audio.warnings[0]


@pytest.mark.parametrize("suffix", ["wav", "w64", "rf64", "aiff", "caf", "au", "flac", "mp3", "mkv", "webm"])
def test_truncated_files_give_what_there_is(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"cut.{suffix}", tones(4.0, 48_000)
    if suffix in ("mkv", "webm"):
        encode(path, "libopus", samples, 48_000)
    elif suffix == "mp3":
        mp3(path, 4.0, 48_000)
    else:
        soundfile.write(path, samples, 48_000, format=suffix.upper())
    whole = path.read_bytes()
    audio, _ = read(save(path, whole[: len(whole) * 6 // 10 + 1]))
    assert 2.0 < audio.decoded_seconds < 2.6
    assert audio.header_seconds == pytest.approx(4.0, abs=0.05)
    found = f"{audio.decoded_seconds:.3f} s"
    assert any(
        f"cut.{suffix}" in warning and "expected 4.0" in warning and found in warning
        for warning in audio.warnings
    )


@pytest.mark.parametrize("codec", ["vorbis", "opus", "aac", "mp3"])
def test_truncated_streams_without_a_stated_length(tmp_path: Path, codec: str) -> None:
    path, samples = tmp_path / "cut", tones(4.0, 48_000)
    if codec in ("vorbis", "opus"):
        soundfile.write(path, samples, 48_000, format="OGG", subtype=codec.upper())
    elif codec == "aac":
        encode(path, "aac", samples, 48_000, container="adts")
    else:
        encode(path, "libmp3lame", samples, 48_000, container="mp3", options={"write_xing": "0"})
    whole = path.read_bytes()
    audio, _ = read(save(path, whole[: len(whole) * 6 // 10 + 1]))
    assert 1.9 < audio.decoded_seconds < 2.6
    if codec != "mp3":  # nothing in it tells that frames are missing
        assert audio.warnings


def test_mp4_with_its_index_in_front_is_read_up_to_the_cut(tmp_path: Path) -> None:
    path = tmp_path / "cut.m4a"
    encode(path, "aac", tones(4.0), 44_100, options={"movflags": "+faststart"})
    whole = path.read_bytes()
    audio, _ = read(save(path, whole[: len(whole) * 6 // 10]))
    assert 2.0 < audio.decoded_seconds < 2.6
    assert any("expected 4.0" in warning for warning in audio.warnings)
    encode(path, "aac", tones(4.0), 44_100)  # its index at the end
    whole = path.read_bytes()
    with pytest.raises(AudioError, match=r"cut\.m4a: .*moov.*untrunc"):
        open_audio(save(path, whole[: len(whole) * 6 // 10]))


@pytest.mark.parametrize("frames", [1, 20, 100_000])
def test_mp3_header_with_a_wrong_count(tmp_path: Path, frames: int) -> None:
    path = mp3(tmp_path / "lies.mp3", 3.0)
    _, expected = read(path)
    audio, heard = read(save(path, with_frame_count(path.read_bytes(), frames)))
    assert 3.0 <= audio.decoded_seconds < 3.1  # the encoder's padding can't be told from sound
    assert np.array_equal(heard[:90_000], expected[:90_000])
    assert bool(audio.warnings) == (frames == 100_000)


def test_mp3_padding_is_cut_where_the_header_is_true(tmp_path: Path) -> None:
    audio, heard = read(mp3(tmp_path / "true.mp3", 3.0), sample_rate=44_100)
    assert audio.decoded_seconds == 3.0
    assert np.corrcoef(heard, tones(3.0).mean(axis=1))[0, 1] > 0.99


@pytest.mark.parametrize(
    "where", ["id3 in front", "noise in front", "noise inside", "zeros inside", "tag behind"]
)
def test_mp3_with_foreign_bytes(tmp_path: Path, where: str) -> None:
    path = mp3(tmp_path / "dirty.mp3", 3.0)
    whole = path.read_bytes()
    noise = np.random.default_rng(2).bytes(4000)
    middle = len(whole) // 2
    dirty = {
        "id3 in front": b"ID3\x04\0\0\0\0\x10\0" + bytes(2048) + whole,
        "noise in front": noise + whole,
        "noise inside": whole[:middle] + noise + whole[middle:],
        "zeros inside": whole[:middle] + bytes(4000) + whole[middle:],
        "tag behind": whole + b"TAG" + b"x" * 125,
    }[where]
    audio, _ = read(save(path, dirty))
    assert 2.9 < audio.decoded_seconds < 3.1
    assert bool(audio.warnings) == ("inside" in where)


def test_joined_mp3_of_two_rates(tmp_path: Path) -> None:
    first, second = mp3(tmp_path / "a.mp3", 2.0), mp3(tmp_path / "b.mp3", 1.0, 22_050, 1)
    path = save(tmp_path / "joined.mp3", first.read_bytes() + second.read_bytes())
    with open_audio(path) as audio:
        heard = np.concatenate(list(audio))
    assert audio.decoded_seconds == pytest.approx(3.0, abs=0.2)
    assert len(heard) == pytest.approx(audio.decoded_seconds * 32_000, abs=2)
    spectrum = np.abs(np.fft.rfft(heard[-32_000:-16_000]))
    assert np.argmax(spectrum) * 2 == pytest.approx(300, abs=4)
    with (
        pytest.raises(AudioError, match="--channel 1: the file has 1 channel"),
        open_audio(path, channel=1) as audio,
    ):
        list(audio)


@pytest.mark.parametrize("size", [0xFFFFFFFF, 0, 0x7FFFFFFF - 36, 0x7FFFF000, 0x80000000])
def test_wav_of_unknown_length_is_read_to_its_end(tmp_path: Path, size: int) -> None:
    path = wav(tmp_path / "piped.wav", tones(1.0), 44_100)
    _, expected = read(path)
    audio, heard = read(save(path, with_data_size(path.read_bytes(), size)))
    assert np.array_equal(heard, expected)
    assert audio.decoded_seconds == 1.0
    assert audio.header_seconds is None
    assert audio.warnings == []


@pytest.mark.parametrize("samples", [0, 20_000, 1_000_000])
def test_flac_of_unknown_or_wrong_length(tmp_path: Path, samples: int) -> None:
    path = wav(tmp_path / "piped.flac", tones(3.0), 44_100)
    _, expected = read(path)
    audio, heard = read(save(path, with_flac_total(path.read_bytes(), samples)))
    assert np.array_equal(heard, expected)
    assert (audio.header_seconds is None) == (samples == 0)
    assert bool(audio.warnings) == (samples == 1_000_000)


@pytest.mark.parametrize("suffix", ["ogg", "opus", "flac"])
def test_joined_streams_are_read_to_the_last(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"joined.{suffix}"
    kind = {"opus": ("OGG", "OPUS")}.get(suffix, (None, None))
    soundfile.write(path, tones(1.0, 48_000), 48_000, format=kind[0], subtype=kind[1])
    audio, heard = read(save(path, 2 * path.read_bytes()), sample_rate=48_000)
    assert audio.decoded_seconds == pytest.approx(2.0, abs=0.01)
    assert np.corrcoef(heard[2_000:40_000], heard[-46_000:-8_000])[0, 1] > 0.98
    assert audio.warnings == []


@pytest.mark.parametrize("suffix", ["flac", "ogg", "opus", "mp3", "m4a", "webm", "wma"])
def test_damage_in_the_middle_does_not_end_the_recording(tmp_path: Path, suffix: str) -> None:
    path, samples = tmp_path / f"hurt.{suffix}", tones(6.0, 48_000)
    codec = {"ogg": "", "flac": "flac", "mp3": "libmp3lame", "m4a": "aac", "wma": "wmav2"}.get(
        suffix, "libopus"
    )
    if codec:
        encode(path, codec, samples, 48_000)
    else:
        soundfile.write(path, samples, 48_000)
    audio, heard = read(save(path, overwritten(path.read_bytes(), 0.4, 3000)))
    assert 4.0 < audio.decoded_seconds < 6.1
    assert np.sqrt(np.mean(heard[-32_000:-3_200] ** 2)) == pytest.approx(0.15, abs=0.02)  # sound again
    assert audio.warnings
    if suffix in ("m4a", "webm", "ogg", "opus"):  # timestamps show the hole: what follows keeps its time
        assert audio.filled_seconds > 0
        assert audio.decoded_seconds == pytest.approx(6.0, abs=0.1)


def test_pauses_of_a_recorder_keep_their_time(tmp_path: Path) -> None:
    path, second = tmp_path / "pauses.mka", tones(1.0, 48_000)
    with av.open(str(path), "w") as output:
        track = output.add_stream("pcm_f32le", rate=48_000, layout="stereo")
        for start in (0, 3):
            frame = av.AudioFrame.from_ndarray(second.reshape(1, -1), "flt", "stereo")
            frame.rate, frame.pts, frame.time_base = 48_000, start * 48_000, Fraction(1, 48_000)
            output.mux(track.encode(frame))
    audio, heard = read(path)
    assert (audio.decoded_seconds, audio.filled_seconds) == (4.0, 2.0)
    loud = np.abs(heard.reshape(400, 320)).max(axis=1) > 0.01  # in steps of 10 ms
    assert np.flatnonzero(loud[:300])[-1] == pytest.approx(99, abs=1)
    assert np.flatnonzero(loud[150:])[0] == pytest.approx(150, abs=1)
    assert "at 1.00 s (2.00 s)" in audio.warnings[0]


@pytest.mark.parametrize("suffix", ["wav", "caf"])
def test_damaged_compressed_sound_in_plain_containers(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"hurt.{suffix}"  # of which libsndfile's decoders would print to stderr
    encode(path, "libmp3lame" if suffix == "wav" else "alac", tones(3.0), 44_100)
    audio, _ = read(save(path, overwritten(path.read_bytes(), 0.5, 2000)))
    assert 2.0 < audio.decoded_seconds < 3.1
    assert audio.warnings or suffix == "caf"  # ALAC has no checksums: other bytes are other sound


@pytest.mark.parametrize(("offset", "value"), [(22, 0), (22, 60_000), (24, 0)])
def test_impossible_wav_headers(tmp_path: Path, offset: int, value: int) -> None:
    whole = wav(tmp_path / "odd.wav", tones(0.1)).read_bytes()
    size = 2 if offset == 22 else 4
    odd = whole[:offset] + value.to_bytes(size, "little") + whole[offset + size :]
    with pytest.raises(AudioError, match=r"odd\.wav: can't be read"):
        open_audio(save(tmp_path / "odd.wav", odd))


def test_a_rate_of_10_hz_does_not_fill_the_memory(tmp_path: Path) -> None:
    path = wav(tmp_path / "slow.wav", np.full(3000, 0.25), 10)  # 5 minutes in what is 1/10 s elsewhere
    with open_audio(path, block_seconds=1.0) as audio:
        assert len(next(audio)) == 32_000
        assert audio.decoded_seconds < 200

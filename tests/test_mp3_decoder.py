"""The own mp3 decoder: the same samples as the plain one and as FFmpeg, for every kind of file."""

from pathlib import Path
from typing import Any

import numpy as np
import pytest
from mp3_sounds import SOUNDS, Floats, encode, ffmpeg_samples, hear, sound

from arwkv_core.audio import open_audio
from arwkv_core.features import log_mel
from arwkv_core.mp3 import mono_blocks, own_frames, reference
from arwkv_core.mp3.own_frames import decoder_of
from arwkv_core.mp3.stream_kind import StreamKind, kind_of

FFMPEG_ROUNDING = 2e-5  # of the loudest sample, which float32 of FFmpeg's decoder is off by: -94 dB
OWN_ROUNDING = 1e-6
RATES = (44_100, 48_000, 32_000, 22_050, 24_000, 16_000, 11_025, 12_000, 8_000)


def own_samples(data: bytes, most: int = 10_000) -> Floats:
    """All frames, a call for `most` of them."""
    kind = kind_of(data[:4])
    assert kind is not None
    decoder, blocks = decoder_of(kind), []
    while data:
        samples, used, odd = decoder.decode(data, most)
        assert used
        assert not odd
        assert decoder.peak == np.abs(samples).max()
        blocks.append(samples)
        data = data[used:]
    return np.concatenate(blocks)


@pytest.mark.parametrize("kind", SOUNDS)
@pytest.mark.parametrize("rate", RATES)
def test_same_samples_as_ffmpeg(tmp_path: Path, rate: int, kind: str) -> None:
    for channels in (1, 2):
        for bit_rate in (24_000, 64_000, 160_000) if rate < 32_000 else (48_000, 128_000, 320_000):
            for joint in "01" if channels == 2 else "1":
                samples = sound(kind, 0.7, rate, channels)
                path = encode(tmp_path / "a.mp3", samples, rate, bit_rate, joint_stereo=joint)
                expected, first = ffmpeg_samples(path)
                found = own_samples(path.read_bytes()[first:])
                assert len(found) == len(expected)
                scale = max(1.0, np.abs(expected).max())
                assert np.abs(found - expected).max() < FFMPEG_ROUNDING * scale, (channels, bit_rate, joint)


@pytest.mark.parametrize("options", [{"abr": "1"}, {"compression_level": "0"}, {"reservoir": "0"}])
def test_bit_rates_that_vary_and_frames_that_stand_alone(tmp_path: Path, options: dict[str, str]) -> None:
    path = encode(tmp_path / "a.mp3", sound("swelling", 2, 44_100, 2), 44_100, 96_000, **options)
    expected, first = ffmpeg_samples(path)
    np.testing.assert_allclose(own_samples(path.read_bytes()[first:]), expected, atol=FFMPEG_ROUNDING)


@pytest.mark.parametrize("kind", ["swelling", "clicks", "clipped"])
@pytest.mark.parametrize("rate", [44_100, 22_050, 8_000])
def test_same_samples_as_the_plain_decoder(tmp_path: Path, rate: int, kind: str) -> None:
    path = encode(tmp_path / "a.mp3", sound(kind, 0.3, rate, 2), rate, 64_000)
    _, first = ffmpeg_samples(path)
    data = path.read_bytes()[first:]
    expected = reference.decode(data).mean(axis=1)
    np.testing.assert_allclose(own_samples(data), expected, atol=OWN_ROUNDING)


def with_mixed_blocks(data: bytes, kind: StreamKind, block_type: int) -> list[tuple[int, bytes]]:
    """The same with the flag of mixed blocks set in one frame's blocks of a type, for each such frame.

    Another sound, but valid. With each the number of the frame.
    """
    results = []
    at = frame = 0
    while at < len(data):
        size = kind.frame_bytes(data[at : at + 4])
        assert size is not None
        changed = bytearray(data)
        first = 18 if kind.channels == 1 else 20
        for granule in range(2 * kind.channels):
            window = 8 * (at + 4) + first + 59 * granule + 33
            bits = "".join(f"{byte:08b}" for byte in data[window // 8 : window // 8 + 2])[window % 8 :]
            if bits[:3] == f"1{block_type:02b}":
                changed[(window + 3) // 8] |= 1 << 7 - (window + 3) % 8
        if changed != data:
            results.append((frame, bytes(changed)))
        at += size
        frame += 1
    return results


@pytest.mark.parametrize("block_type", [2, 3])
@pytest.mark.parametrize("channels", [1, 2])
def test_mixed_blocks(tmp_path: Path, channels: int, block_type: int) -> None:
    path = encode(tmp_path / "a.mp3", sound("clicks", 1, 44_100, channels), 44_100, 128_000, joint_stereo="0")
    _, first = ffmpeg_samples(path)
    data = path.read_bytes()
    kind = kind_of(data[first : first + 4])
    assert kind is not None
    decoded = 0
    for frame, changed in with_mixed_blocks(data[first:], kind, block_type)[:8]:
        path.write_bytes(data[:first] + changed)
        expected, _ = ffmpeg_samples(path)
        # short blocks then have other scale factors: what is read of them may make no sense, and ends it
        found, _, _ = decoder_of(kind).decode(changed, 10_000)
        decoded += len(found) > (frame + 1) * kind.frame_samples
        tolerance = FFMPEG_ROUNDING * max(1.0, np.abs(expected).max())
        np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=tolerance)
    assert decoded


@pytest.mark.parametrize("channels", [1, 2])
@pytest.mark.parametrize("rate", [44_100, 22_050])
def test_frames_with_check_sums(tmp_path: Path, rate: int, channels: int) -> None:
    """Each with two bytes for a check sum behind its header, in place of the last two, which hold nothing."""
    bit_rate = 320_000 if rate == 44_100 else 160_000
    path = encode(tmp_path / "a.mp3", sound("tone", 1, rate, channels), rate, bit_rate, reservoir="0")
    expected, first = ffmpeg_samples(path)
    data = path.read_bytes()
    kind = kind_of(data[first : first + 4])
    assert kind is not None
    changed, at = [data[:first]], first
    while at < len(data):
        size = kind.frame_bytes(data[at : at + 4])
        assert size is not None
        head = bytes((data[at], data[at + 1] & 0xFE, data[at + 2], data[at + 3]))
        changed.append(head + b"\x12\x34" + data[at + 4 : at + size - 2])
        at += size
    path.write_bytes(b"".join(changed))
    by_ffmpeg, first = ffmpeg_samples(path)
    found = own_samples(path.read_bytes()[first:])
    np.testing.assert_allclose(by_ffmpeg, expected, rtol=0, atol=1e-7)
    np.testing.assert_allclose(found, expected, rtol=0, atol=FFMPEG_ROUNDING)


@pytest.mark.parametrize("most", [1, 2, 7, 1000])
def test_any_partition_gives_the_same_bits(tmp_path: Path, most: int) -> None:
    path = encode(tmp_path / "a.mp3", sound("clicks", 1.3, 44_100, 2), 44_100, 96_000)
    _, first = ffmpeg_samples(path)
    data = path.read_bytes()[first:]
    assert own_samples(data, most).tobytes() == own_samples(data).tobytes()


@pytest.mark.parametrize("kind", ["swelling", "clicks", "tone"])
@pytest.mark.parametrize(("rate", "bit_rate"), [(44_100, 96_000), (44_100, 192_000), (22_050, 32_000)])
def test_a_beginning_anywhere(tmp_path: Path, rate: int, bit_rate: int, kind: str) -> None:
    """The first frames need data of frames before them, which are not there; all others are as in the whole."""
    samples = sound(kind, 5, rate, 2)
    path = encode(tmp_path / "a.mp3", samples, rate, bit_rate)
    _, first = ffmpeg_samples(path)
    data = path.read_bytes()
    whole = own_samples(data[first:])
    stream = kind_of(data[first : first + 4])
    assert stream is not None
    compared, before = mono_blocks.COMPARED_FRAMES * stream.frame_samples, own_frames.WARM_UP_FRAMES
    with path.open("rb") as file:
        for skipped in range(before, len(whole) // stream.frame_samples):
            found = own_frames.OwnFrames(file, first, stream, skipped).warm_up()
            assert found is not None, skipped
            end = skipped * stream.frame_samples
            np.testing.assert_array_equal(found[-compared:], whole[end - compared : end], str(skipped))


def test_data_may_end_anywhere(tmp_path: Path) -> None:
    path = encode(tmp_path / "a.mp3", sound("swelling", 0.4, 44_100, 2), 44_100, 96_000)
    _, first = ffmpeg_samples(path)
    data = path.read_bytes()[first:]
    kind = kind_of(data[:4])
    assert kind is not None
    whole = own_samples(data)
    for step in (1, 3, 100, 1045):
        decoder, held, blocks = decoder_of(kind), b"", []
        for start in range(0, len(data), step):
            held += data[start : start + step]
            samples, used, odd = decoder.decode(held, 100)
            assert not odd
            held = held[used:]
            blocks.append(samples)
        assert np.concatenate(blocks).tobytes() == whole.tobytes()


@pytest.mark.parametrize("rate", [44_100, 48_000, 22_050])
@pytest.mark.parametrize("channels", [1, 2])
def test_recordings_are_heard_alike(
    tmp_path: Path, rate: int, channels: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    data = encode(tmp_path / "a.mp3", sound("swelling", 5.3, rate, channels), rate, 64_000).read_bytes()
    expected, found = (hear(data, decoder, monkeypatch) for decoder in ("ffmpeg", "own"))
    assert found.facts == expected.facts
    assert 0 < np.abs(found.samples - expected.samples).max() < FFMPEG_ROUNDING
    # quietest bands hold rounding alone
    difference = np.abs(log_mel(found.samples) - log_mel(expected.samples))
    assert difference.mean() < 1e-4


def test_the_own_decoder_is_asked_after_some_seconds(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    made: list[int] = []

    class Counted(mono_blocks.OwnFrames):
        def samples(self) -> Any:
            for block in super().samples():
                made.append(len(block))
                yield block

    monkeypatch.setattr(mono_blocks, "OwnFrames", Counted)
    monkeypatch.setattr(mono_blocks, "WORTH_COMPILING_SECONDS", 0.0)
    for seconds in (19.0, 30.0):
        path = encode(tmp_path / "a.mp3", sound("tone", seconds, 16_000, 1), 16_000, 32_000)
        with open_audio(path, sample_rate=16_000) as audio:
            count = sum(len(block) for block in audio)
        assert count == round(seconds * 16_000)
        assert abs(sum(made) - max(0.0, seconds - mono_blocks.FFMPEG_SECONDS) * 16_000) < 2 * 32_768
    with open_audio(path, sample_rate=16_000, channel=0) as audio:  # one channel is not the mean
        made.clear()
        assert sum(len(block) for block in audio) == count
    assert not made


def test_ffmpeg_decodes_recordings_that_are_not_worth_compiling(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(mono_blocks, "FFMPEG_SECONDS", 1.0)
    data = encode(tmp_path / "a.mp3", sound("noise", 4, 44_100, 2), 44_100).read_bytes()
    by_ffmpeg = hear(data, "ffmpeg", monkeypatch).samples.tobytes()
    assert hear(data, "", monkeypatch).samples.tobytes() == by_ffmpeg
    monkeypatch.setattr(mono_blocks, "WORTH_COMPILING_SECONDS", 3.0)
    assert hear(data, "", monkeypatch).samples.tobytes() != by_ffmpeg


def test_without_a_compiler_ffmpeg_does_it_all(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    data = encode(tmp_path / "a.mp3", sound("tone", 4, 44_100, 2), 44_100).read_bytes()

    def broken(*_: object) -> None:
        raise RuntimeError("no compiler")

    monkeypatch.setattr("arwkv_kernels.mp3_cpu.kernel", broken)
    expected, found = (hear(data, decoder, monkeypatch) for decoder in ("ffmpeg", "own"))
    assert found.facts == expected.facts
    assert found.samples.tobytes() == expected.samples.tobytes()

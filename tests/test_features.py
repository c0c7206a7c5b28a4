"""Log-mels: equal to Kaldi's, at once and in blocks of any size."""

from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arwkv_core
from arwkv_core.constants import N_MELS, WINDOW_SAMPLES
from arwkv_core.errors import AudioError, FeatureError
from arwkv_core.features import LogMelStream, frame_count, log_mel, log_mel_blocks, mel_matrix

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal(100_000)).astype(np.float32)
TONE = (0.9 * np.sin(0.31 * np.arange(100_000)) + 1e-7 * RNG.standard_normal(100_000)).astype(np.float32)
"""Its quiet bins lie 140 dB below the loud one: the smallest change in the order of a sum shows there."""
SOUNDS = {"noise": NOISE, "tone": TONE, "silence": np.zeros(100_000, np.float32)}


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "data" / "fbank.npz") as file:
        return dict(file)


def test_golden(golden: dict[str, np.ndarray]) -> None:
    found = log_mel(golden["waveform"])
    assert found.shape == golden["fbank"].shape == (298, N_MELS)
    assert found.dtype == np.float32
    assert np.abs(found - golden["fbank"]).max() <= 2e-4


@pytest.mark.parametrize("kind", SOUNDS)
@settings(max_examples=10, deadline=None)
@given(
    length=st.integers(0, 100_000),
    cuts=st.lists(st.integers(0, 100_000), max_size=12),
    tiny=st.integers(0, 400),
)
def test_blocks_equal_the_whole(kind: str, length: int, cuts: list[int], tiny: int) -> None:
    waveform = SOUNDS[kind][:length]
    places = [min(cut, length) for cut in cuts] + list(range(min(tiny, length)))  # single samples, too
    stream = LogMelStream()
    pieces = [stream.push(block) for block in np.split(waveform, sorted(places))]
    found = np.concatenate([*pieces, stream.flush()])
    assert found.dtype == np.float32
    assert len(found) == stream.frames == frame_count(length)
    np.testing.assert_allclose(found, log_mel(waveform), rtol=0, atol=1e-5)


@pytest.mark.parametrize(
    "samples", [0, 1, 799, 800, 1119, 1120, 800 + 255 * 320, 800 + 256 * 320 - 1, 800 + 256 * 320]
)
def test_only_complete_frames(samples: int) -> None:
    expected = 0 if samples < 800 else 1 + (samples - 800) // 320
    assert frame_count(samples) == expected
    assert log_mel(NOISE[:samples]).shape == (expected, N_MELS)


def test_a_frame_depends_on_its_own_samples_only() -> None:
    whole = log_mel(NOISE)
    for frame in (0, 1, 100, len(whole) - 1):
        alone = log_mel(NOISE[frame * 320 : frame * 320 + WINDOW_SAMPLES])
        np.testing.assert_allclose(alone[0], whole[frame], rtol=0, atol=1e-5)


def test_silence_is_the_floor() -> None:
    assert np.all(log_mel(SOUNDS["silence"]) == np.float32(np.log(np.finfo(np.float32).eps)))


def test_tensors_give_tensors() -> None:
    found = log_mel(torch.from_numpy(NOISE))
    assert isinstance(found, torch.Tensor)
    assert np.array_equal(found.numpy(), log_mel(NOISE))
    strided = torch.from_numpy(np.repeat(NOISE, 2))[::2]
    assert torch.equal(log_mel(strided), found)
    assert torch.equal(log_mel(strided.double()), found)
    assert not log_mel(torch.from_numpy(NOISE).requires_grad_()).requires_grad


def test_arrays_of_any_float_type_and_layout() -> None:
    expected = log_mel(NOISE)
    frozen = NOISE.copy()
    frozen.flags.writeable = False
    for waveform in (frozen, NOISE.astype(np.float64), np.repeat(NOISE, 2)[::2], NOISE[::-1][::-1]):
        assert np.array_equal(log_mel(waveform), expected)
    assert np.abs(log_mel(NOISE.astype(np.float16)) - expected).max() < 0.1


def test_settings_of_the_caller_change_nothing() -> None:
    expected = log_mel(NOISE)
    with torch.autocast("cpu", dtype=torch.bfloat16), torch.inference_mode():
        assert np.array_equal(log_mel(NOISE), expected)
    torch.set_default_dtype(torch.float64)
    try:
        assert np.array_equal(log_mel(NOISE), expected)
    finally:
        torch.set_default_dtype(torch.float32)


@pytest.mark.parametrize(
    ("waveform", "found"),
    [
        (NOISE.reshape(2, -1), r"shape \(2, 50000\); average the channels"),
        (np.float32(1.0), "float32"),
        (np.zeros((), np.float32), r"shape \(\)"),
        (np.zeros(1000, np.int16), "int16; divide integers"),
        (torch.zeros(1000, dtype=torch.int32), "int32; divide integers"),
        (np.zeros(1000, np.complex64), "complex64"),
        ([0.0] * 1000, "found list"),
        (torch.zeros(1, 1000), r"shape \(1, 1000\)"),
    ],
)
def test_other_inputs_are_refused(waveform: object, found: str) -> None:
    with pytest.raises(FeatureError, match=found):
        log_mel(waveform)  # type: ignore[type-var]
    if not isinstance(waveform, torch.Tensor):
        with pytest.raises(FeatureError, match=found):
            LogMelStream().push(waveform)  # type: ignore[arg-type]


def test_a_flushed_stream_starts_anew() -> None:
    stream = LogMelStream()
    stream.push(NOISE[:999])
    stream.flush()
    assert np.array_equal(stream.push(NOISE[:800]), log_mel(NOISE[:800]))


def test_blocks_of_a_recording() -> None:
    found = list(log_mel_blocks(np.split(NOISE, 100)))
    assert all(len(frames) for frames in found)
    np.testing.assert_allclose(np.concatenate(found), log_mel(NOISE), rtol=0, atol=1e-5)
    for length in (0, 1, 799):
        with pytest.raises(AudioError, match=rf"25 ms \(800 samples\).*\({length} samples\)"):
            list(log_mel_blocks([NOISE[:length]]))


def test_mel_filters_are_triangles_from_50_hz_to_14_khz() -> None:
    filters = mel_matrix().numpy()  # (513, 128)
    assert filters.shape == (513, N_MELS)
    heard = np.flatnonzero(filters.sum(axis=1)) * 31.25
    assert (heard.min(), heard.max()) == (62.5, 13_968.75)
    assert filters.max() <= 1.0
    peaks = filters.argmax(axis=0)
    assert np.all(np.diff(peaks) >= 0)


def test_public_name() -> None:
    assert arwkv_core.log_mel is log_mel
    assert arwkv_core.LogMelStream is LogMelStream

"""Log-mels: equal to Kaldi's, at once and in blocks of any size."""

import os
import platform
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import arwkv_core
from arwkv_core import features, features_torch
from arwkv_core.constants import FFT_SAMPLES, HOP_SAMPLES, N_MELS, WINDOW_SAMPLES
from arwkv_core.errors import AudioError, FeatureError
from arwkv_core.features import LogMelStream, frame_count, log_mel, log_mel_blocks, mel_matrix
from arwkv_kernels import mel_layout, numba_mel_cpu
from arwkv_kernels.numba_mel_fourier import HALF_ROOT

RNG = np.random.default_rng(0)
NOISE = (0.1 * RNG.standard_normal(100_000)).astype(np.float32)
TONE = (0.9 * np.sin(0.31 * np.arange(100_000)) + 1e-7 * RNG.standard_normal(100_000)).astype(np.float32)
"""Its quiet bins lie 140 dB below the loud one: the smallest change in the order of a sum shows there."""
SOUNDS = {"noise": NOISE, "tone": TONE, "silence": np.zeros(100_000, np.float32)}
EXTREMES = SOUNDS | {
    "clipped": np.clip(30 * NOISE, -1, 1),
    "offset": 0.5 + 1e-3 * NOISE,
    "tiny": 1e-4 * NOISE,
    "below the floor": 1e-20 * NOISE,
    "subnormal": 1e-40 * NOISE,
    "huge": 1e15 * NOISE,
    "click": np.eye(1, 100_000, 50_000, dtype=np.float32)[0],
}


def plan_of(way: str) -> numba_mel_cpu.Plan:
    """That of the kernel, with the transform in lanes or MKL's."""
    plan = features._cpu_plan()
    if plan is None:
        pytest.skip("torch brings no Fourier transform that a kernel can call")
    if way == "mkl":
        return plan._replace(factors=None)
    if plan.factors is None:
        pytest.skip("MKL's transform rounds otherwise on this processor, or in this version")
    return plan


@pytest.fixture(params=["lanes", "mkl", "torch"])
def way(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """All ways of making log-mels on a CPU."""
    plan = None if request.param == "torch" else plan_of(request.param)
    monkeypatch.setattr(features, "_cpu_plan", lambda: plan)
    return str(request.param)


def by_torch(waveform: np.ndarray) -> np.ndarray:
    out = torch.full((frame_count(len(waveform)), N_MELS), torch.nan)
    features_torch.fill(torch.from_numpy(np.array(waveform, np.float32)), out)
    return out.numpy()


@pytest.fixture(scope="module")
def golden() -> dict[str, np.ndarray]:
    with np.load(Path(__file__).parent / "data" / "fbank.npz") as file:
        return dict(file)


@pytest.mark.usefixtures("way")
def test_golden(golden: dict[str, np.ndarray]) -> None:
    found = log_mel(golden["waveform"])
    assert found.shape == golden["fbank"].shape == (298, N_MELS)
    assert found.dtype == np.float32
    assert np.abs(found - golden["fbank"]).max() <= 2e-4


@pytest.mark.skipif(
    platform.machine() not in ("x86_64", "AMD64") or sys.platform != "linux",
    reason="torch brings no MKL there",
)
def test_torch_for_linux_brings_the_transform_that_the_kernel_calls() -> None:
    assert features._cpu_plan() is not None


@pytest.mark.parametrize("kind", EXTREMES)
@pytest.mark.usefixtures("way")
def test_equal_to_plain_torch(kind: str) -> None:
    np.testing.assert_allclose(log_mel(EXTREMES[kind]), by_torch(EXTREMES[kind]), rtol=3e-7, atol=1e-6)


@pytest.mark.parametrize("bad", [np.nan, np.inf, -np.inf])
@pytest.mark.usefixtures("way")
def test_what_is_no_number_stays_in_its_frames(bad: float) -> None:
    waveform = NOISE.copy()
    waveform[50_000] = bad
    found, expected = log_mel(waveform), log_mel(NOISE)
    frames = np.arange(len(found)) * 320
    touched = (frames <= 50_000) & (frames + WINDOW_SAMPLES > 50_000)
    assert np.isnan(found[touched]).all()
    assert np.array_equal(found[~touched], expected[~touched])


@pytest.mark.parametrize("kind", EXTREMES)
def test_transforms_in_lanes_give_the_bits_of_mkl(kind: str) -> None:
    plans = plan_of("lanes"), plan_of("mkl")
    found = [np.full((frame_count(100_000), N_MELS), np.nan, np.float32) for _ in plans]
    for plan, out in zip(plans, found, strict=True):
        numba_mel_cpu.fill(np.ascontiguousarray(EXTREMES[kind]), out, plan, 1)
    assert np.array_equal(*found)


def test_factors_are_those_that_answers_to_impulses_show() -> None:
    plan = plan_of("lanes")
    assert plan.factors is not None
    impulses = torch.zeros(2, mel_layout.FFT)
    impulses[0, 1] = impulses[1, 2] = 1
    first, second = torch.fft.rfft(impulses).numpy()
    parting = plan.factors[mel_layout.PARTING :].reshape(-1, 2)[1:]
    bins = slice(1, 1 + len(parting))
    assert np.array_equal(first.imag[bins], 2 * parting[:, 0] - 1)
    assert np.array_equal(first.real[bins], -2 * parting[:, 1])
    assert second[mel_layout.FFT // 16] == HALF_ROOT * (1 - 1j)


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 127, 128, 129, 311])
@pytest.mark.parametrize("threads", [1, 3, 40])
@pytest.mark.parametrize("transform", ["lanes", "mkl"])
def test_every_frame_is_written_by_any_number_of_threads(
    frames: int, threads: int, transform: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(numba_mel_cpu, "FRAMES_PER_THREAD", 1)
    plan = plan_of(transform)
    out = np.full((frames + 1, N_MELS), np.nan, np.float32)
    numba_mel_cpu.fill(NOISE, out[:frames], plan, threads)
    assert np.array_equal(out[:frames], log_mel(NOISE)[:frames])
    assert np.isnan(out[frames]).all()


@pytest.mark.parametrize("way", ["lanes", "mkl"], indirect=True)
def test_a_frame_is_the_same_to_the_bit_whatever_is_computed_with_it(way: str) -> None:
    for kind, waveform in EXTREMES.items():
        whole = log_mel(waveform)
        for first, frames in ((0, 1), (3, 2), (100, 17), (290, 20)):
            part = log_mel(waveform[first * 320 : (first + frames - 1) * 320 + WINDOW_SAMPLES])
            assert np.array_equal(part, whole[first : first + frames]), kind


@pytest.mark.parametrize("lanes", [8, 16, 32])
@pytest.mark.parametrize("way", ["lanes", "mkl"], indirect=True)
def test_vectors_of_any_width_give_the_same_bits(lanes: int, way: str, tmp_path: Path) -> None:
    np.save(tmp_path / "tone.npy", TONE[:20_000])
    program = (
        "import sys; import numpy as np; from arwkv_core.features import log_mel; from arwkv_kernels import mel_layout;"
        "np.save(sys.argv[2], log_mel(np.load(sys.argv[1]))); print(mel_layout.LANES)"
    )
    lanes_used = subprocess.run(
        [sys.executable, "-c", program, tmp_path / "tone.npy", tmp_path / "mels.npy"],
        env=os.environ | {"ARWKV_VECTOR_LANES": str(lanes), "NUMBA_CACHE_DIR": str(tmp_path)},
        check=True,
        capture_output=True,
        text=True,
    ).stdout
    assert int(lanes_used) == lanes // 2
    assert np.array_equal(np.load(tmp_path / "mels.npy"), log_mel(TONE[:20_000]))


def test_the_kernel_is_laid_out_for_the_front_end() -> None:
    assert (mel_layout.WINDOW, mel_layout.HOP) == (WINDOW_SAMPLES, HOP_SAMPLES)
    assert (mel_layout.FFT, mel_layout.BANDS) == (FFT_SAMPLES, N_MELS)


def test_a_long_waveform_is_computed_in_pieces(monkeypatch: pytest.MonkeyPatch) -> None:
    expected = log_mel(NOISE)
    monkeypatch.setattr(features, "_PIECE_FRAMES", 100)
    assert np.array_equal(log_mel(NOISE), expected)
    assert np.array_equal(log_mel(torch.from_numpy(NOISE).double()).numpy(), expected)


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


@pytest.mark.usefixtures("way")
def test_tensors_give_tensors() -> None:
    found = log_mel(torch.from_numpy(NOISE))
    assert isinstance(found, torch.Tensor)
    assert np.array_equal(found.numpy(), log_mel(NOISE))
    strided = torch.from_numpy(np.repeat(NOISE, 2))[::2]
    assert torch.equal(log_mel(strided), found)
    assert torch.equal(log_mel(strided.double()), found)
    assert not log_mel(torch.from_numpy(NOISE).requires_grad_()).requires_grad


@pytest.mark.usefixtures("way")
def test_arrays_of_any_float_type_and_layout() -> None:
    expected = log_mel(NOISE)
    frozen = NOISE.copy()
    frozen.flags.writeable = False
    for waveform in (frozen, NOISE.astype(np.float64), np.repeat(NOISE, 2)[::2], NOISE[::-1][::-1]):
        assert np.array_equal(log_mel(waveform), expected)
    assert np.abs(log_mel(NOISE.astype(np.float16)) - expected).max() < 0.1


@pytest.mark.usefixtures("way")
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

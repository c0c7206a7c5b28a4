"""Log-mels on the CPU: arrays in and out of the compiled loops."""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from . import mel_layout
from .mel_factors import factors
from .mkl_fourier import RealTransform, real_transform
from .numba_cache import kernel
from .threads import run_on_threads

LOG_MEL = ".numba_mel", "log_mel_tasks"  # imported only to be compiled

COMPARED_FRAMES = 256
FRAMES_PER_THREAD = 4096  # fewer are done before another thread has woken up

Floats = NDArray[np.float32]


class Plan(NamedTuple):
    """What the kernel reads besides the samples."""

    window: Floats
    """``(800,)``."""
    weights: Floats
    """Of the bins of the mel bands, band after band."""
    first_bins: NDArray[np.int64]
    """The first bin of each mel band."""
    bin_counts: NDArray[np.int64]
    """The number of bins of each mel band."""
    transform: RealTransform
    factors: Floats | None = None
    """Of the transform in lanes; None where it is MKL that transforms."""


def plan(window: Floats, mel: Floats) -> Plan | None:
    """Compile the kernel, or load it from the cache, and lay out what it needs: raises what the compiler raises.

    Parameters
    ----------
    window : ndarray
        ``(800,)``.
    mel : ndarray
        ``(513, 128)``; the bins of a band lie side by side.

    Returns
    -------
    Plan or None
        None where torch brings no Fourier transform that the kernel can call.
    """
    assert window.shape == (mel_layout.WINDOW,)
    assert mel.shape == (mel_layout.BINS, mel_layout.BANDS)
    transform = real_transform(mel_layout.FFT, mel_layout.BATCH)
    if transform is None:
        return None
    kernel(*LOG_MEL)
    heard = mel > 0
    counts = heard.sum(axis=0)
    firsts = heard.argmax(axis=0)
    weights = [mel[first : first + n, b] for b, (first, n) in enumerate(zip(firsts, counts, strict=True))]
    bins = firsts.astype(np.int64), counts.astype(np.int64)
    by_mkl = Plan(window, np.concatenate(weights), *bins, transform)
    in_lanes = by_mkl._replace(factors=factors())
    return in_lanes if _same_bits(by_mkl, in_lanes) else by_mkl


def _same_bits(one: Plan, other: Plan) -> bool:
    """Whether noise and a tone give the same by both: some paths of MKL round otherwise, and so may later versions."""
    count = (COMPARED_FRAMES - 1) * mel_layout.HOP + mel_layout.WINDOW
    samples = np.random.default_rng(0).standard_normal(count).astype(np.float32)
    tone = samples[count // 2 :]
    tone[:] = np.sin(np.arange(len(tone)))
    found = [np.empty((COMPARED_FRAMES, mel_layout.BANDS), np.float32) for _ in range(2)]
    for plan, out in zip((one, other), found, strict=True):
        fill(samples, out, plan, 1)
    return np.array_equal(found[0], found[1])


def fill(samples: Floats, out: Floats, plan: Plan, threads: int) -> None:
    """Write the log-mels of all complete frames of `samples` (n,) into `out` (frames, 128), both contiguous."""
    frames = len(out)
    threads = max(1, min(threads, frames // FRAMES_PER_THREAD))
    scratch = np.zeros(threads * mel_layout.SCRATCH_FLOATS, np.float32)
    p = np.zeros(mel_layout.WORDS, np.int64)
    p[mel_layout.FRAMES] = frames
    p[mel_layout.SAMPLES] = samples.ctypes.data
    p[mel_layout.OUT] = out.ctypes.data
    p[mel_layout.SCRATCH] = scratch.ctypes.data
    p[mel_layout.WINDOW_TABLE] = plan.window.ctypes.data
    p[mel_layout.WEIGHTS] = plan.weights.ctypes.data
    p[mel_layout.FIRST_BINS] = plan.first_bins.ctypes.data
    p[mel_layout.BIN_COUNTS] = plan.bin_counts.ctypes.data
    p[mel_layout.FUNCTION], p[mel_layout.DESCRIPTOR] = plan.transform
    p[mel_layout.FACTORS] = 0 if plan.factors is None else plan.factors.ctypes.data
    run_on_threads(kernel(*LOG_MEL), p.ctypes.data, threads)
    if p[mel_layout.FAILURES]:
        raise RuntimeError("MKL's Fourier transform failed")

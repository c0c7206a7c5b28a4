"""The filter bank written down plainly, in float64: what `arwkv_core.features` must give."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import (
    FFT_SAMPLES,
    HOP_SAMPLES,
    MEL_HIGH_HZ,
    MEL_LOW_HZ,
    N_MELS,
    SAMPLE_RATE,
    WINDOW_SAMPLES,
)
from arwkv_core.features import log_mel
from arwkv_core.features_torch import ENERGY_FLOOR, PREEMPHASIS

from .recordings import waveform

CHECKED_SECONDS = 3.0

TOLERANCE = 2e-3
"""Absolute. In float32 a band that happens to hold little energy is up to 8e-4 off float64, in noise as in tones."""


def plain_log_mel(sound: NDArray[np.float32]) -> NDArray[np.float64]:
    """Log-mels ``(frames, 128)`` of a waveform ``(samples,)`` at 32 kHz."""
    window = 0.5 - 0.5 * np.cos(2 * np.pi * np.arange(WINDOW_SAMPLES) / (WINDOW_SAMPLES - 1))
    starts = range(0, len(sound) - WINDOW_SAMPLES + 1, HOP_SAMPLES)
    frames = np.stack([sound[start : start + WINDOW_SAMPLES] for start in starts]).astype(np.float64)
    frames -= frames.mean(1, keepdims=True)
    before = np.concatenate([frames[:, :1], frames[:, :-1]], axis=1)
    power = np.abs(np.fft.rfft((frames - PREEMPHASIS * before) * window, FFT_SAMPLES)) ** 2
    return np.log(np.maximum(power[:, :-1] @ _triangles(), ENERGY_FLOOR))


def _triangles() -> NDArray[np.float64]:
    """Weight of each bin below the Nyquist frequency in each band, ``(512, 128)``."""
    low, high, bins = (
        1127 * np.log1p(np.asarray(hz) / 700)
        for hz in (MEL_LOW_HZ, MEL_HIGH_HZ, np.arange(FFT_SAMPLES // 2) * SAMPLE_RATE / FFT_SAMPLES)
    )
    edges = np.linspace(low, high, N_MELS + 2)
    rising = (bins[:, None] - edges[:-2]) / np.diff(edges)[:-1]
    falling = (edges[2:] - bins[:, None]) / np.diff(edges)[1:]
    return np.clip(np.minimum(rising, falling), 0, None)


def largest_error() -> float:
    """Largest difference between our log-mels and the plain ones; infinite if their number differs."""
    sound = waveform(CHECKED_SECONDS, SAMPLE_RATE)
    found, wanted = log_mel(sound), plain_log_mel(sound)
    return float(np.abs(found - wanted).max()) if found.shape == wanted.shape else float("inf")

"""Augmentation of normalised log-mels, in place.

SpecAugment's masks are written here rather than taken from torchaudio: its binaries refuse to be imported
beside a torch that was built for another CUDA version, and training must not depend on that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import HOP_SECONDS

from .recipe import SHORTEST_REVERBERATION, AugmentationTable
from .targets import DB_PER_NEPER

TAIL_DB = (0.0, 20.0)
"""A steady sound's tail lies so far below the sound itself."""

NOISE_TILT_DB = 15.0
"""The colour of noise: its ends lie up to so much above and below its middle."""

NOISE_LINES = (1.0, 8.0)
"""Spectral lines in the lowest and the highest mel bin, roughly: few make a coarse grain."""


def augment(
    rng: np.random.Generator, fbank: NDArray[np.float32], table: AugmentationTable, std: float
) -> None:
    """Change level, colour and band of each example, then mask parts of it.

    Parameters
    ----------
    rng : Generator
    fbank : ndarray, shape (B, frames, 128)
        Normalised; changed in place. A masked part becomes 0, the mean of the training data.
    table : AugmentationTable
    std : float
        What the log-mels were divided by: a decibel is ``1 / (4.34 * std)`` here.
    """
    _, frames, bins = fbank.shape
    slope = np.linspace(-1, 1, bins, dtype=np.float32)
    per_db = 1 / (DB_PER_NEPER * std)
    for example in fbank:
        gain = rng.uniform(-table.gain_db, table.gain_db)
        tilt = rng.uniform(-table.tilt_db, table.tilt_db)
        example += ((gain + tilt * slope) * per_db).astype(np.float32)
        if table.reverberation_probability and rng.random() < table.reverberation_probability:
            _reverberate(rng, example, table.reverberation_seconds, std)
        if table.noise_probability and rng.random() < table.noise_probability:
            _add_noise(rng, example, table.noise_snr_db, std)
        if rng.random() < table.low_pass_probability:
            cut = int(rng.integers(bins // 2, bins))
            example[:, cut:] = np.minimum(example[:, cut:], example.min())
        if rng.random() < table.erase_probability:
            _erase(rng, example, table.erase_area)
        longest = min(frames, round(table.time_mask_seconds / HOP_SECONDS))
        for _ in range(table.time_masks):
            width = int(rng.integers(0, longest + 1))
            start = int(rng.integers(0, frames - width + 1))
            example[start : start + width] = 0
        for _ in range(table.band_masks):
            width = int(rng.integers(0, min(bins, table.band_mask_bins) + 1))
            start = int(rng.integers(0, bins - width + 1))
            example[:, start : start + width] = 0


def _reverberate(rng: np.random.Generator, example: NDArray[np.float32], longest: float, std: float) -> None:
    """Let the energy of each frame die away exponentially in those after it."""
    seconds = rng.uniform(SHORTEST_REVERBERATION, longest)  # in which it falls by 60 dB
    kept = np.float32(10 ** (-6 * HOP_SECONDS / seconds))  # of the energy, from frame to frame
    below = rng.uniform(*TAIL_DB) / DB_PER_NEPER
    # a steady sound's tail has kept / (1 - kept) times the energy of a frame
    share = np.float32(np.exp(-below) * (1 - kept) / kept)
    energy = np.exp(example * np.float32(std))
    tails = np.empty_like(energy)
    tail = np.zeros_like(energy[0])
    for frame, heard in enumerate(energy):
        tails[frame] = tail
        tail = kept * (tail + heard)
    example[:] = np.log(energy + share * tails) / np.float32(std)


def _add_noise(rng: np.random.Generator, example: NDArray[np.float32], snr_db: float, std: float) -> None:
    """Add noise that does not change with time but in its grain; its colour is a line over the mel bins."""
    frames, bins = example.shape
    energy = example * np.float32(std)
    loudness = np.log(np.mean(np.exp(energy - energy.max()), dtype=np.float64)) + energy.max()
    level = loudness - rng.uniform(0, snr_db) / DB_PER_NEPER
    slope = rng.uniform(-NOISE_TILT_DB, NOISE_TILT_DB) / DB_PER_NEPER * np.linspace(-1, 1, bins)
    # the energy of a bin is that of so many random numbers, two for each line of the spectrum that it holds
    grain = rng.standard_gamma(np.linspace(*NOISE_LINES, bins), (frames, bins)) / np.linspace(
        *NOISE_LINES, bins
    )
    noise = level + slope + np.log(np.maximum(grain, 1e-6))
    example[:] = np.logaddexp(energy, noise) / std


def _erase(rng: np.random.Generator, example: NDArray[np.float32], largest: float) -> None:
    """Replace a rectangle of 2 % to ``largest`` of the area, of a random shape, by noise."""
    frames, bins = example.shape
    area = rng.uniform(min(0.02, largest), largest) * frames * bins
    ratio = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
    height = min(frames, max(1, round((area * ratio) ** 0.5)))
    width = min(bins, max(1, round((area / ratio) ** 0.5)))
    top, left = int(rng.integers(0, frames - height + 1)), int(rng.integers(0, bins - width + 1))
    example[top : top + height, left : left + width] = rng.standard_normal((height, width), np.float32)

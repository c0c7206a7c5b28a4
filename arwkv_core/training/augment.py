"""Augmentation of normalised log-mels, in place.

SpecAugment's masks are written here rather than taken from torchaudio: its binaries refuse to be imported
beside a torch that was built for another CUDA version, and training must not depend on that.
"""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import HOP_SECONDS

from .recipe import AugmentationTable
from .targets import DB_PER_NEPER


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


def _erase(rng: np.random.Generator, example: NDArray[np.float32], largest: float) -> None:
    """Replace a rectangle of 2 % to ``largest`` of the area, of a random shape, by noise."""
    frames, bins = example.shape
    area = rng.uniform(min(0.02, largest), largest) * frames * bins
    ratio = np.exp(rng.uniform(np.log(0.3), np.log(1 / 0.3)))
    height = min(frames, max(1, round((area * ratio) ** 0.5)))
    width = min(bins, max(1, round((area / ratio) ** 0.5)))
    top, left = int(rng.integers(0, frames - height + 1)), int(rng.integers(0, bins - width + 1))
    example[top : top + height, left : left + width] = rng.standard_normal((height, width), np.float32)

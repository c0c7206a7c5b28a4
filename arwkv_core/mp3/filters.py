"""The filters of MPEG audio's layer III as matrices: plain formulas, of which the decoder's tables are made."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from arwkv_core.mp3.prototype import PROTOTYPE

Doubles = NDArray[np.float64]

SUBBANDS, SLOTS = 32, 18
SHORT = 2
"""Type of blocks with three short windows; 0: long ones, 1: from long to short, 3: from short to long."""

_ALIAS = (-0.6, -0.535, -0.33, -0.185, -0.095, -0.041, -0.0142, -0.0037)


def block_window(block_type: int) -> Doubles:
    """Window of a block (36,); of short blocks that of each of the three (12,)."""
    long = np.sin(np.pi / 36 * (np.arange(36) + 0.5))
    short = np.sin(np.pi / 12 * (np.arange(12) + 0.5))
    if block_type == SHORT:
        return short
    if block_type == 1:
        return np.concatenate([long[:18], np.ones(6), short[6:], np.zeros(6)])
    if block_type == 3:
        return np.concatenate([np.zeros(6), short[:6], np.ones(6), long[18:]])
    return long


def inverse_transform(samples: int) -> Doubles:
    """The inverse modified cosine transform: (samples, samples / 2)."""
    time, line = np.arange(samples)[:, None], np.arange(samples // 2)
    return np.cos(np.pi / (2 * samples) * (2 * time + 1 + samples // 2) * (2 * line + 1))


def block_matrix(block_type: int) -> Doubles:
    """From the 18 lines of a subband to 36 windowed samples: (36, 18)."""
    if block_type != SHORT:
        return block_window(block_type)[:, None] * inverse_transform(36)
    matrix = np.zeros((36, 18))
    short = block_window(SHORT)[:, None] * inverse_transform(12)
    for window in range(3):
        start = 6 + 6 * window
        matrix[start : start + 12, window::3] = short
    return matrix


def alias_factors() -> tuple[Doubles, Doubles]:
    """What a line keeps of itself and takes of its mirror image across a boundary of subbands: (8,) each."""
    c = np.array(_ALIAS)
    return 1 / np.sqrt(1 + c * c), c / np.sqrt(1 + c * c)


def prototype() -> Doubles:
    """Taps of the low-pass filter that all subbands share: (512,)."""
    half = np.array(PROTOTYPE, np.float64) / 65_536
    return np.concatenate([half, half[255:0:-1]])


def subband_filters() -> Doubles:
    """What a sample of each subband becomes: (32, 512)."""
    band, time = np.arange(SUBBANDS)[:, None], np.arange(512)
    return prototype() * np.cos(np.pi / 64 * (2 * band + 1) * (time + 16))

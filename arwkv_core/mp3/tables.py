"""The tables that the compiled decoder reads, side by side in one array, for one sampling rate."""

from __future__ import annotations

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from arwkv_core.mp3 import bands, filters
from arwkv_core.mp3.codes import pair_tables, quad_tables, quad_values
from arwkv_kernels import mp3_layout as layout

_LARGEST = 8206  # of a line: 15 and 13 linbits


def _places(rate: int) -> NDArray[np.int32]:
    """Where each line stands in a spectrum of rows of 32 subbands, for each kind of granule: (3, 576)."""
    orders = np.tile(np.arange(layout.LINES), (3, 1))
    orders[layout.SHORT] = bands.short_order(rate, 0)
    start = bands.LONG_LINES_OF_MIXED
    mixed = bands.short_order(rate, start)
    orders[layout.BOTH, start : start + len(mixed)] = mixed
    return (orders % layout.SLOTS * layout.SUBBANDS + orders // layout.SLOTS).astype(np.int32)


def _vector_signs() -> NDArray[np.float64]:
    """Sign of the number that meets each tap of the window (512,): the kernel keeps cosines that differ in it once."""
    tap = np.arange(layout.WINDOW_TAPS)
    number = layout.HALF_BAND + tap % layout.SUBBANDS + layout.SUBBANDS * (tap // layout.SUBBANDS % 2)
    cosine = np.where(number == layout.SUBBANDS, 0.0, np.where(number > layout.SUBBANDS, -1.0, 1.0))
    # of 128 samples the cosines change sign in the latter 64
    return cosine * np.where(tap // 64 % 2, -1.0, 1.0)


@lru_cache(maxsize=9)
def tables(rate: int) -> NDArray[np.int32]:
    """All tables for a sampling rate (Hz); floats are float32, whose bits stand among the integers."""
    pairs, codes = pair_tables()
    whole = np.zeros(layout.CODES + len(codes), np.int32)
    floats = whole.view(np.float32)

    def put(offset: int, values: NDArray[np.generic]) -> None:
        target = floats if values.dtype.kind == "f" else whole
        target[offset : offset + values.size] = values.ravel()

    put(layout.PLACES, _places(rate))
    kinds = bands.long_bands(rate), bands.short_bands(rate), bands.mixed_bands(rate)
    for kind, sizes in zip((layout.LONG, layout.SHORT, layout.BOTH), kinds, strict=True):
        put(layout.BAND_SIZES + layout.MOST_BANDS * kind, np.array(sizes, np.int32))
    put(layout.LONG_BOUNDS, np.cumsum([0, *kinds[0]]).astype(np.int32))
    put(layout.POWERS, np.arange(_LARGEST + 1, dtype=np.float64) ** (4 / 3))
    put(layout.GAINS, 2.0 ** ((np.arange(layout.SHORT_MATRIX - layout.GAINS) - layout.GAIN_ZERO) / 4))
    put(layout.SHORT_MATRIX, filters.block_matrix(filters.SHORT))
    half = layout.SLOTS // 2
    long = filters.inverse_transform(2 * layout.SLOTS)  # its first half is mirrored with the other sign
    put(layout.LONG_MATRIX, np.concatenate([long[:half], long[layout.SLOTS :][:half]]))
    signs = np.where((np.arange(4 * half) >= half) & (np.arange(4 * half) < 2 * half), -1.0, 1.0)
    for block_type in (0, 1, 3):
        offset = layout.BLOCK_WINDOWS + 4 * half * block_type
        put(offset, filters.block_window(block_type) * signs)
    keep, cross = np.ones((2, 8, layout.SUBBANDS)), np.zeros((2, 8, layout.SUBBANDS))
    of_line = [factors[:, None] for factors in filters.alias_factors()]
    keep[0, :, :-1], cross[0, :, :-1] = of_line
    keep[1, :, :1], cross[1, :, :1] = of_line
    put(layout.ALIAS_KEEP, keep)
    put(layout.ALIAS_CROSS, cross)
    put(layout.ALIAS_LESS, -cross)
    put(layout.TURNS, np.tile([1.0, -1.0], layout.SUBBANDS // 2))
    number, parity = np.arange(layout.HALF_BAND), np.arange(2)[:, None, None]
    put(layout.COSINES, np.cos(np.pi / 64 * (2 * number[:, None] + 1) * (2 * number + parity)))
    put(layout.WINDOW, filters.prototype() * _vector_signs())
    put(layout.PAIR_TABLES, pairs)
    put(layout.QUAD_TABLES, quad_tables())
    put(layout.QUAD_VALUES, quad_values())
    put(layout.CODES, codes)
    whole.setflags(write=False)
    return whole

# mypy: ignore-errors
"""The hybrid filter bank of mp3: from a granule's spectrum to samples of 32 subbands.

Transforms are written as matrix products over all subbands at once: on vectors they cost less than reading the
Huffman code words.
"""

from numba import njit

from .mp3_layout import BLOCK_WINDOWS, LINES, LONG_MATRIX, SHORT_BLOCKS, SHORT_MATRIX, SLOTS, SUBBANDS, TURNS
from .numba_rows import INLINE, PART
from .numba_vector import broadcast, load, multiply, multiply_add, store, zero
from .vector_width import VALUES


@njit(**PART)
def add_rows(matrix, spectrum, first, hybrid):
    """Add rows first, first + 2 ... first + 10 of a matrix times the spectrum to those of `hybrid`."""
    r = matrix + 4 * SLOTS * first
    for lane in range(0, SUBBANDS, VALUES):
        at = first * SUBBANDS + lane
        a, b = load(hybrid, at), load(hybrid, at + 2 * SUBBANDS)
        c, d = load(hybrid, at + 4 * SUBBANDS), load(hybrid, at + 6 * SUBBANDS)
        e, f = load(hybrid, at + 8 * SUBBANDS), load(hybrid, at + 10 * SUBBANDS)
        for k in range(SLOTS):
            x = load(spectrum, k * SUBBANDS + lane)
            a = multiply_add(broadcast(r, k), x, a)
            b = multiply_add(broadcast(r, k + 2 * SLOTS), x, b)
            c = multiply_add(broadcast(r, k + 4 * SLOTS), x, c)
            d = multiply_add(broadcast(r, k + 6 * SLOTS), x, d)
            e = multiply_add(broadcast(r, k + 8 * SLOTS), x, e)
            f = multiply_add(broadcast(r, k + 10 * SLOTS), x, f)
        store(hybrid, at, a)
        store(hybrid, at + 2 * SUBBANDS, b)
        store(hybrid, at + 4 * SUBBANDS, c)
        store(hybrid, at + 6 * SUBBANDS, d)
        store(hybrid, at + 8 * SUBBANDS, e)
        store(hybrid, at + 10 * SUBBANDS, f)


@njit(**INLINE)
def add_twice(windows, row, x, turns, hybrid, lane):
    """Add a sample of each subband, windowed, to its slot and to the one that mirrors it, of which one is odd."""
    slot = row if row < SLOTS // 2 else row + SLOTS // 2
    mirror = SLOTS - 1 - slot if row < SLOTS // 2 else 3 * SLOTS - 1 - slot
    even, odd = (slot, mirror) if slot % 2 == 0 else (mirror, slot)
    at = even * SUBBANDS + lane
    store(hybrid, at, multiply_add(broadcast(windows, even), x, load(hybrid, at)))
    at = odd * SUBBANDS + lane
    store(hybrid, at, multiply_add(broadcast(windows, odd), multiply(x, turns), load(hybrid, at)))


@njit(**PART)
def add_long(tables, block_type, spectrum, hybrid):
    """Add the windowed inverse transform of long blocks: half of its 36 samples are the others, mirrored."""
    windows = tables + 4 * (BLOCK_WINDOWS + 2 * SLOTS * block_type)
    for lane in range(0, SUBBANDS, VALUES):
        turns = load(tables, TURNS + lane)
        for first in range(0, SLOTS, 6):
            r = tables + 4 * (LONG_MATRIX + SLOTS * first)
            a, b, c, d, e, f = zero(), zero(), zero(), zero(), zero(), zero()
            for k in range(SLOTS):
                x = load(spectrum, k * SUBBANDS + lane)
                a = multiply_add(broadcast(r, k), x, a)
                b = multiply_add(broadcast(r, k + SLOTS), x, b)
                c = multiply_add(broadcast(r, k + 2 * SLOTS), x, c)
                d = multiply_add(broadcast(r, k + 3 * SLOTS), x, d)
                e = multiply_add(broadcast(r, k + 4 * SLOTS), x, e)
                f = multiply_add(broadcast(r, k + 5 * SLOTS), x, f)
            add_twice(windows, first, a, turns, hybrid, lane)
            add_twice(windows, first + 1, b, turns, hybrid, lane)
            add_twice(windows, first + 2, c, turns, hybrid, lane)
            add_twice(windows, first + 3, d, turns, hybrid, lane)
            add_twice(windows, first + 4, e, turns, hybrid, lane)
            add_twice(windows, first + 5, f, turns, hybrid, lane)


@njit(**PART)
def add_inverse(tables, block_type, spectrum, turned, hybrid):
    """Add the windowed inverse transform of a spectrum to the 36 rows of `hybrid`; `turned` is scratch."""
    if block_type != SHORT_BLOCKS:
        add_long(tables, block_type, spectrum, hybrid)
        return
    matrix = tables + 4 * SHORT_MATRIX
    for k in range(SLOTS):
        for lane in range(0, SUBBANDS, VALUES):
            at = k * SUBBANDS + lane
            store(turned, at, multiply(load(spectrum, at), load(tables, TURNS + lane)))
    for first in range(0, 2 * SLOTS, 12):
        add_rows(matrix, spectrum, first, hybrid)
        add_rows(matrix, turned, first + 1, hybrid)


@njit(**PART)
def advance(hybrid):
    """What was begun of the next granule becomes this one's."""
    for i in range(0, LINES, VALUES):
        store(hybrid, i, load(hybrid, LINES + i))
        store(hybrid, LINES + i, zero())

# mypy: ignore-errors
"""The hybrid filter bank of mp3: from a granule's spectrum to samples of 32 subbands.

Transforms are written as matrix products over all subbands at once: on vectors they cost less than reading the
Huffman code words, and one text serves long, short and mixed blocks.
"""

from numba import njit

from .mp3_layout import LINES, MATRICES, SLOTS, SUBBANDS, TURNS
from .numba_rows import PART
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


@njit(**PART)
def add_inverse(tables, block_type, spectrum, turned, hybrid):
    """Add the windowed inverse transform of a spectrum to the 36 rows of `hybrid`; `turned` is scratch."""
    matrix = tables + 4 * (MATRICES + 2 * SLOTS * SLOTS * block_type)
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

# mypy: ignore-errors
"""The hybrid synthesis of mp3: from a granule's spectrum to samples of 32 subbands, and on to sound.

Transforms are written as matrix products over all subbands at once: on vectors they cost less than reading the
Huffman code words, and one text serves long, short and mixed blocks.
"""

from numba import njit

from .mp3_layout import COSINES, HISTORY_SLOTS, LINES, MATRICES, SLOTS, SUBBANDS, TURNS, WINDOW
from .numba_rows import PART
from .numba_vector import broadcast, load, multiply, multiply_add, store, zero
from .vector_width import VALUES

VECTOR = 2 * SUBBANDS  # numbers that the matrix of the polyphase filter bank makes of a slot


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


@njit(**PART)
def matrix_six(tables, samples, vectors):
    """The vectors of six slots."""
    for lane in range(0, VECTOR, VALUES):
        a, b, c, d, e, f = zero(), zero(), zero(), zero(), zero(), zero()
        for k in range(SUBBANDS):
            x = load(tables, COSINES + VECTOR * k + lane)
            a = multiply_add(broadcast(samples, k), x, a)
            b = multiply_add(broadcast(samples, k + SUBBANDS), x, b)
            c = multiply_add(broadcast(samples, k + 2 * SUBBANDS), x, c)
            d = multiply_add(broadcast(samples, k + 3 * SUBBANDS), x, d)
            e = multiply_add(broadcast(samples, k + 4 * SUBBANDS), x, e)
            f = multiply_add(broadcast(samples, k + 5 * SUBBANDS), x, f)
        store(vectors, lane, a)
        store(vectors, lane + VECTOR, b)
        store(vectors, lane + 2 * VECTOR, c)
        store(vectors, lane + 3 * VECTOR, d)
        store(vectors, lane + 4 * VECTOR, e)
        store(vectors, lane + 5 * VECTOR, f)


@njit(**PART)
def window_three(tables, vectors, out):
    """Samples of three slots, of whose vectors the first is at `vectors`."""
    for lane in range(0, SUBBANDS, VALUES):
        a, b, c = zero(), zero(), zero()
        for i in range(0, 16, 2):
            w = load(tables, WINDOW + SUBBANDS * i + lane)
            at = lane - VECTOR * i
            a = multiply_add(load(vectors, at), w, a)
            b = multiply_add(load(vectors, at + VECTOR), w, b)
            c = multiply_add(load(vectors, at + 2 * VECTOR), w, c)
            w = load(tables, WINDOW + SUBBANDS * (i + 1) + lane)
            at += SUBBANDS - VECTOR
            a = multiply_add(load(vectors, at), w, a)
            b = multiply_add(load(vectors, at + VECTOR), w, b)
            c = multiply_add(load(vectors, at + 2 * VECTOR), w, c)
        store(out, lane, a)
        store(out, lane + SUBBANDS, b)
        store(out, lane + 2 * SUBBANDS, c)


@njit(**PART)
def synthesise(tables, samples, vectors, out):
    """The 576 samples of a granule from those of its subbands; `vectors` has those of earlier slots in front."""
    present = vectors + 4 * VECTOR * HISTORY_SLOTS
    for slot in range(0, SLOTS, 6):
        matrix_six(tables, samples + 4 * SUBBANDS * slot, present + 4 * VECTOR * slot)
    for slot in range(0, SLOTS, 3):
        window_three(tables, present + 4 * VECTOR * slot, out + 4 * SUBBANDS * slot)
    for i in range(0, VECTOR * HISTORY_SLOTS, VALUES):
        store(vectors, i, load(vectors, VECTOR * SLOTS + i))

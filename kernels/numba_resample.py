# mypy: ignore-errors
"""Resampling by a ratio of whole numbers: a filter whose taps repeat after so many outputs.

As many stretches of the sound as a vector has lanes are worked on at once, all by the same taps. An output is the sum
of the same products in the same order wherever it lies in a stretch or a batch: blocks of any size give the same bits.
"""

from numba import njit

from .numba_mel_lanes import broadcast_lanes, lanes_to_rows, rows_to_lanes
from .numba_mp3_bits import entry
from .numba_rows import PART
from .numba_vector import load_half, multiply_add_half, store_half, zero_half
from .numba_words import word
from .resample_layout import (
    BATCHES,
    FIRST_ROWS,
    GROUPS,
    LANES,
    OUT,
    PHASES,
    ROWS,
    SAMPLES,
    SCRATCH,
    STEP_IN,
    STEP_OUT,
    TAPS,
)


@njit(**PART)
def run_group(inputs, taps, rows, outputs):
    """``PHASES`` outputs of each lane, from as many rows of inputs as there are of taps."""
    a, b, c, d = zero_half(), zero_half(), zero_half(), zero_half()
    e, f, g, h = zero_half(), zero_half(), zero_half(), zero_half()
    for row in range(rows):
        x = load_half(inputs, LANES * row)
        at = PHASES * row
        a = multiply_add_half(broadcast_lanes(taps, at), x, a)
        b = multiply_add_half(broadcast_lanes(taps, at + 1), x, b)
        c = multiply_add_half(broadcast_lanes(taps, at + 2), x, c)
        d = multiply_add_half(broadcast_lanes(taps, at + 3), x, d)
        e = multiply_add_half(broadcast_lanes(taps, at + 4), x, e)
        f = multiply_add_half(broadcast_lanes(taps, at + 5), x, f)
        g = multiply_add_half(broadcast_lanes(taps, at + 6), x, g)
        h = multiply_add_half(broadcast_lanes(taps, at + 7), x, h)
    store_half(outputs, 0, a)
    store_half(outputs, LANES, b)
    store_half(outputs, 2 * LANES, c)
    store_half(outputs, 3 * LANES, d)
    store_half(outputs, 4 * LANES, e)
    store_half(outputs, 5 * LANES, f)
    store_half(outputs, 6 * LANES, g)
    store_half(outputs, 7 * LANES, h)


@njit(**PART)
def run_batch(p, samples, out):
    """One stretch of output a lane."""
    inputs = word(p, SCRATCH)
    step_in, step_out, rows = word(p, STEP_IN), word(p, STEP_OUT), word(p, ROWS)
    count = step_in + rows
    for row in range(0, count, LANES):
        rows_to_lanes(samples + 4 * row, 4 * step_in, inputs + 4 * LANES * row)
    outputs = inputs + 4 * LANES * ((count + LANES - 1) // LANES * LANES)
    for group in range(word(p, GROUPS)):
        first = entry(word(p, FIRST_ROWS), group)
        taps = word(p, TAPS) + 4 * PHASES * rows * group
        run_group(inputs + 4 * LANES * first, taps, rows, outputs + 4 * LANES * PHASES * group)
    for row in range(0, step_out, LANES):
        lanes_to_rows(outputs + 4 * LANES * row, out + 4 * row, 4 * step_out)


def resample(p):
    """Make batches of output."""
    samples, out = word(p, SAMPLES), word(p, OUT)
    for _ in range(word(p, BATCHES)):
        run_batch(p, samples, out)
        samples += 4 * LANES * word(p, STEP_IN)
        out += 4 * LANES * word(p, STEP_OUT)

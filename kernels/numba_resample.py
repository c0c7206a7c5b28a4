# mypy: ignore-errors
"""Resampling by a ratio of whole numbers: a filter whose taps repeat after so many outputs.

As many stretches of the sound as two vectors have lanes are worked on at once, all by the same taps. An output is the
sum of the same products in the same order wherever it lies in a stretch or a batch: blocks of any size give the same
bits.
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
    STRETCHES,
    TAPS,
)


@njit(**PART)
def run_group(inputs, taps, rows, outputs, gap_in, gap_out):
    """``PHASES`` outputs of each lane of two vectors, from as many rows of inputs as there are of taps.

    A tap is loaded once for both: with one vector the loads would take longer than the arithmetic.
    """
    a, b, c, d = zero_half(), zero_half(), zero_half(), zero_half()
    e, f, g, h = zero_half(), zero_half(), zero_half(), zero_half()
    i, j = zero_half(), zero_half()
    for row in range(rows):
        x, y = load_half(inputs, LANES * row), load_half(inputs + gap_in, LANES * row)
        at = PHASES * row
        tap = broadcast_lanes(taps, at)
        a, b = multiply_add_half(tap, x, a), multiply_add_half(tap, y, b)
        tap = broadcast_lanes(taps, at + 1)
        c, d = multiply_add_half(tap, x, c), multiply_add_half(tap, y, d)
        tap = broadcast_lanes(taps, at + 2)
        e, f = multiply_add_half(tap, x, e), multiply_add_half(tap, y, f)
        tap = broadcast_lanes(taps, at + 3)
        g, h = multiply_add_half(tap, x, g), multiply_add_half(tap, y, h)
        tap = broadcast_lanes(taps, at + 4)
        i, j = multiply_add_half(tap, x, i), multiply_add_half(tap, y, j)
    store_half(outputs, 0, a)
    store_half(outputs, LANES, c)
    store_half(outputs, 2 * LANES, e)
    store_half(outputs, 3 * LANES, g)
    store_half(outputs, 4 * LANES, i)
    outputs += gap_out
    store_half(outputs, 0, b)
    store_half(outputs, LANES, d)
    store_half(outputs, 2 * LANES, f)
    store_half(outputs, 3 * LANES, h)
    store_half(outputs, 4 * LANES, j)


@njit(**PART)
def run_batch(p, samples, out):
    """One stretch of output a lane."""
    inputs = word(p, SCRATCH)
    step_in, step_out, rows = word(p, STEP_IN), word(p, STEP_OUT), word(p, ROWS)
    count = (step_in + rows + LANES - 1) // LANES * LANES
    gap_in, gap_out = 4 * LANES * count, 4 * LANES * step_out
    for row in range(0, count, LANES):
        source, target = samples + 4 * row, inputs + 4 * LANES * row
        rows_to_lanes(source, 4 * step_in, target)
        rows_to_lanes(source + 4 * LANES * step_in, 4 * step_in, target + gap_in)
    outputs = inputs + 2 * gap_in
    for group in range(word(p, GROUPS)):
        first = entry(word(p, FIRST_ROWS), group)
        taps = word(p, TAPS) + 4 * PHASES * rows * group
        target = outputs + 4 * LANES * PHASES * group
        run_group(inputs + 4 * LANES * first, taps, rows, target, gap_in, gap_out)
    for row in range(0, step_out, LANES):
        source, target = outputs + 4 * LANES * row, out + 4 * row
        lanes_to_rows(source, target, 4 * step_out)
        lanes_to_rows(source + gap_out, target + 4 * LANES * step_out, 4 * step_out)


def resample(p):
    """Make batches of output."""
    samples, out = word(p, SAMPLES), word(p, OUT)
    for _ in range(word(p, BATCHES)):
        run_batch(p, samples, out)
        samples += 4 * STRETCHES * word(p, STEP_IN)
        out += 4 * STRETCHES * word(p, STEP_OUT)

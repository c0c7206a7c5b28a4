# mypy: ignore-errors
"""Spectra of an mp3 granule: dequantised lines, which are added up over channels, a row a line of all subbands."""

from numba import float32, njit

from .mel_layout import LANES
from .mp3_layout import (
    ALIAS_CROSS,
    ALIAS_KEEP,
    ALIAS_LESS,
    BAND_SIZES,
    BOTH,
    FACTORS,
    GAIN,
    GAIN_ZERO,
    GAINS,
    KIND,
    LINES,
    LONG,
    LOUDEST,
    LSF,
    MOST_BANDS,
    PLACES,
    PRETAB,
    SCALE_SHIFT,
    SLOTS,
    SUBBANDS,
    SUBBLOCK_GAIN,
    TABLES,
    USED,
)
from .numba_mel_lanes import turn_square
from .numba_mp3_bits import entry
from .numba_rows import INLINE, PART, clear
from .numba_vector import (
    add,
    all_at_least,
    broadcast,
    larger,
    load,
    load_scalar,
    multiply,
    multiply_add,
    splat,
    store,
    store_scalar,
    zero,
)
from .numba_words import word
from .vector_width import VALUES

UNIT_GAIN = 210  # of the side information: quantised values are taken as they are


@njit(**INLINE)
def pretab(band):
    """What a granule's flag adds to the scale factors of the upper long bands."""
    return (
        0
        if band < 11
        else (1 if band < 15 else (2 if band < 17 else (3 if band < 20 else (2 if band < 21 else 0))))
    )


@njit(**PART)
def scale_lines(p, g, quanta, halved, lines):
    """A channel's lines, dequantised and perhaps halved, all 576 of them, in the order of the file.

    A band is written in whole vectors; what they have too much the next band writes over.
    """
    tables, kind, used = word(p, TABLES), word(g, KIND), word(g, USED)
    sizes = tables + 4 * (BAND_SIZES + MOST_BANDS * kind)
    shift = word(g, SCALE_SHIFT)
    gain = GAIN_ZERO + word(g, GAIN) - UNIT_GAIN - (4 if halved else 0)
    long_bands = 22 if kind == LONG else (0 if kind != BOTH else (8 if word(p, LSF) == 0 else 6))
    line, band = 0, 0
    while line < used:
        factor = word(g, FACTORS + band)
        if band < long_bands:
            if word(g, PRETAB) != 0:
                factor += pretab(band)
            exponent = gain - (factor << shift)
        else:
            exponent = gain - (factor << shift) - 8 * word(g, SUBBLOCK_GAIN + (band - long_bands) % 3)
        scale = broadcast(tables, GAINS + exponent)
        end = min(line + entry(sizes, band), used)
        for i in range(line, end, VALUES):
            store(lines, i, multiply(scale, load(quanta, i)))
        line = end
        band += 1
    clear(lines + 4 * used, LINES - used)


@njit(**PART)
def are_quiet(lines):
    """Whether all lines are at most as large as ``LOUDEST``."""
    largest = zero()
    for i in range(0, LINES, VALUES):
        largest = larger(largest, load(lines, i))
    return all_at_least(multiply(largest, splat(float32(-1.0))), float32(-LOUDEST))


@njit(**PART)
def add_lines(lines, others):
    """Add other lines to some."""
    for i in range(0, LINES, VALUES):
        store(lines, i, add(load(lines, i), load(others, i)))


@njit(**PART)
def place_lines(tables, kind, lines, spectrum):
    """Lines in the order of the file to a spectrum, a row a line of all subbands."""
    if kind == LONG:  # a subband's lines stand side by side
        for subband in range(0, SUBBANDS, LANES):
            for k in range(0, SLOTS // LANES * LANES, LANES):
                source = lines + 4 * (SLOTS * subband + k)
                turn_square(source, 4 * SLOTS, spectrum + 4 * (SUBBANDS * k + subband), 4 * SUBBANDS)
        for subband in range(SUBBANDS):
            for k in range(SLOTS // LANES * LANES, SLOTS):
                store_scalar(spectrum, SUBBANDS * k + subband, load_scalar(lines, SLOTS * subband + k))
    else:
        places = tables + 4 * (PLACES + LINES * kind)
        for i in range(LINES):
            store_scalar(spectrum, entry(places, i), load_scalar(lines, i))


@njit(**PART)
def reduce_alias(tables, spectrum, first_only):
    """Undo the overlap between neighbouring subbands, at all boundaries or the first alone."""
    keep = tables + 4 * (ALIAS_KEEP + 8 * SUBBANDS * first_only)
    cross = tables + 4 * (ALIAS_CROSS + 8 * SUBBANDS * first_only)
    less = tables + 4 * (ALIAS_LESS + 8 * SUBBANDS * first_only)
    for j in range(8):
        below, above = (SLOTS - 1 - j) * SUBBANDS, j * SUBBANDS + 1
        for lane in range(0, SUBBANDS, VALUES):
            at = j * SUBBANDS + lane
            a, b, kept = load(spectrum, below + lane), load(spectrum, above + lane), load(keep, at)
            store(spectrum, below + lane, multiply_add(b, load(less, at), multiply(a, kept)))
            # the last lane is the next line's first subband, which keeps what it is
            store(spectrum, above + lane, multiply_add(a, load(cross, at), multiply(b, kept)))

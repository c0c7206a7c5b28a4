# mypy: ignore-errors
"""The quantised lines of an mp3 granule: Huffman code words, raised to 4/3 as they are read."""

from numba import float32, njit

from .mp3_layout import (
    CODES,
    COUNT_TABLE,
    LINES,
    PAIR_ROW,
    PAIR_TABLES,
    POWERS,
    QUAD_BITS,
    QUAD_TABLES,
    REGION_END,
    TABLE,
)
from .numba_mp3_bits import cache_at, entry, signed, top
from .numba_rows import INLINE, PART
from .numba_vector import load_scalar, store_scalar
from .numba_words import word

ESCAPE = 15  # the largest value of a table; where the table has linbits, more follows


@njit(**INLINE)
def look_up(codes, first, width, cache):
    """The entry of the code word at the top of the cache."""
    found = entry(codes, first + top(cache, width))
    if found < 0:  # a longer word: the rest of it stands in a table of its own
        found = -found
        found = entry(codes, (found >> 5) + top(cache << width, found & 31))
    return found


@njit(**PART)
def short_pairs(main, at, codes, powers, description, out, line, end):
    """Pairs of a table without linbits; the bit behind them."""
    first, width, at_once = entry(description, 0), entry(description, 1), entry(description, 3)
    while line < end:
        cache = cache_at(main, at)
        last = min(line + 2 * at_once, end)
        while line < last:
            found = look_up(codes, first, width, cache)
            cache <<= found & 31
            store_scalar(out, line, signed(load_scalar(powers, (found >> 12) & 15), cache))
            cache <<= (found >> 20) & 1
            store_scalar(out, line + 1, signed(load_scalar(powers, (found >> 16) & 15), cache))
            cache <<= (found >> 21) & 1
            at += (found >> 5) & 31
            line += 2
    return at


@njit(**PART)
def long_pairs(main, at, codes, powers, description, out, line, end):
    """Pairs of a table with linbits; the bit behind them."""
    first, width, linbits = entry(description, 0), entry(description, 1), entry(description, 2)
    while line < end:
        cache = cache_at(main, at)
        found = look_up(codes, first, width, cache)
        cache <<= found & 31
        at += (found >> 5) & 31
        x, y = (found >> 12) & 15, (found >> 16) & 15
        if x == ESCAPE:
            x += top(cache, linbits)
            cache <<= linbits
            at += linbits
        store_scalar(out, line, signed(load_scalar(powers, x), cache))
        cache <<= (found >> 20) & 1
        if y == ESCAPE:
            y += top(cache, linbits)
            cache <<= linbits
            at += linbits
        store_scalar(out, line + 1, signed(load_scalar(powers, y), cache))
        cache <<= (found >> 21) & 1
        line += 2
    return at


@njit(**PART)
def quads(main, at, end, table, out, line):
    """Lines of -1, 0 and 1, in fours, up to bit `end`; the line behind the last."""
    before = -1
    while line <= LINES - 4:
        if at >= end:
            if at > end and before >= 0:
                line -= 4  # some encoders state a length that cuts the last word: it is none
            break
        before = at
        cache = cache_at(main, at)
        found = entry(table, top(cache, QUAD_BITS))
        cache <<= found & 31
        at += (found >> 5) & 31
        for i in range(4):
            present = (found >> (12 + i)) & 1
            store_scalar(out, line + i, signed(float32(present), cache))
            cache <<= present
        line += 4
    return line


@njit(**PART)
def read_lines(tables, main, at, end, g, out):
    """Read a granule's lines from bit `at` to `end` into `out`; how many may differ from 0, or -1 if it is damaged."""
    powers, codes = tables + 4 * POWERS, tables + 4 * CODES
    line = 0
    for region in range(3):
        until = word(g, REGION_END + region)
        if until <= line:
            continue
        description = tables + 4 * (PAIR_TABLES + PAIR_ROW * word(g, TABLE + region))
        if entry(description, 1) == 0:  # a table of nothing but zeros
            for i in range(line, until):
                store_scalar(out, i, float32(0.0))
        elif entry(description, 2) == 0:
            at = short_pairs(main, at, codes, powers, description, out, line, until)
        else:
            at = long_pairs(main, at, codes, powers, description, out, line, until)
        line = until
        if at > end:
            return -1
    return quads(main, at, end, tables + 4 * (QUAD_TABLES + (word(g, COUNT_TABLE) << QUAD_BITS)), out, line)

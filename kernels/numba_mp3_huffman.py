# mypy: ignore-errors
"""The quantised lines of an mp3 granule: Huffman code words, raised to 4/3 as they are read."""

from numba import float32, njit

from .mp3_layout import (
    CODES,
    COUNT_TABLE,
    ESCAPE,
    HAS_ESCAPE,
    LINES,
    PAIR_ROW,
    PAIR_TABLES,
    POWERS,
    QUAD_BITS,
    QUAD_TABLES,
    QUAD_VALUES,
    REGION_END,
    TABLE,
)
from .numba_mp3_bits import cache_at, copy_bytes, entry, signed, top
from .numba_rows import INLINE, PART
from .numba_vector import load_scalar, store_scalar
from .numba_words import word

QUADS_AT_ONCE = 5  # in the 57 bits of a cache


@njit(**INLINE)
def look_up(codes, first, width, cache):
    """The entry of the code word at the top of the cache."""
    found = entry(codes, first + top(cache, width))
    if found < 0:  # a longer word: the rest of it stands in a table of its own
        found = -found
        found = entry(codes, (found >> 5) + top(cache << width, found & 31))
    return found


@njit(**PART)
def escaped(powers, linbits, found, cache, out, line):
    """A pair of which a value goes on behind the word, in `linbits` bits; bits of all of it, 47 at most."""
    cache <<= (found >> 6) & 31
    size = found & 63
    x, y = (found >> 12) & 15, (found >> 16) & 15
    if x == ESCAPE:
        x += top(cache, linbits)
        cache <<= linbits
        size += linbits
    store_scalar(out, line, signed(load_scalar(powers, x), cache))
    cache <<= (found >> 20) & 1
    if y == ESCAPE:
        y += top(cache, linbits)
        cache <<= linbits
        size += linbits
    store_scalar(out, line + 1, signed(load_scalar(powers, y), cache))
    return size


@njit(**INLINE)
def refill(source, cache, held):
    """A cache of whose topmost bits `held` count, with 56 or more that do; `source` is where the next bytes lie.

    That is known from the last time on: no word waits for them to be loaded.
    """
    return source + ((63 - held) >> 3), cache | top(cache_at(source, 0), 64 - held), held | 56


@njit(**PART)
def pairs(main, at, codes, powers, description, out, line, end):
    """Pairs up to line `end`; the bit behind them."""
    first, width, linbits = entry(description, 0), entry(description, 1), entry(description, 2)
    at_once = entry(description, 3)
    source = main + (at >> 3)
    cache, held = cache_at(source, 0) << (at & 7), 56 - (at & 7)
    source += 7
    while line < end:
        source, cache, held = refill(source, cache, held)
        last = min(line + 2 * at_once, end)
        while line < last:
            found = look_up(codes, first, width, cache)
            if found & HAS_ESCAPE:
                source, cache, held = refill(source, cache, held)
                size = escaped(powers, linbits, found, cache, out, line)
                cache <<= size
                held -= size
                line += 2
                break
            signs = cache << ((found >> 6) & 31)
            store_scalar(out, line, signed(load_scalar(powers, (found >> 12) & 15), signs))
            signs <<= (found >> 20) & 1
            store_scalar(out, line + 1, signed(load_scalar(powers, (found >> 16) & 15), signs))
            cache <<= found & 63  # at once: the next word waits for nothing else
            held -= found & 63
            line += 2
    return 8 * (source - main) - held


@njit(**INLINE)
def put_quad(values, found, out, line):
    """The four lines that an entry stands for; the bits of their word and signs."""
    copy_bytes(out + 4 * line, values + (found >> 5), 16)
    return found & 31


@njit(**PART)
def quads(tables, main, at, end, choice, out, line):
    """Lines of -1, 0 and 1, in fours, up to bit `end`; the line behind the last."""
    table, values = tables + 4 * (QUAD_TABLES + (choice << QUAD_BITS)), tables + 4 * QUAD_VALUES
    while line <= LINES - 4 * QUADS_AT_ONCE and at + QUAD_BITS * QUADS_AT_ONCE <= end:
        cache = cache_at(main, at)
        for _ in range(QUADS_AT_ONCE):
            size = put_quad(values, entry(table, top(cache, QUAD_BITS)), out, line)
            cache <<= size
            at += size
            line += 4
    before = -1
    while line <= LINES - 4:
        if at >= end:
            if at > end and before >= 0:
                line -= 4  # some encoders state a length that cuts the last word: it is none
            break
        before = at
        at += put_quad(values, entry(table, top(cache_at(main, at), QUAD_BITS)), out, line)
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
        else:
            at = pairs(main, at, codes, powers, description, out, line, until)
        line = until
        if at > end:
            return -1
    return quads(tables, main, at, end, word(g, COUNT_TABLE), out, line)

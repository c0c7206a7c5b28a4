# mypy: ignore-errors
"""Scale factors of an mp3 granule: how many bits each takes, and which are those of the granule before."""

from numba import njit

from .mp3_layout import BOTH, FACTORS, KIND, LONG, LSF, MOST_BANDS, PRETAB, SCALE_CODE, SHARED, SHORT
from .numba_mp3_bits import bits, set_word
from .numba_rows import INLINE, PART
from .numba_words import word


@njit(**INLINE)
def run(main, at, g, first, count, width):
    """Read `count` factors of `width` bits from bit `at` on; the bit behind them."""
    for i in range(first, first + count):
        set_word(g, FACTORS + i, bits(main, at, width))
        at += width
    return at


@njit(**INLINE)
def widths(code):
    """Bits of the lower and of the upper factors in MPEG-1."""
    lower = (
        3
        if code == 4
        else (0 if code < 4 else (1 if code < 8 else (2 if code < 11 else (3 if code < 14 else 4))))
    )
    upper = code if code < 4 else (0 if code == 4 else (code - 4 if code < 8 else 0))
    if code >= 8:
        upper = code - 7 if code < 11 else (code - 10 if code < 14 else code - 12)
    return lower, upper


@njit(**PART)
def read_factors(p, main, at, g, before):
    """Read a granule's scale factors from bit `at` of the main data on; the bit behind them.

    `before` is the same channel's granule before this one in its frame.
    """
    for i in range(MOST_BANDS):
        if word(p, LSF) != 0 or word(g, KIND) != LONG:
            set_word(g, FACTORS + i, 0)
    if word(p, LSF) != 0:
        return read_low_rate(main, at, g)
    lower, upper = widths(word(g, SCALE_CODE))
    kind = word(g, KIND)
    if kind == LONG:
        first = 0
        for part in range(4):
            count = 6 if part == 0 else 5
            if (word(g, SHARED) >> (3 - part)) & 1:
                for i in range(first, first + count):
                    set_word(g, FACTORS + i, word(before, FACTORS + i))
            else:
                at = run(main, at, g, first, count, lower if part < 2 else upper)
            first += count
        set_word(g, FACTORS + first, 0)
        return at
    count = 17 if kind == BOTH else 18
    at = run(main, at, g, 0, count, lower)
    return run(main, at, g, count, 18, upper)


@njit(**PART)
def read_low_rate(main, at, g):
    """The same at the sampling rates of MPEG-2 and 2.5."""
    code, kind = word(g, SCALE_CODE), word(g, KIND)
    if code < 400:
        a, b, c, d = (code >> 4) // 5, (code >> 4) % 5, (code & 15) >> 2, code & 3
        k, m, n, o = (6, 5, 5, 5) if kind == LONG else ((9, 9, 9, 9) if kind == SHORT else (6, 9, 9, 9))
    elif code < 500:
        code -= 400
        a, b, c, d = (code >> 2) // 5, (code >> 2) % 5, code & 3, 0
        k, m, n, o = (6, 5, 7, 3) if kind == LONG else ((9, 9, 12, 6) if kind == SHORT else (6, 9, 12, 6))
    else:
        code -= 500
        a, b, c, d = code // 3, code % 3, 0, 0
        k, m, n, o = (11, 10, 0, 0) if kind == LONG else ((18, 18, 0, 0) if kind == SHORT else (15, 18, 0, 0))
        set_word(g, PRETAB, 1)
    at = run(main, at, g, 0, k, a)
    at = run(main, at, g, k, m, b)
    at = run(main, at, g, k + m, n, c)
    return run(main, at, g, k + m + n, o, d)

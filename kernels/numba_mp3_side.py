# mypy: ignore-errors
"""The header and the side information of an mp3 frame: what tells how its main data are to be read."""

from numba import njit

from .mp3_layout import (
    BIG_VALUES,
    BIT_RATES,
    BLOCK_TYPE,
    BOTH,
    CHANNELS,
    COUNT_TABLE,
    GAIN,
    GRANULE_WORDS,
    KIND,
    LINES,
    LONG,
    LONG_BOUNDS,
    LSF,
    MIXED,
    PART_LENGTH,
    PRETAB,
    RATE_INDEX,
    REGION_END,
    SAMPLE_RATE,
    SCALE_CODE,
    SCALE_SHIFT,
    SHARED,
    SHORT,
    SUBBLOCK_GAIN,
    TABLE,
    TABLES,
)
from .numba_mp3_bits import bits, byte, entry, set_word
from .numba_rows import PART
from .numba_words import word

MPEG1, MPEG25 = 3, 0  # of the header's field
JOINT, MONO = 1, 3
SUM_AND_DIFFERENCE, INTENSITY = 2, 1  # bits of a joint frame's mode
NOT_THIS = -1


@njit(**PART)
def frame_bytes(p, head):
    """Length of the frame with this header, or -1 if it isn't one of the stream that the parameters describe."""
    second, third, fourth = byte(head, 1), byte(head, 2), byte(head, 3)
    version = (second >> 3) & 3
    if byte(head, 0) != 255 or (second >> 5) != 7 or ((second >> 1) & 3) != 1 or version == 1:
        return NOT_THIS
    lsf = word(p, LSF)
    expected = MPEG1 if lsf == 0 else (2 if lsf == 1 else MPEG25)
    mono = (fourth >> 6) == MONO
    rate = third >> 4
    if (
        version != expected
        or ((third >> 2) & 3) != word(p, RATE_INDEX)
        or mono != (word(p, CHANNELS) == 1)
        or rate == 0
        or rate == 15
    ):
        return NOT_THIS
    if (fourth >> 6) != JOINT and ((fourth >> 4) & 3) != 0:
        return NOT_THIS  # says two things at once
    if (fourth >> 6) == JOINT and ((fourth >> 4) & INTENSITY) != 0:
        return NOT_THIS
    size = entry(word(p, BIT_RATES), rate) * (144_000 if lsf == 0 else 72_000) // word(p, SAMPLE_RATE)
    return size + ((third >> 1) & 1)


@njit(**PART)
def side_bytes(p):
    """Length of the side information."""
    if word(p, LSF) == 0:
        return 17 if word(p, CHANNELS) == 1 else 32
    return 9 if word(p, CHANNELS) == 1 else 17


@njit(**PART)
def read_side(p, source, side, sum_and_difference):
    """Read the side information at `source` into `side`; False where it says what can't be."""
    channels, lsf = word(p, CHANNELS), word(p, LSF)
    if lsf == 0:
        at = 9 + (5 if channels == 1 else 3)
        for channel in range(channels):
            set_word(side + 8 * GRANULE_WORDS * channel, SHARED, 0)
            set_word(side + 8 * GRANULE_WORDS * (2 + channel), SHARED, bits(source, at, 4))
            at += 4
    else:
        at = 8 + channels
    for granule in range(2 if lsf == 0 else 1):
        for channel in range(channels):
            g = side + 8 * GRANULE_WORDS * (2 * granule + channel)
            at = read_granule(p, source, at, g)
            if at < 0:
                return False
            if sum_and_difference:
                set_word(g, GAIN, word(g, GAIN) - 2)  # half of their sum and difference, not 1/sqrt(2)
    return True


@njit(**PART)
def read_granule(p, source, at, g):
    """Read a granule's side information from bit `at` on; the bit behind it, or -1."""
    lsf = word(p, LSF)
    set_word(g, PART_LENGTH, bits(source, at, 12))
    pairs = bits(source, at + 12, 9)
    set_word(g, BIG_VALUES, pairs)
    set_word(g, GAIN, bits(source, at + 21, 8))
    width = 4 if lsf == 0 else 9
    set_word(g, SCALE_CODE, bits(source, at + 29, width))
    at += 29 + width
    switched = bits(source, at, 1)
    at += 1
    kind = LONG
    if switched:
        block, mixed = bits(source, at, 2), bits(source, at + 2, 1)
        if block == 0:
            return NOT_THIS
        for i in range(2):
            set_word(g, TABLE + i, bits(source, at + 3 + 5 * i, 5))
        set_word(g, TABLE + 2, 0)
        for i in range(3):
            set_word(g, SUBBLOCK_GAIN + i, bits(source, at + 13 + 3 * i, 3))
        first = 36 if block == 2 or lsf == 0 else 54
        if block == 2:
            kind = BOTH if mixed else SHORT
        if lsf == 2 and word(p, RATE_INDEX) == 2:  # 8 kHz
            if kind == BOTH:
                return NOT_THIS  # on which decoders disagree
            first = 72 if block == 2 else 108
        second = LINES
    else:
        block, mixed = 0, 0
        for i in range(3):
            set_word(g, TABLE + i, bits(source, at + 5 * i, 5))
            set_word(g, SUBBLOCK_GAIN + i, 0)
        bounds = word(p, TABLES) + 4 * LONG_BOUNDS
        regions = bits(source, at + 15, 4) + 1
        first = entry(bounds, regions)
        second = entry(bounds, min(regions + bits(source, at + 19, 3) + 1, 22))
    at += 22
    set_word(g, BLOCK_TYPE, block)
    set_word(g, MIXED, mixed)
    set_word(g, KIND, kind)
    end = 2 * pairs
    set_word(g, REGION_END, min(first, end))
    set_word(g, REGION_END + 1, min(second, end))
    set_word(g, REGION_END + 2, end)
    pretab = 0
    if lsf == 0:
        pretab = bits(source, at, 1)
        at += 1
    set_word(g, PRETAB, pretab)
    set_word(g, SCALE_SHIFT, 1 + bits(source, at, 1))
    set_word(g, COUNT_TABLE, bits(source, at + 1, 1))
    return at + 2 if end <= LINES else NOT_THIS

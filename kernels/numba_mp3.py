# mypy: ignore-errors
"""Frames of an mp3 to mono sound: the mean of the channels, taken before anything is transformed.

Everything from the lines on is linear, so that where the channels' blocks are of one type they are added up as spectra
and go through the filters together. Where the channels come as half of their sum and difference, the difference is not
even read. What is unusual is not decoded: the caller asks another decoder.
"""

from numba import njit

from .mp3_layout import (
    BLOCK_TYPE,
    BOTH,
    BYTES_DONE,
    CHANNELS,
    DATA,
    DATA_BYTES,
    FRAMES_DONE,
    FULL,
    GAIN,
    GRANULE_WORDS,
    HISTORY_SLOTS,
    HUNGRY,
    HYBRID,
    KIND,
    LINES,
    LONG,
    LSF,
    MAIN,
    MIXED,
    MOST_FRAMES,
    MOST_GAIN,
    ODD,
    OUT,
    PAIR_ROW,
    PAIR_TABLES,
    PART,
    PART_LENGTH,
    PEAKS,
    QUANTA,
    REGION_END,
    RESERVOIR_BYTES,
    SCRATCH,
    SHORT_BLOCKS,
    SIDE,
    SLOTS,
    SPECTRA,
    START_BLOCK,
    STATE,
    STATE_BLOCKS,
    STATE_FLOOR,
    STATE_HISTORY,
    STATE_OVERLAP,
    STATE_RESERVOIR,
    STATUS,
    SUBBANDS,
    TABLE,
    TABLES,
    TOLERANT,
    TURNED,
    USED,
    VECTORS,
)
from .numba_mp3_bits import bits, byte, copy_bytes, entry, set_word
from .numba_mp3_factors import read_factors
from .numba_mp3_huffman import read_lines
from .numba_mp3_hybrid import add_inverse, advance
from .numba_mp3_side import SUM_AND_DIFFERENCE, frame_bytes, read_side, side_bytes
from .numba_mp3_spectrum import add_lines, are_quiet, place_lines, reduce_alias, scale_lines
from .numba_mp3_synthesis import note_peak, synthesise
from .numba_rows import PART as FUNCTION
from .numba_rows import clear
from .numba_words import word
from .vector_width import VALUES

LINE_ROW = LINES + 64  # floats
MIXED_BLOCKS = 4  # added to the types of blocks


@njit(**FUNCTION)
def may_be_loud(tables, g):
    """Whether a line could be far beyond full scale, by what is known before lines are read."""
    gain = word(g, GAIN)
    if word(g, PART_LENGTH) == 0:
        return False
    if gain > MOST_GAIN:
        return True
    line = 0
    for region in range(3):
        end = word(g, REGION_END + region)
        if end > line and gain > entry(tables, PAIR_TABLES + PAIR_ROW * word(g, TABLE + region) + 4):
            return True
        line = end
    return False


@njit(**FUNCTION)
def transform(tables, g, spectrum, scratch):
    """Add a spectrum's samples to those of the subbands."""
    hybrid, turned = scratch + HYBRID, scratch + TURNED
    kind, block_type = word(g, KIND), word(g, BLOCK_TYPE)
    if kind == LONG:
        reduce_alias(tables, spectrum, 0)
    elif kind == BOTH:
        reduce_alias(tables, spectrum, 1)
    if word(g, MIXED) == 0 or block_type == 0:
        add_inverse(tables, block_type, spectrum, turned, hybrid)
        return
    lowest = scratch + PART  # two subbands have the window of long blocks
    clear(lowest, LINES)
    for k in range(SLOTS):
        copy_bytes(lowest + 4 * SUBBANDS * k, spectrum + 4 * SUBBANDS * k, 8)
        set_word(spectrum + 4 * SUBBANDS * k, 0, 0)
    add_inverse(tables, 0, lowest, turned, hybrid)
    add_inverse(tables, block_type, spectrum, turned, hybrid)


@njit(**FUNCTION)
def run_granule(p, g, scratch, sum_and_difference, out):
    """The samples of a granule whose lines have been read; False where they are too loud to be usual.

    Of that users are told, by the samples of each channel.
    """
    tables, first, second = word(p, TABLES), scratch + SPECTRA, scratch + SPECTRA + 4 * LINE_ROW
    h, other = g + 8 * GRANULE_WORDS, scratch + QUANTA + 4 * LINE_ROW
    advance(scratch + HYBRID)
    lines, others = scratch + PART, scratch + TURNED
    stereo = word(p, CHANNELS) == 2
    both = stereo and not sum_and_difference
    scale_lines(p, g, scratch + QUANTA, both, lines)
    quiet = are_quiet(lines)
    if stereo and word(h, USED) > 0:
        scale_lines(p, h, other, True, others)
        quiet = are_quiet(others) and quiet
        if both and same_blocks(g, h):
            add_lines(lines, others)
        elif both:
            place_lines(tables, word(h, KIND), others, second)
    place_lines(tables, word(g, KIND), lines, first)
    if both and word(h, USED) > 0 and not same_blocks(g, h):
        transform(tables, h, second, scratch)
    transform(tables, g, first, scratch)
    synthesise(tables, scratch + HYBRID, scratch + TURNED, scratch + VECTORS, out)
    return quiet


@njit(**FUNCTION)
def same_blocks(g, h):
    """Whether two channels' granules are transformed alike."""
    return word(g, BLOCK_TYPE) == word(h, BLOCK_TYPE) and word(g, MIXED) == word(h, MIXED)


@njit(**FUNCTION)
def follows(p, channel, g):
    """Whether a block may follow the channel's last one; of short ones after long ones decoders make what they like."""
    blocks = word(p, STATE) + STATE_BLOCKS
    before, block_type, mixed = word(blocks, channel), word(g, BLOCK_TYPE), word(g, MIXED)
    set_word(blocks, channel, block_type + MIXED_BLOCKS * mixed)
    if block_type != SHORT_BLOCKS:
        return True
    if mixed:  # its lowest subbands are long
        before &= MIXED_BLOCKS - 1
    return before in (SHORT_BLOCKS, START_BLOCK)


@njit(**FUNCTION)
def run_frame(p, scratch, at, limit, sum_and_difference, silent, out):
    """The samples of a frame whose main data begin at bit `at`; the bit behind them, or -1 where they are unusual."""
    tables, main, channels = word(p, TABLES), scratch + MAIN, word(p, CHANNELS)
    granules = 2 if word(p, LSF) == 0 else 1
    listen = not sum_and_difference
    for granule in range(granules):
        listen = listen or may_be_loud(tables, scratch + SIDE + 8 * GRANULE_WORDS * (2 * granule + 1))
    for granule in range(granules):
        g = scratch + SIDE + 8 * GRANULE_WORDS * 2 * granule
        if sum_and_difference and not same_blocks(g, g + 8 * GRANULE_WORDS):
            return -1
        for channel in range(channels):
            h = g + 8 * GRANULE_WORDS * channel
            end = at + word(h, PART_LENGTH)
            if end > limit or not follows(p, channel, h):
                return -1
            set_word(h, USED, 0)
            if not silent and (channel == 0 or listen):
                before = scratch + SIDE + 8 * GRANULE_WORDS * channel
                after = read_factors(p, main, at, h, before)
                used = read_lines(tables, main, after, end, h, scratch + QUANTA + 4 * LINE_ROW * channel)
                if used < 0:
                    return -1
                set_word(h, USED, used)
            at = end
        if not run_granule(p, g, scratch, sum_and_difference, out + 4 * LINES * granule):
            return -1
    return at


def frames(p):
    """Decode frames until the data or the room for samples end, or one is unusual."""
    scratch, state = word(p, SCRATCH), word(p, STATE)
    main = scratch + MAIN
    clear(scratch + HYBRID, 2 * LINES)
    clear(scratch + PEAKS, VALUES)
    copy_bytes(scratch + HYBRID + 4 * LINES, state + STATE_OVERLAP, 4 * LINES)
    copy_bytes(scratch + VECTORS, state + STATE_HISTORY, 4 * HISTORY_SLOTS * 2 * SUBBANDS)
    copy_bytes(main, state + STATE_RESERVOIR, RESERVOIR_BYTES)
    floor, filled = word(state, STATE_FLOOR), RESERVOIR_BYTES
    samples = LINES * (2 if word(p, LSF) == 0 else 1)
    done, at, end = 0, word(p, DATA), word(p, DATA) + word(p, DATA_BYTES)
    status = FULL
    while done < word(p, MOST_FRAMES):
        if end - at < 4:
            status = HUNGRY
            break
        status = ODD
        size = frame_bytes(p, at)
        body = at + 4 + (0 if byte(at, 1) & 1 else 2)
        data = body + side_bytes(p)
        if size < data - at:
            break
        if end - at < size:
            status = HUNGRY
            break
        sum_and_difference = word(p, CHANNELS) == 2 and ((byte(at, 3) >> 4) & SUM_AND_DIFFERENCE) != 0
        if not read_side(p, body, scratch + SIDE, sum_and_difference):
            break
        start = filled - bits(body, 0, 9 if word(p, LSF) == 0 else 8)
        copy_bytes(main + filled, data, at + size - data)
        filled += at + size - data
        silent = start < floor
        if silent and word(p, TOLERANT) == 0:
            break
        out = word(p, OUT) + 4 * samples * done
        used = run_frame(p, scratch, 8 * start, 8 * filled, sum_and_difference, silent, out)
        if used < 0 and not silent:
            break
        if used >= 0:  # of a frame that isn't given the peak doesn't matter
            floor = max(floor, (used + 7) >> 3)  # a silent one can end before all that is there
            note_peak(scratch + PEAKS, out, samples)
        at += size
        done += 1
        status = FULL
    set_word(p, STATUS, status)
    set_word(p, FRAMES_DONE, done)
    set_word(p, BYTES_DONE, at - word(p, DATA))
    set_word(state, STATE_FLOOR, max(0, floor - (filled - RESERVOIR_BYTES)))
    copy_bytes(state + STATE_RESERVOIR, main + filled - RESERVOIR_BYTES, RESERVOIR_BYTES)
    copy_bytes(state + STATE_OVERLAP, scratch + HYBRID + 4 * LINES, 4 * LINES)
    copy_bytes(state + STATE_HISTORY, scratch + VECTORS, 4 * HISTORY_SLOTS * 2 * SUBBANDS)

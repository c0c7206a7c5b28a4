"""Parameter block and memory of the mp3 kernel, which `numba_mp3` compiles."""

from .vector_width import VALUES

LINES = 576  # frequency lines of a granule and channel
SUBBANDS, SLOTS = 32, 18  # LINES are so many subbands of so many lines; the latter become as many time slots
MOST_BANDS = 40  # scale factor bands of a granule at most, counting each window of short blocks
HALF_BAND = SUBBANDS // 2
VECTOR = 2 * SUBBANDS  # numbers that the filter bank makes of a slot
WINDOW_TAPS = 512
HISTORY_SLOTS = 15  # before the present one, whose samples the window still reaches

# Words of the parameter block: what the caller sets, and what the kernel does.
DATA, DATA_BYTES, OUT, MOST_FRAMES, STATE, SCRATCH, TABLES, TOLERANT = range(8)
FRAMES_DONE, BYTES_DONE, STATUS = range(8, 11)
LSF, RATE_INDEX, CHANNELS, BIT_RATES, SAMPLE_RATE = range(11, 16)
WORDS = 16

START_BLOCK, SHORT_BLOCKS = 1, 2  # types of blocks; mixed ones are a flag of their own

# What `STATUS` says: more data are wanted, `MOST_FRAMES` are done, or the next frame is another's to judge.
HUNGRY, FULL, ODD = range(3)

LOUDEST_EXPONENT = 8
LOUDEST = 2.0 ** (LOUDEST_EXPONENT / 4)
"""A line of that size makes a tone far beyond full scale."""
MOST_GAIN = 210 + LOUDEST_EXPONENT
"""Of a granule: its lines of 1 are as loud as that, or less, if there are scale factors."""

RESERVOIR_BYTES = 512  # main data that later frames may reach back to
SLACK_BYTES = 4096  # code words can run so far beyond their frame before it is noticed

# Memory that is kept from call to call, in bytes.
STATE_FLOOR = 0  # bytes of the reservoir that have been used up
STATE_BLOCKS = 8  # type of the last block of each channel
STATE_RESERVOIR = 64
STATE_OVERLAP = STATE_RESERVOIR + RESERVOIR_BYTES
STATE_HISTORY = STATE_OVERLAP + 4 * LINES
STATE_BYTES = STATE_HISTORY + 4 * HISTORY_SLOTS * 2 * SUBBANDS

# Words of a granule's side information; scale factors and the side information of the other granules follow.
PART_LENGTH, BIG_VALUES, GAIN, SCALE_CODE, BLOCK_TYPE, MIXED = range(6)
TABLE, SUBBLOCK_GAIN, REGION_END = 6, 9, 12  # three each
PRETAB, SCALE_SHIFT, COUNT_TABLE, SHARED = range(15, 19)
KIND, USED, FACTORS = range(19, 22)  # long, short or mixed; lines that may differ from 0; scale factors
GRANULE_WORDS = FACTORS + MOST_BANDS
GRANULES = 4  # two of two channels

# Scratch memory, in bytes.
SIDE = 0
QUANTA = SIDE + 8 * GRANULES * GRANULE_WORDS  # of two channels, raised to 4/3, with their signs
SPECTRA = QUANTA + 2 * 4 * (LINES + 64)  # of at most two channels, a row a line of all subbands
PART = SPECTRA + 2 * 4 * (LINES + 64)  # of mixed blocks: the subbands of one kind
TURNED = PART + 4 * (LINES + 64)  # with odd subbands negated; later sums and differences of subbands
HYBRID = TURNED + 4 * (
    LINES + 64
)  # samples of the subbands, a row a slot: of this granule, and begun of the next
VECTORS = HYBRID + 2 * 4 * LINES  # two rows of 32 a slot, those of earlier slots first
PEAKS = VECTORS + 4 * (HISTORY_SLOTS + SLOTS) * 2 * SUBBANDS  # largest magnitudes so far, lane by lane
MAIN = PEAKS + 4 * VALUES
"""The main data of all frames in a row, behind the reservoir."""

# Offsets of the tables in theirs, in words of 4 bytes.
LONG, SHORT, BOTH = range(3)  # kinds of granule: short windows, or long ones below and short ones above
PLACES = 0  # where a line stands in a spectrum, for each kind
BAND_SIZES = PLACES + 3 * LINES  # for each kind
LONG_BOUNDS = BAND_SIZES + 3 * MOST_BANDS  # where long bands begin, and the end
POWERS = LONG_BOUNDS + 24  # n ** (4/3)
GAINS = POWERS + 8208  # 2 ** (n / 4), from n = -GAIN_ZERO on
GAIN_ZERO = 400
SHORT_MATRIX = GAINS + 480  # windows times inverse transforms of short blocks: (36, 18)
LONG_MATRIX = SHORT_MATRIX + 36 * 18  # samples 0 to 8 and 18 to 26 of the inverse transform: (18, 18)
BLOCK_WINDOWS = (
    LONG_MATRIX + 18 * 18
)  # with the signs of samples that mirror others, for each block type: (4, 36)
ALIAS_KEEP = BLOCK_WINDOWS + 4 * 36  # (8, 32) of all boundaries, then of the first alone
ALIAS_CROSS = ALIAS_KEEP + 2 * 8 * 32
ALIAS_LESS = ALIAS_CROSS + 2 * 8 * 32  # the same, negated
TURNS = ALIAS_LESS + 2 * 8 * 32  # 1, -1, 1, -1 ...: (32,)
COSINES = TURNS + 32  # of even and odd numbers: (2, 16, 16)
WINDOW = COSINES + 2 * HALF_BAND * HALF_BAND
PAIR_ROW = (
    5  # offset of the first level in the codes, bits it looks at, linbits, words in 56 bits, largest gain
)
PAIR_TABLES = WINDOW + WINDOW_TAPS  # (32, PAIR_ROW)
QUAD_BITS = 10  # of the longest word for four lines, with its signs
QUAD_TABLES = PAIR_TABLES + 32 * PAIR_ROW  # (2, 1 << QUAD_BITS)
QUAD_VALUES = QUAD_TABLES + (2 << QUAD_BITS)  # all fours of -1, 0 and 1: (81, 4)
CODES = QUAD_VALUES + 4 * 3**4  # of all pair tables
FIRST_BITS = 10
"""Bits of a code word that the first level of a table looks at."""
ESCAPE = 15
"""The largest value of a table; to it the number behind the word is added, where the table has such numbers."""
HAS_ESCAPE = 1 << 22
"""Of an entry for a pair: one of its values is an `ESCAPE`."""

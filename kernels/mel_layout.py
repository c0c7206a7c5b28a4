"""Parameter block and memory of the log-mel kernel, which `numba_mel` compiles."""

from .layout import APART
from .vector_width import HALF

WINDOW, HOP, FFT, BANDS = 800, 320, 1024, 128  # samples of a frame, between frames, of a transform; mel bands
BINS = FFT // 2 + 1  # numbers that the transform of as many real samples gives
STEP = 128  # frames that a thread takes at a time
BATCH = 16  # frames that are transformed in one call
LANES = HALF  # frames in a vector, a divisor of BATCH: one register on x86, so that a square of them fits

# Words of the parameter block.
NEXT_TASK, NEXT_SCRATCH, FRAMES, SAMPLES, OUT, SCRATCH, FAILURES = range(7)
WINDOW_TABLE, WEIGHTS, FIRST_BINS, BIN_COUNTS, FUNCTION, DESCRIPTOR, FACTORS = range(7, 14)
WORDS = 14

# Offsets in a thread's memory, in floats. Windowed samples are followed by zeros up to the transform's length.
FRAME = 0
SPECTRUM = FRAME + BATCH * FFT
SPECTRUM_ROW = 2 * BINS
POWER = SPECTRUM + BATCH * SPECTRUM_ROW
POWER_ROW = BINS - 1  # the last bin takes no part
LANE_POWER = POWER + LANES * POWER_ROW
MELS = LANE_POWER + LANES * POWER_ROW
SCRATCH_FLOATS = -(-(MELS + LANES * BANDS) // 16) * 16 + APART  # whole lines of the cache

# Where frames lie in lanes from the beginning: samples, a row each; parts of their transforms in place of the frames,
# which are in the lanes by then; and sixteen complex numbers.
LANE_SAMPLES, LANE_PARTS, LANE_NUMBERS = SPECTRUM, FRAME, POWER

# Offsets of the transform's factors, in floats: complex numbers.
TWIDDLE_16 = 0  # (4, 3)
TWIDDLE_64 = TWIDDLE_16 + 2 * 4 * 3  # (16, 3)
TWIDDLE_512 = TWIDDLE_64 + 2 * 16 * 3  # (64, 7)
PARTING = TWIDDLE_512 + 2 * 64 * 7  # (256,)
FACTOR_FLOATS = PARTING + 2 * FFT // 4

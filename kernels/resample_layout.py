"""Parameter block and memory of the resampling kernel, which `numba_resample` compiles."""

from .vector_width import HALF

LANES = HALF  # of a vector; each makes the same output of its own stretch of the sound
STRETCHES = 2 * LANES
PHASES = 5  # outputs that are made at once from the same inputs: ten sums hide how long an addition takes

# Words of the parameter block.
SAMPLES, OUT, BATCHES, TAPS, FIRST_ROWS, SCRATCH = range(6)
STEP_IN, STEP_OUT, ROWS, GROUPS = range(
    6, 10
)  # of a lane's stretch; rows of taps for a group of phases; groups
WORDS = 10


def scratch_floats(step_in: int, step_out: int, rows: int) -> int:
    """Floats of memory: inputs (to whole squares of lanes) and outputs of all stretches."""
    inputs = -(-(step_in + rows) // LANES) * LANES
    return (inputs + step_out) * STRETCHES

"""Parameter block and memory of the resampling kernel, which `numba_resample` compiles."""

from .vector_width import HALF

LANES = HALF  # stretches of the sound in a vector: each lane makes the same output of its own
PHASES = 8  # outputs that are made at once from the same inputs

# Words of the parameter block.
SAMPLES, OUT, BATCHES, TAPS, FIRST_ROWS, SCRATCH = range(6)
STEP_IN, STEP_OUT, ROWS, GROUPS = range(
    6, 10
)  # of a lane's stretch; rows of taps for a group of phases; groups
WORDS = 10


def scratch_floats(step_in: int, step_out: int, rows: int) -> int:
    """Floats of memory: inputs and outputs with a row for each, a lane a stretch, both to whole squares."""
    inputs = -(-(step_in + rows) // LANES) * LANES
    outputs = -(-step_out // LANES) * LANES
    return (inputs + outputs) * LANES

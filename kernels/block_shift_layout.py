"""Parameter block and memory of the kernel that begins a sub-layer, which `numba_block_shift` compiles."""

from .layout import APART
from .vector_width import VALUES

BANDS = 8
PADDED = BANDS + 2

# Words of the parameter block. Addresses, but for the numbers up to TASK_STEPS; PENDING, GATE_WEIGHT may be 0: none.
(NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, SCRATCH_BYTES, SEQUENCES, STEPS, WIDTH, MIXES, TASK_STEPS) = range(
    10
)
(X, PENDING, NEW_X, NORM_WEIGHT, NORM_BIAS, TAP_WEIGHT, SHARES, OUT, GATE_WEIGHT, GATE) = range(10, 20)
WORDS = 20


def scratch_floats(width: int) -> int:
    """Scratch memory of a thread: three steps of tokens, and sums of the gate."""
    return 3 * PADDED * width + BANDS * VALUES + APART

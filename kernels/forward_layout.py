"""Parameter block and memory of the forward kernel, which `numba_forward` compiles."""

from .layout import APART, PAGE, TENSOR_WORDS
from .pairs_layout import PAIRED_CHUNK
from .vector_width import N

# Words of the parameter block. PHASE is 0, 1 or BOTH.
NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, PHASE, TOKENS, HEADS, GROUP, PARTS, STATES, GATE = range(11)
TENSORS = range(11, 11 + 8 * TENSOR_WORDS, TENSOR_WORDS)
TENSOR_R, TENSOR_W, TENSOR_K, TENSOR_V, TENSOR_A, TENSOR_B, TENSOR_Y, TENSOR_PARTIAL = TENSORS
WORDS = TENSORS.stop

BOTH = 2
"""Phases of a task that has both directions: what these leave for one another does not change cores."""

# Offsets in the row of a token, in floats.
R, D, K, B, A, V = range(0, 6 * N, N)
ROW = 6 * N

STATE_FLOATS = N * N + PAGE  # S in blocks [block, key, value]

# Offsets in a thread's scratch memory, in floats. The last row holds the a of a token that comes next.
OUTPUTS = (PAIRED_CHUNK + 1) * ROW
PRODUCT = OUTPUTS + PAIRED_CHUNK * N  # of the decays since the start of the chunk
DOTS = PRODUCT + N  # two of each pair
S_A = DOTS + 64  # of one block: S a for the coming token
SCRATCH_FLOATS = S_A + 64 + APART

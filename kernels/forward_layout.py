"""Parameter block and memory of the forward kernel, which `numba_forward` compiles."""

from .layout import CHUNK, TENSOR_WORDS
from .vector_width import N

# Words of the parameter block.
NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, PHASE, TOKENS, HEADS, PARTS, STATES, MEETING, GATE = range(11)
TENSORS = range(11, 11 + 7 * TENSOR_WORDS, TENSOR_WORDS)
TENSOR_R, TENSOR_W, TENSOR_K, TENSOR_V, TENSOR_A, TENSOR_B, TENSOR_Y = TENSORS
WORDS = TENSORS.stop

# Offsets in the row of a token, in floats.
R, D, K, B, A, V = range(0, 6 * N, N)
ROW = 6 * N

# Offsets in the row of a token in the buffer between the directions.
Y, DECAY = 0, N
MEETING_ROW = 2 * N

STATE_FLOATS = N * N + N  # S in blocks [block, key, value], and S a for the coming token
SCRATCH_FLOATS = (CHUNK + 1) * ROW + CHUNK * N  # rows, of which the last holds only a; outputs

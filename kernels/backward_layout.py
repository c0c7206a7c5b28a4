"""Parameter block and memory of the backward kernel, which `numba_backward` compiles."""

from . import pair_gradients_layout
from .layout import APART, CHUNK, TENSOR_WORDS
from .vector_width import VALUES, N

# Words of the parameter block.
NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, SCRATCH_BYTES, BATCH, TOKENS, HEADS, PARTS, GATE, DGATE = range(11)
TENSORS = range(11, 11 + 13 * TENSOR_WORDS, TENSOR_WORDS)
TENSOR_DY, TENSOR_R, TENSOR_W, TENSOR_K, TENSOR_V, TENSOR_A, TENSOR_B = TENSORS[:7]
TENSOR_DR, TENSOR_DW, TENSOR_DK, TENSOR_DV, TENSOR_DA, TENSOR_DB = TENSORS[7:]
WORDS = TENSORS.stop

# Offsets in the row of a token, in floats. GR is r times the direction's share of the gate, E the derivative of d by w.
D, K, B, A, GR, R, E, V, DY = range(0, 9 * N, N)
ROW = 9 * N

BLOCK_FLOATS = N * VALUES
GROUP = 2  # blocks that are worked on together
KEPT_FLOATS = N * N + N  # a kept state: S, and S a of the coming token
DECAYS = 2  # decay and its derivative
GRADIENTS = 6  # dr, dw, dk, dv, da, db

# Offsets in a thread's scratch memory, in floats.
ROWS = 0
G_BLOCKS = ROWS + (CHUNK + 1) * ROW
STATES = G_BLOCKS + N * N  # of one group: the states after each token of the chunk
S_A = STATES + CHUNK * GROUP * BLOCK_FLOATS  # of one group: S a of each token, and of the next
DS = S_A + (CHUNK + 1) * GROUP * VALUES
NOTHING = DS + GROUP * VALUES  # zeros
UNUSED = NOTHING + GROUP * VALUES  # written, never read
QUADS = UNUSED + N  # dk, db, dd, da in turns, per token and key
RHO = QUADS + CHUNK * N * 4
DV = RHO + CHUNK * N
KEPT = DV + CHUNK * N


def scratch_floats(tokens: int) -> int:
    """Scratch memory of a thread: the above, kept states, a decay table, one direction's gradients for the other."""
    work = max(KEPT + -(-tokens // CHUNK) * KEPT_FLOATS, pair_gradients_layout.scratch_floats(tokens))
    return work + tokens * (DECAYS + GRADIENTS) * N + APART

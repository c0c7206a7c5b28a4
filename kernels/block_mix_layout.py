"""Parameter block and memory of the heart of a time mix, which `numba_block_mix` compiles."""

from . import forward_layout
from .layout import APART, CHUNK, PAGE
from .vector_width import N

# Words of the parameter block. Addresses, but for the numbers up to HEADS; V_FIRST may be 0: none. PHASE is 0,
# 1 or BOTH.
NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, PHASE, TOKENS, HEADS, STATES, ROWS = range(9)
R_PRODUCT, K_PRODUCT, V_PRODUCT, W_PRODUCT, A_PRODUCT, MIX_PRODUCT, G_PRODUCT, V_FIRST = range(9, 17)
W0, A0, V0, K_K, K_A, R_K, NORM_WEIGHT, NORM_BIAS, GATE, OUT = range(17, 27)
WORDS = 27

BOTH = 2
"""Phases of a call by one thread alone, head by head: ROWS are those of one head, and a head has four tasks."""

# A token's row is that of the forward, which its sweep reads; behind it stands the output of the direction that came
# first. Offsets in floats.
Y = forward_layout.ROW
ROW = Y + N

STATE_FLOATS = N * N + N + PAGE  # S in blocks [block, key, value], and S a for the coming token
SCRATCH_FLOATS = CHUNK * N + N + APART  # outputs of a chunk; the a of the token behind it

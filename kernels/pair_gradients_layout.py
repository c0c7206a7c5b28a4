"""Memory of the backward where it goes over two tokens at a time: `numba_backward_pairs`, `numba_pair_gradients`."""

from .pairs_layout import PAIRED_CHUNK
from .vector_width import N

# Offsets in the row of a token, in floats: what it brings, scaled; GR is r times the direction's share of the gate.
# P is the product of the decays up to the token, INVERSE its reciprocal, E the derivative of the decay by w.
K, B, A, V, S_A, R, GR, DY, DS, P, INVERSE, E = range(0, 12 * N, N)
# What comes out, scaled: RHO is S dy.
RHO, DK, DV, DA, DB = range(12 * N, 17 * N, N)
ROW = 17 * N

# Offsets in a thread's scratch memory, in floats. A row of zeros lies before the chunk's and one behind them.
ROWS = ROW
G_BLOCKS = ROWS + (PAIRED_CHUNK + 2) * ROW
G_TRANSPOSED = G_BLOCKS + N * N
S_TRANSPOSED = G_TRANSPOSED + N * N
DOTS = S_TRANSPOSED + N * N  # two of each pair
OVERLAP = DOTS + N
LATER = OVERLAP + N  # ds of the token after the chunk
LATER_A = LATER + N  # its a
KEPT = LATER_A + N


def scratch_floats(tokens: int) -> int:
    """The above, the states before the chunks and one more, s of all tokens."""
    chunks = -(-tokens // PAIRED_CHUNK)
    return KEPT + (chunks + 1) * N * N + chunks * PAIRED_CHUNK * N

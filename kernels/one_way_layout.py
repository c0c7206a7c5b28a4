"""Parameter block of the kernel in one direction, which `numba_one_way` compiles; its memory is that of the forward."""

from . import forward_layout

# The words of the forward, of which PHASE and GATE are not read, and one more.
REVERSE = forward_layout.WORDS  # 1: from the last token to the first
WORDS = REVERSE + 1

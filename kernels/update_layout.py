"""Parameter block of `numba_update`, words of int64: the table has a row for each piece of a tensor."""

NEXT_TASK, NEXT_SCRATCH, TASKS, TABLE, SCRATCH, SUMS, MEAN_IS_CLOSE = range(7)
# Bits of float32: the factor of gradients; what the first moment takes of what is new, what the second keeps and takes;
# the addend of roots; what the mean takes, or, where it is close to the weight, the share less 1.
SCALE, FIRST_SHARE, SECOND_KEPT, SECOND_SHARE, EPSILON, MEAN_SHARE = range(7, 13)
WORDS = 13

PIECE = 16384
"""Numbers of a piece: a thread is done with one in some microseconds, and its sum of squares stays exact."""

# Addresses, 0 for what there is not; how many numbers; bits of float32: the factor of weights, the size of a step, the
# factor of roots.
WEIGHT, GRADIENT, FIRST, SECOND, MEAN, COUNT, KEPT, STEP, ROOT = range(9)
ROW_WORDS = 9
TENSORS = 5  # the first words of a row

SCRATCH_FLOATS = TENSORS * 32
"""Of a thread: a vector of each tensor, for the end of a piece that does not fill one."""

"""Parameter block of `numba_part_sum`, words of int64: the table has a row for each result."""

NEXT_TASK, NEXT_THREAD, TASKS, TABLE, PARTS, COUNT, PIECES = range(7)
WORDS = 7

PIECE = 16 * 1024
"""Numbers of a task, COUNT of a part and result, PIECES tasks."""

# Address of the parts, one behind the other in float32; of their sum; its kind.
SOURCE, TARGET, KIND = range(3)
ROW_WORDS = 3

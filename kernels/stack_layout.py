"""Parameter block of `numba_stack`, words of int64: the table has a row for each tensor."""

NEXT_TASK, TASKS, TABLE, TARGET = range(4)
WORDS = 4

# Address; first place in the target; how many numbers, of which vectors of any width are full.
SOURCE, START, COUNT = range(3)
ROW_WORDS = 3

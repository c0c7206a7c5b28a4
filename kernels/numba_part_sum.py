# mypy: ignore-errors
"""Sums of what the parts of the backward leave of each gradient."""

from numba import njit

from . import part_sum_layout as at
from .numba_rows import PART, write
from .numba_tasks import next_task
from .numba_vector import add, load
from .numba_words import take, word
from .vector_width import VALUES


@njit(**PART)
def sum_piece(p, row, first, last):
    """Numbers first to last of one result."""
    for i in range(first, last, VALUES):
        x = load(word(row, at.SOURCE), i)
        for part in range(1, word(p, at.PARTS)):
            x = add(x, load(word(row, at.SOURCE), part * word(p, at.COUNT) + i))
        write(word(row, at.TARGET), i, x, word(row, at.KIND))


def part_sums(parameters):
    """Take pieces until there are none left; as many threads as like may do so at once."""
    p = parameters
    tasks, thread = word(p, at.TASKS), take(p, at.NEXT_THREAD)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        row = word(p, at.TABLE) + 8 * at.ROW_WORDS * (task // word(p, at.PIECES))
        first = task % word(p, at.PIECES) * at.PIECE
        last = min(first + at.PIECE, word(p, at.COUNT))
        sum_piece(p, row, first, last)
        task = next_task(p, at.NEXT_TASK, tasks, thread)

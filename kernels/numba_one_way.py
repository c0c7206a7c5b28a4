"""Bi-WKV-7 in one direction, over a stretch of a longer sequence: the state comes in and goes out.

The chunks, the rows and the parameter block are those of `numba_forward`; nothing is left for another direction.
"""

from numba import njit

from .forward_layout import (
    GROUP,
    HEADS,
    NEXT_SCRATCH,
    NEXT_TASK,
    OUTPUTS,
    PARTS,
    SCRATCH,
    SCRATCH_FLOATS,
    STATE_FLOATS,
    STATES,
    TASKS,
    TENSOR_Y,
    TOKENS,
)
from .numba_forward import gather_chunk, sweep_chunk
from .numba_rows import INLINE, kind_of, place, token_of, write
from .numba_vector import load
from .numba_words import take, word
from .one_way_layout import REVERSE
from .pairs_layout import PAIRED_CHUNK
from .vector_width import BLOCKS, VALUES, N


@njit(**INLINE)
def run_task(p, scratch, task):
    """Some of the value blocks of a group of heads of one sequence."""
    tokens, heads, parts, direction = word(p, TOKENS), word(p, HEADS), word(p, PARTS), word(p, REVERSE)
    group = word(p, GROUP)
    groups = (heads + group - 1) // group
    part = task % parts
    n = task // parts // groups
    first_head = task // parts % groups * group
    last_head = min(first_head + group, heads)
    first_block, last_block = BLOCKS * part // parts, BLOCKS * (part + 1) // parts
    for start in range(0, tokens, PAIRED_CHUNK):
        length = min(PAIRED_CHUNK, tokens - start)
        for h in range(first_head, last_head):
            scaled = gather_chunk(p, scratch, n, h, start, length, direction)
            next_head, next_start = h + 1, start
            if next_head == last_head:
                next_head, next_start = first_head, start + length
            for block in range(first_block, last_block):
                S = word(p, STATES) + 4 * ((n * heads + h) * STATE_FLOATS + block * VALUES * N)
                fetching = block == first_block
                sweep_chunk(
                    p, scratch, S, block, length, scaled, n, next_head, next_start, direction, fetching
                )
            for i in range(length):
                y = place(p, TENSOR_Y, n, token_of(start + i, direction, tokens), h)
                for j in range(first_block * VALUES, last_block * VALUES, VALUES):
                    write(y, j, load(scratch, OUTPUTS + i * N + j), kind_of(p, TENSOR_Y))


def one_way_tasks(parameters):
    """Take tasks until there are none left; as many threads as like may do so at once."""
    tasks = word(parameters, TASKS)
    task = take(parameters, NEXT_TASK)
    if task >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(parameters, SCRATCH) + take(parameters, NEXT_SCRATCH) * (4 * SCRATCH_FLOATS)
    while task < tasks:
        run_task(parameters, scratch, task)
        task = take(parameters, NEXT_TASK)

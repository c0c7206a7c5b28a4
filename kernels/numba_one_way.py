"""Bi-WKV-7 in one direction, over a stretch of a longer sequence: the state comes in and goes out.

The sweep over a token, the rows and the parameter block are those of `numba_forward`; its first phase is what this
kernel does from end to end: every decay is computed here, and nothing is left for another direction.
"""

from numba import njit

from .forward_layout import (
    HEADS,
    NEXT_SCRATCH,
    NEXT_TASK,
    PARTS,
    ROW,
    SCRATCH,
    SCRATCH_FLOATS,
    STATE_FLOATS,
    STATES,
    TASKS,
    TENSOR_A,
    TENSOR_Y,
    TOKENS,
    A,
    V,
)
from .layout import CHUNK
from .numba_forward import fetch_token, gather, sweep
from .numba_rows import INLINE, PART, kind_of, place, take_row, token_of, write
from .numba_vector import broadcast, load, multiply_add, store, zero
from .numba_words import take, word
from .one_way_layout import REVERSE
from .vector_width import BLOCKS, VALUES, N


@njit(**PART)
def apply(S, row, s):
    """Leave S a in s, for one block of values and the a of the row."""
    coming = zero()
    for j in range(N):
        coming = multiply_add(load(S, j * VALUES), broadcast(row, A + j), coming)
    store(s, 0, coming)


@njit(**INLINE)
def run_task(p, scratch, task):
    """Some of the value blocks of one head of one sequence."""
    tokens, heads, parts, direction = word(p, TOKENS), word(p, HEADS), word(p, PARTS), word(p, REVERSE)
    part = task % parts
    chain = task // parts
    h = chain % heads
    n = chain // heads
    state = word(p, STATES) + chain * (4 * STATE_FLOATS)
    first_block, last_block = BLOCKS * part // parts, BLOCKS * (part + 1) // parts
    low, high = first_block * VALUES, last_block * VALUES
    outputs = scratch + 4 * (CHUNK + 1) * ROW
    take_row(p, TENSOR_A, n, token_of(0, direction, tokens), h, scratch + 4 * A)
    for block in range(first_block, last_block):
        apply(state + 4 * block * VALUES * N, scratch, state + 4 * (N * N + block * VALUES))
    for start in range(0, tokens, CHUNK):
        length = min(CHUNK, tokens - start)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            # after the last token of the stretch nothing comes: any a will do
            u = token_of(min(start + i + 1, tokens - 1), direction, tokens)
            gather(p, scratch + 4 * i * ROW, n, t, u, h, 0)
        for block in range(first_block, last_block):
            v = block * VALUES
            S = state + 4 * v * N
            s = state + 4 * (N * N + v)
            for i in range(length):
                row = scratch + 4 * i * ROW
                if block == first_block:
                    fetch_token(p, n, token_of(min(start + CHUNK + i, tokens - 1), direction, tokens), h, 0)
                sweep(S, row, row + 4 * (ROW + A), row + 4 * (V + v), s, outputs + 4 * (i * N + v))
        for i in range(length):
            y = place(p, TENSOR_Y, n, token_of(start + i, direction, tokens), h)
            for j in range(low, high, VALUES):
                write(y, j, load(outputs, i * N + j), kind_of(p, TENSOR_Y))


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

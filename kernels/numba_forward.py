"""Bi-WKV-7 forward.

The state is kept as S[key, value]: SIMD runs over the values, so that no horizontal sum is needed, and blocks of
values do not depend on one another. S a of the next token is summed up in the sweep that updates S.

The two directions meet in the middle: in the first phase each does its first half of the tokens and leaves its
output and the decays in a buffer; in the second each finds there what the other left, and writes the fused result. So
a direction is a task of its own, without a lock, y is written once, and no decay is computed twice.
"""

from numba import njit

from .forward_layout import (
    DECAY,
    GATE,
    HEADS,
    MEETING,
    MEETING_ROW,
    NEXT_SCRATCH,
    NEXT_TASK,
    PARTS,
    PHASE,
    ROW,
    SCRATCH,
    SCRATCH_FLOATS,
    STATE_FLOATS,
    STATES,
    TASKS,
    TENSOR_A,
    TENSOR_B,
    TENSOR_K,
    TENSOR_R,
    TENSOR_V,
    TENSOR_W,
    TENSOR_Y,
    TOKENS,
    A,
    B,
    D,
    K,
    R,
    V,
    Y,
)
from .layout import CHUNK
from .numba_decay import decay
from .numba_rows import INLINE, PART, clear, copy, fetch, fetch_row, kind_of, place, take_row, token_of, write
from .numba_vector import broadcast, load, load_scalar, multiply, multiply_add, splat, store, zero
from .numba_words import take, word
from .vector_width import BLOCKS, VALUES, N


@njit(**INLINE)
def gather(p, row, n, t, u, h, met):
    """Fill a row for token t, and the a of token u, which comes next, in the row behind it."""
    if word(p, PHASE) == 0:
        take_row(p, TENSOR_W, n, t, h, row + 4 * D)
        for i in range(0, N, 2 * VALUES):
            decay(row, D + i, D + i, V + i)  # the derivative is for the backward alone: v goes over it
    else:
        copy(met + 4 * DECAY, row + 4 * D)
    take_row(p, TENSOR_V, n, t, h, row + 4 * V)
    take_row(p, TENSOR_R, n, t, h, row + 4 * R)
    take_row(p, TENSOR_K, n, t, h, row + 4 * K)
    take_row(p, TENSOR_B, n, t, h, row + 4 * B)
    take_row(p, TENSOR_A, n, u, h, row + 4 * (ROW + A))


@njit(**PART)
def fetch_token(p, n, t, h, met):
    """Ask for a token's inputs ahead of their use."""
    if word(p, PHASE) == 0:
        fetch_row(p, TENSOR_W, n, t, h)
    else:
        fetch(met + 4 * DECAY, 4 * N)
    fetch_row(p, TENSOR_R, n, t, h)
    fetch_row(p, TENSOR_K, n, t, h)
    fetch_row(p, TENSOR_V, n, t, h)
    fetch_row(p, TENSOR_A, n, t, h)
    fetch_row(p, TENSOR_B, n, t, h)


@njit(**PART)
def sweep(S, row, a, v, s, out):
    """One token of one block of values: update S and s, leave S r in out; `a` is that of the coming token."""
    value = load(v, 0)
    now = load(s, 0)
    y = zero()
    coming = zero()
    for j in range(N):
        x = multiply_add(load(S, j * VALUES), broadcast(row, D + j), multiply(value, broadcast(row, K + j)))
        x = multiply_add(now, broadcast(row, B + j), x)
        store(S, j * VALUES, x)
        y = multiply_add(x, broadcast(row, R + j), y)
        coming = multiply_add(x, broadcast(a, j), coming)
    store(s, 0, coming)
    store(out, 0, y)


@njit(**INLINE)
def run_task(p, scratch, task):
    """One phase of one direction of some of the value blocks of one head of one sequence."""
    tokens, heads, parts, phase = word(p, TOKENS), word(p, HEADS), word(p, PARTS), word(p, PHASE)
    part = task % parts
    direction = (task // parts) % 2
    chain = task // (2 * parts)
    h = chain % heads
    n = chain // heads
    state = word(p, STATES) + (2 * chain + direction) * (4 * STATE_FLOATS)
    meeting = word(p, MEETING) + chain * tokens * (4 * MEETING_ROW)
    first_block, last_block = BLOCKS * part // parts, BLOCKS * (part + 1) // parts
    low, high = first_block * VALUES, last_block * VALUES
    outputs = scratch + 4 * (CHUNK + 1) * ROW
    # the forward direction has T // 2 tokens to the middle, the backward direction the others
    middle = tokens // 2 if direction == 0 else tokens - tokens // 2
    begin, end = (0, middle) if phase == 0 else (middle, tokens)
    if phase == 0:
        clear(state + 4 * low * N, (high - low) * N)
        clear(state + 4 * (N * N + low), high - low)
    for start in range(begin, end, CHUNK):
        length = min(CHUNK, end - start)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            # after the last token nothing comes: any a will do
            u = token_of(min(start + i + 1, tokens - 1), direction, tokens)
            gather(p, scratch + 4 * i * ROW, n, t, u, h, meeting + 4 * t * MEETING_ROW)
        for block in range(first_block, last_block):
            v = block * VALUES
            S = state + 4 * v * N
            s = state + 4 * (N * N + v)
            for i in range(length):
                row = scratch + 4 * i * ROW
                if block == first_block:
                    t = token_of(min(start + CHUNK + i, tokens - 1), direction, tokens)
                    fetch_token(p, n, t, h, meeting + 4 * t * MEETING_ROW)
                sweep(S, row, row + 4 * (ROW + A), row + 4 * (V + v), s, outputs + 4 * (i * N + v))
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            met = meeting + 4 * t * MEETING_ROW
            if phase == 0:
                for j in range(low, high, VALUES):
                    store(met, Y + j, load(outputs, i * N + j))
                if part == 0:
                    copy(scratch + 4 * (i * ROW + D), met + 4 * DECAY)
            else:
                g = load_scalar(word(p, GATE), (n * tokens + t) * heads + h)
                mine, other = splat(g), splat(1.0 - g)
                if direction == 1:
                    mine, other = other, mine
                y = place(p, TENSOR_Y, n, t, h)
                for j in range(low, high, VALUES):
                    fused = multiply_add(load(outputs, i * N + j), mine, multiply(load(met, Y + j), other))
                    write(y, j, fused, kind_of(p, TENSOR_Y))


def forward_tasks(parameters):
    """Take tasks until there are none left; as many threads as like may do so at once."""
    tasks = word(parameters, TASKS)
    task = take(parameters, NEXT_TASK)
    if task >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(parameters, SCRATCH) + take(parameters, NEXT_SCRATCH) * (4 * SCRATCH_FLOATS)
    while task < tasks:
        run_task(parameters, scratch, task)
        task = take(parameters, NEXT_TASK)

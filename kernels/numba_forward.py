"""Bi-WKV-7 forward.

The state is kept as S[key, value]: SIMD runs over the values, so that no horizontal sum is needed, and blocks of
values do not depend on one another.

The two directions meet in the middle: in the first phase each does its first half of the tokens and leaves its output;
in the second each finds there what the other left, and writes the fused result. So a direction can be a task of its
own, without a lock. Where there are heads enough for all threads, a task has both directions instead, and both phases:
threads meet once then, and what a direction leaves is looked for by the core that has it.

A task has a group of heads, worked on in turns chunk by chunk: of each token it reads whole stretches of memory. One
head alone would touch a new page every few rows, which costs more than the arithmetic.
"""

from numba import njit

from .forward_layout import (
    BOTH,
    DOTS,
    GATE,
    GROUP,
    HEADS,
    NEXT_SCRATCH,
    NEXT_TASK,
    OUTPUTS,
    PARTS,
    PHASE,
    PRODUCT,
    ROW,
    S_A,
    SCRATCH,
    SCRATCH_FLOATS,
    STATE_FLOATS,
    STATES,
    TASKS,
    TENSOR_A,
    TENSOR_B,
    TENSOR_K,
    TENSOR_PARTIAL,
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
)
from .numba_decay import decay
from .numba_pairs import apply_pair, cross, second_s, sweep_last_pair, sweep_pair
from .numba_rows import INLINE, PART, clear, fetch_row, kind_of, place, read, take_row, token_of, write
from .numba_vector import (
    all_at_least,
    broadcast,
    load,
    load_scalar,
    multiply,
    multiply_add,
    reciprocal,
    splat,
    store,
    zero,
)
from .numba_words import take, word
from .pairs_layout import LEAST_PRODUCT, PAIRED_CHUNK
from .vector_width import BLOCKS, VALUES, N


@njit(**PART)
def gather(p, row, n, t, h):
    """Fill a row for token t."""
    take_row(p, TENSOR_W, n, t, h, row + 4 * D)
    for i in range(0, N, 2 * VALUES):
        decay(row, D + i, D + i, V + i)  # the derivative is for the backward alone: v goes over it
    take_row(p, TENSOR_R, n, t, h, row + 4 * R)
    take_row(p, TENSOR_K, n, t, h, row + 4 * K)
    take_row(p, TENSOR_B, n, t, h, row + 4 * B)
    take_row(p, TENSOR_A, n, t, h, row + 4 * A)
    take_row(p, TENSOR_V, n, t, h, row + 4 * V)


@njit(**INLINE)
def gather_scaled(p, row, n, t, h, product):
    """Fill a row for token t, scaled by the product of the decays before and with it; the product goes on."""
    take_row(p, TENSOR_W, n, t, h, row + 4 * D)
    for i in range(0, N, 2 * VALUES):
        decay(row, D + i, D + i, V + i)
    r, k, b = place(p, TENSOR_R, n, t, h), place(p, TENSOR_K, n, t, h), place(p, TENSOR_B, n, t, h)
    a = place(p, TENSOR_A, n, t, h)
    for i in range(0, N, VALUES):
        before = load(product, i)
        after = multiply(before, load(row, D + i))
        inverse = reciprocal(after)
        store(product, i, after)
        store(row, R + i, multiply(read(r, i, kind_of(p, TENSOR_R)), after))
        store(row, K + i, multiply(read(k, i, kind_of(p, TENSOR_K)), inverse))
        store(row, B + i, multiply(read(b, i, kind_of(p, TENSOR_B)), inverse))
        store(row, A + i, multiply(read(a, i, kind_of(p, TENSOR_A)), before))
    take_row(p, TENSOR_V, n, t, h, row + 4 * V)


@njit(**PART)
def gather_chunk(p, scratch, n, h, start, length, direction):
    """The rows of a chunk; gives the number of tokens that are scaled, to be worked on in pairs, before plain ones."""
    tokens = word(p, TOKENS)
    product = scratch + 4 * PRODUCT
    scaled = length // 2 * 2
    for i in range(0, N, VALUES):
        store(product, i, splat(1.0))
    for i in range(scaled):
        gather_scaled(p, scratch + 4 * i * ROW, n, token_of(start + i, direction, tokens), h, product)
    for i in range(0, N, VALUES):
        if not all_at_least(load(product, i), LEAST_PRODUCT):
            scaled = 0
    for i in range(0, scaled, 2):
        cross(scratch + 4 * i * ROW, scratch + 4 * (DOTS + i))
    for i in range(scaled, length):
        gather(p, scratch + 4 * i * ROW, n, token_of(start + i, direction, tokens), h)
    return scaled


@njit(**PART)
def fetch_token(p, n, i, h, direction):
    """Ask for the rows of a direction's i-th token ahead of their use."""
    tokens = word(p, TOKENS)
    t = token_of(min(i, tokens - 1), direction, tokens)
    fetch_row(p, TENSOR_W, n, t, h)
    fetch_row(p, TENSOR_R, n, t, h)
    fetch_row(p, TENSOR_K, n, t, h)
    fetch_row(p, TENSOR_V, n, t, h)
    fetch_row(p, TENSOR_A, n, t, h)
    fetch_row(p, TENSOR_B, n, t, h)
    fetch_row(p, TENSOR_PARTIAL, n, t, h)


@njit(**PART)
def apply(S, row, s):
    """Leave S a in s, for one block of values and the a of the row."""
    coming = zero()
    for j in range(N):
        coming = multiply_add(load(S, j * VALUES), broadcast(row, A + j), coming)
    store(s, 0, coming)


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


@njit(**PART)
def sweep_chunk(p, scratch, S, block, length, scaled, n, h, start, direction, fetching):
    """A gathered chunk of one block of values, outputs to scratch; meanwhile tokens from `start` on are asked for."""
    v = block * VALUES
    outputs = scratch + 4 * (OUTPUTS + v)
    dots = scratch + 4 * DOTS
    now, coming = apply_pair(S, scratch + 4 * A, ROW)
    for i in range(0, scaled, 2):
        if fetching:
            fetch_token(p, n, start + i, h, direction)
            fetch_token(p, n, start + i + 1, h, direction)
        row, out = scratch + 4 * i * ROW, outputs + 4 * i * N
        value = row + 4 * (V + v)
        now_2 = second_s(now, coming, value, dots + 4 * i)
        if i + 2 < scaled:
            now, coming = sweep_pair(S, row, value, now, now_2, out)
        else:
            sweep_last_pair(S, row, value, now, now_2, scratch + 4 * PRODUCT, out)
    if scaled < length:
        s = scratch + 4 * S_A
        apply(S, scratch + 4 * scaled * ROW, s)
        for i in range(scaled, length):
            row = scratch + 4 * i * ROW
            sweep(S, row, row + 4 * (ROW + A), row + 4 * (V + v), s, outputs + 4 * i * N)


@njit(**PART)
def settle(p, outputs, n, t, h, direction, phase, low, high):
    """An output to where the other direction will look for it, or joined with what that has left there."""
    partial = place(p, TENSOR_PARTIAL, n, t, h)
    if phase == 0:
        for j in range(low, high, VALUES):
            store(partial, j, load(outputs, j))
    else:
        g = load_scalar(word(p, GATE), (n * word(p, TOKENS) + t) * word(p, HEADS) + h)
        mine, other = splat(g), splat(1.0 - g)
        if direction == 1:
            mine, other = other, mine
        y = place(p, TENSOR_Y, n, t, h)
        for j in range(low, high, VALUES):
            fused = multiply_add(load(outputs, j), mine, multiply(load(partial, j), other))
            write(y, j, fused, kind_of(p, TENSOR_Y))


@njit(**PART)
def run_direction(p, scratch, unit, direction, phase):
    """One phase of one direction of some of the value blocks of a group of heads of one sequence."""
    tokens, heads, parts, group = word(p, TOKENS), word(p, HEADS), word(p, PARTS), word(p, GROUP)
    groups = (heads + group - 1) // group
    part = unit % parts
    n = unit // parts // groups
    first_head = unit // parts % groups * group
    last_head = min(first_head + group, heads)
    first_block, last_block = BLOCKS * part // parts, BLOCKS * (part + 1) // parts
    low, high = first_block * VALUES, last_block * VALUES
    # the forward direction has T // 2 tokens to the middle, the backward direction the others; where T is odd both
    # cut a chunk before and after the middle token, so that time may run either way without any difference
    half, other_half = tokens // 2, tokens - tokens // 2
    middle = half if direction == 0 else other_half
    start, end = (0, middle) if phase == 0 else (middle, tokens)
    states = word(p, STATES) + 4 * STATE_FLOATS * (2 * n * heads + direction)
    if phase == 0:
        for h in range(first_head, last_head):
            clear(states + 8 * STATE_FLOATS * h + 4 * low * N, (high - low) * N)
    while start < end:
        stop = half if start < half else (other_half if start < other_half else tokens)
        length = min(PAIRED_CHUNK, stop - start)
        for h in range(first_head, last_head):
            scaled = gather_chunk(p, scratch, n, h, start, length, direction)
            next_head, next_start = h + 1, start
            if next_head == last_head:
                next_head, next_start = first_head, start + length
            for block in range(first_block, last_block):
                S = states + 4 * (2 * STATE_FLOATS * h + block * VALUES * N)
                fetching = block == first_block
                sweep_chunk(
                    p, scratch, S, block, length, scaled, n, next_head, next_start, direction, fetching
                )
            for i in range(length):
                t = token_of(start + i, direction, tokens)
                settle(p, scratch + 4 * (OUTPUTS + i * N), n, t, h, direction, phase, low, high)
        start += length


@njit(**INLINE)
def run_task(p, scratch, task):
    """A direction's phase, or all that is to be done for some heads."""
    if word(p, PHASE) != BOTH:
        run_direction(p, scratch, task // 2, task % 2, word(p, PHASE))
    else:
        for step in range(4):
            run_direction(p, scratch, task, step % 2, step // 2)


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

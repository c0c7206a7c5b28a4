"""The heart of a time mix in one kernel: from the products to what the output product takes.

As in `numba_forward`, the two directions meet in the middle. In the first phase each makes ready the tokens of its
half, every token once: decay, in-context rate, the value with block 0's, the normalised key; sweeps over them; and
leaves the rows, with its output, in memory. In the second each finds there what the other left, and finishes tokens:
both directions fused by the gate, normalised, with the bonus, times the output gate. Rows are contiguous in the order
of time, a head at a time, so that the sweeps read them where they lie.
"""

import math

from numba import njit, types

from .block_mix_layout import (
    A0,
    A_PRODUCT,
    BOTH,
    G_PRODUCT,
    GATE,
    HEADS,
    K_A,
    K_K,
    K_PRODUCT,
    MIX_PRODUCT,
    NEXT_SCRATCH,
    NEXT_TASK,
    NORM_BIAS,
    NORM_WEIGHT,
    OUT,
    PHASE,
    R_K,
    R_PRODUCT,
    ROW,
    ROWS,
    SCRATCH,
    SCRATCH_FLOATS,
    STATE_FLOATS,
    STATES,
    TASKS,
    TOKENS,
    V0,
    V_FIRST,
    V_PRODUCT,
    W0,
    W_PRODUCT,
    Y,
)
from .forward_layout import A, B, D, K, R, V
from .layout import BFLOAT16, CHUNK, FLOAT32
from .numba_forward import sweep
from .numba_functions import exp_of_product, sigmoid
from .numba_rows import INLINE, clear, fetch, read, token_of, write
from .numba_sums import sum_lanes
from .numba_vector import add, load, load_scalar, multiply, multiply_add, splat, store, zero
from .numba_words import take, word
from .vector_width import BLOCKS, VALUES, N

MINUS_EXP_HALF = -0.6065306597126334  # -exp(-0.5): the largest rate of decay
NORM_EPS = 64e-5
SMALLEST_NORM = 1e-12


@njit(**INLINE)
def removal_scale(p, product, channel, kind):
    """1 over the length of k * k_k in a head, whose products begin at an address."""
    squares = zero()
    for i in range(0, N, VALUES):
        x = multiply(read(product, i, kind), load(word(p, K_K), channel + i))
        squares = multiply_add(x, x, squares)
    return splat(types.float32(1.0 / max(math.sqrt(sum_lanes(squares)), SMALLEST_NORM)))


@njit(**INLINE)
def removal_key(p, target, token, h, kind):
    """The row's a of a token alone: minus the normalised k * k_k."""
    channel = h * N
    product = word(p, K_PRODUCT) + (2 if kind == BFLOAT16 else 4) * (token * word(p, HEADS) * N + channel)
    scale = multiply(splat(types.float32(-1.0)), removal_scale(p, product, channel, kind))
    for i in range(0, N, VALUES):
        x = multiply(read(product, i, kind), load(word(p, K_K), channel + i))
        store(target, i, multiply(x, scale))


@njit(**INLINE)
def prepare(p, row, token, h, kind):
    """Fill the row of a token of one head."""
    channel = h * N
    size = 2 if kind == BFLOAT16 else 4
    place = size * (token * word(p, HEADS) * N + channel)
    k_product = word(p, K_PRODUCT) + place
    v_first = word(p, V_FIRST)
    one, minus_one = splat(types.float32(1.0)), splat(types.float32(-1.0))
    scale = removal_scale(p, k_product, channel, kind)
    for i in range(0, N, VALUES):
        c = channel + i
        store(row, R + i, read(word(p, R_PRODUCT) + place, i, kind))
        share = sigmoid(add(load(word(p, W0), c), read(word(p, W_PRODUCT) + place, i, kind)))
        store(row, D + i, exp_of_product(share, splat(types.float32(MINUS_EXP_HALF))))
        a = sigmoid(add(load(word(p, A0), c), read(word(p, A_PRODUCT) + place, i, kind)))
        k = read(k_product, i, kind)
        kk = multiply(multiply(k, load(word(p, K_K), c)), scale)
        store(row, A + i, multiply(kk, minus_one))
        store(row, B + i, multiply(kk, a))
        more = multiply_add(add(a, minus_one), load(word(p, K_A), c), one)
        store(row, K + i, multiply(k, more))
        v = read(word(p, V_PRODUCT) + place, i, kind)
        if v_first:
            share = sigmoid(add(load(word(p, V0), c), read(word(p, MIX_PRODUCT) + place, i, kind)))
            v = multiply_add(add(read(v_first + place, i, kind), multiply(v, minus_one)), share, v)
        store(row, V + i, v)


@njit(**INLINE)
def finish(p, row, y, token, h, direction, kind):
    """Fuse both directions, normalise in the head, add the bonus, apply the output gate."""
    channel = h * N
    size = 2 if kind == BFLOAT16 else 4
    place = size * (token * word(p, HEADS) * N + channel)
    one, minus_one = splat(types.float32(1.0)), splat(types.float32(-1.0))
    mine = sigmoid(splat(load_scalar(word(p, GATE), token * word(p, HEADS) + h)))
    if direction == 1:
        mine = multiply_add(mine, minus_one, one)
    total, bonus = zero(), zero()
    for i in range(0, N, VALUES):
        other = load(row, Y + i)
        fused = multiply_add(add(load(y, i), multiply(other, minus_one)), mine, other)
        store(y, i, fused)
        total = add(total, fused)
        rk = multiply(load(row, R + i), load(row, K + i))
        bonus = multiply_add(rk, load(word(p, R_K), channel + i), bonus)
    minus_mean = splat(-(sum_lanes(total) / N))
    bonus = splat(sum_lanes(bonus))
    squares = zero()
    for i in range(0, N, VALUES):
        x = add(load(y, i), minus_mean)
        squares = multiply_add(x, x, squares)
    scale = splat(types.float32(1.0 / math.sqrt(sum_lanes(squares) / N + NORM_EPS)))
    for i in range(0, N, VALUES):
        c = channel + i
        x = multiply(add(load(y, i), minus_mean), scale)
        x = multiply_add(x, load(word(p, NORM_WEIGHT), c), load(word(p, NORM_BIAS), c))
        x = multiply_add(bonus, load(row, V + i), x)
        g = read(word(p, G_PRODUCT) + place, i, kind)
        write(word(p, OUT) + place, i, multiply(x, g), kind)


@njit(**INLINE)
def run_task(p, scratch, task, kind):
    """One phase of one direction of one head of one sequence."""
    tokens, heads, phase, rows = word(p, TOKENS), word(p, HEADS), word(p, PHASE), word(p, ROWS)
    if phase == BOTH:
        phase = task // 2 % 2
        task = task // 4 * 2 + task % 2
    else:
        rows += task // 2 * tokens * (4 * ROW)
    direction = task % 2
    chain = task // 2
    h = chain % heads
    first_token = chain // heads * tokens
    state = word(p, STATES) + task * (4 * STATE_FLOATS)
    outputs, coming_a = scratch, scratch + 4 * CHUNK * N
    # the forward direction has T // 2 tokens to the middle, the backward direction the others
    middle = tokens // 2 if direction == 0 else tokens - tokens // 2
    begin, end = (0, middle) if phase == 0 else (middle, tokens)
    if phase == 0:
        clear(state, N * N + N)
    step = 4 * ROW if direction == 0 else -4 * ROW
    for start in range(begin, end, CHUNK):
        length = min(CHUNK, end - start)
        first_row = rows + token_of(start, direction, tokens) * 4 * ROW
        if phase == 0:
            for i in range(length):
                t = token_of(start + i, direction, tokens)
                prepare(p, first_row + i * step, first_token + t, h, kind)
        # after the last token nothing comes: any a will do
        t = token_of(min(start + length, tokens - 1), direction, tokens)
        if phase == 0:
            removal_key(p, coming_a, first_token + t, h, kind)
        for block in range(BLOCKS):
            v = block * VALUES
            S = state + 4 * v * N
            s = state + 4 * (N * N + v)
            for i in range(length):
                row = first_row + i * step
                if i + 1 < length:
                    a = row + step + 4 * A
                elif phase == 0:
                    a = coming_a
                else:
                    a = rows + 4 * (t * ROW + A)
                if phase == 0:
                    sweep(S, row, a, row + 4 * (V + v), s, row + 4 * (Y + v))
                else:
                    if block == 0:
                        # the row that stands as far behind: the CPU does not guess what lies backwards
                        ahead = token_of(min(start + CHUNK + i, tokens - 1), direction, tokens)
                        fetch(rows + 4 * ahead * ROW, 4 * ROW)
                    sweep(S, row, a, row + 4 * (V + v), s, outputs + 4 * (i * N + v))
        if phase == 1:
            for i in range(length):
                t = token_of(start + i, direction, tokens)
                finish(p, first_row + i * step, outputs + 4 * i * N, first_token + t, h, direction, kind)


@njit(**INLINE)
def run_tasks(p, kind):
    """Take tasks until there are none left; as many threads as like may do so at once."""
    tasks = word(p, TASKS)
    task = take(p, NEXT_TASK)
    if task >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, SCRATCH) + take(p, NEXT_SCRATCH) * (4 * SCRATCH_FLOATS)
    while task < tasks:
        run_task(p, scratch, task, kind)
        task = take(p, NEXT_TASK)


def mix_float32(parameters):
    """Products in float32."""
    run_tasks(parameters, FLOAT32)


def mix_bfloat16(parameters):
    """Products in bfloat16."""
    run_tasks(parameters, BFLOAT16)

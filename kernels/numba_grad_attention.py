"""What surrounds the recurrence of the time mix: its inputs before it; norm, bonus and output gate behind it.

Per token and head of 64 channels, with the products of the mixes in (thin)::

    a  = sigmoid(a0 + low_a);   w = -softplus(-(w0 + low_w)) - 0.5
    v' = v + (v_first - v) * sigmoid(v0 + low_v)           in block 0 v' = v = v_first
    kk = k * k_k / max(|k * k_k|, 1e-12);   k' = k * (1 + (a - 1) * k_a)
    y  = recurrence(r, w, k', v', -kk, kk * a)
    z  = (norm(y) + sum(r * k' * r_k) * v') * g
"""

import math

from numba import float32, njit

from . import grad_layout as at
from .grad_layout import CHUNK_ROWS
from .layout import BFLOAT16, FLOAT32
from .numba_functions import sigmoid
from .numba_grad_shift import size_of
from .numba_grad_vector import INLINE_PASS, exp, log, positive
from .numba_rows import read, write
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import load, load_scalar, splat, store, zero
from .numba_words import take, word
from .vector_width import VALUES, N

SHORTEST = float32(1e-12)
"""Length below which a removal key is not brought to length 1."""


@njit(**INLINE_PASS)
def softplus(x):
    """``log(1 + exp(x))``."""
    one, nothing = splat(float32(1.0)), zero()
    # with the smaller of exp(x) and exp(-x), so that neither overflows
    absolute = positive(x) + positive(nothing - x)
    return positive(x) + log(one + exp(nothing - absolute))


@njit(**INLINE_PASS)
def wide(p, which, row):
    """Address of a row of float32."""
    return word(p, which) + 4 * row * word(p, at.WIDTH)


@njit(**INLINE_PASS)
def thin(p, which, row, kind):
    """Address of a row of a thin tensor."""
    return word(p, which) + size_of(kind) * row * word(p, at.WIDTH)


@njit(**INLINE_PASS)
def prepare_head(p, row, h, scratch, kind):
    """One head of one token."""
    first = word(p, at.FIRST)
    k_raw, low_a = thin(p, at.K_RAW, row, kind), thin(p, at.LOW_A, row, kind)
    v_raw, low_v = thin(p, at.V_RAW, row, kind), thin(p, at.LOW_V, row, kind)
    low_w, w, v_first = thin(p, at.LOW_W, row, kind), wide(p, at.W, row), wide(p, at.V_FIRST, row)
    k_out, v_out = thin(p, at.K, row, kind), thin(p, at.V, row, kind)
    a_out, b_out = thin(p, at.A, row, kind), thin(p, at.B, row, kind)
    one, nothing, half = splat(float32(1.0)), zero(), splat(float32(0.5))
    squares = zero()
    for j in range(0, N, VALUES):
        i = h * N + j
        k, v = read(k_raw, i, kind), read(v_raw, i, kind)
        if first:
            store(v_first, i, v)
        else:
            v = (load(v_first, i) - v) * sigmoid(load(word(p, at.V0), i) + read(low_v, i, kind)) + v
        write(v_out, i, v, kind)
        a = sigmoid(load(word(p, at.A0), i) + read(low_a, i, kind))
        store(w, i, nothing - softplus(nothing - load(word(p, at.W0), i) - read(low_w, i, kind)) - half)
        write(k_out, i, k * ((a - one) * load(word(p, at.K_A), i) + one), kind)
        kk = k * load(word(p, at.K_K), i)
        squares = kk * kk + squares
        store(scratch, j, kk)
        store(scratch, N + j, a)
    length = math.sqrt(sum_lanes(squares))
    scale = splat(float32(1.0) / max(length, SHORTEST))
    for j in range(0, N, VALUES):
        i = h * N + j
        kk = load(scratch, j) * scale
        write(a_out, i, nothing - kk, kind)
        write(b_out, i, kk * load(scratch, N + j), kind)


@njit(**INLINE_PASS)
def centre_and_rate(p, y, h, kind):
    """Mean and reciprocal deviation of a head."""
    channels = float32(N)
    total = zero()
    for j in range(0, N, VALUES):
        total = total + read(y, h * N + j, kind)
    mean = sum_lanes(total) / channels
    squares = zero()
    for j in range(0, N, VALUES):
        x = read(y, h * N + j, kind) - splat(mean)
        squares = x * x + squares
    epsilon = load_scalar(p + 8 * at.GROUP_EPSILON, 0)
    return splat(mean), splat(float32(1.0) / math.sqrt(sum_lanes(squares) / channels + epsilon))


@njit(**INLINE_PASS)
def bonus_of(p, row, h, kind):
    """Sum over a head of ``r * k' * r_k``."""
    r, k = thin(p, at.R, row, kind), thin(p, at.K, row, kind)
    bonus = zero()
    for i in range(h * N, h * N + N, VALUES):
        bonus = read(r, i, kind) * read(k, i, kind) * load(word(p, at.R_K), i) + bonus
    return splat(sum_lanes(bonus))


@njit(**INLINE_PASS)
def combine_head(p, row, h, kind):
    """One head of one token."""
    y, v = thin(p, at.Y, row, kind), thin(p, at.V, row, kind)
    g, z = thin(p, at.G, row, kind), thin(p, at.Z, row, kind)
    centre, rate = centre_and_rate(p, y, h, kind)
    bonus = bonus_of(p, row, h, kind)
    for i in range(h * N, h * N + N, VALUES):
        x = (read(y, i, kind) - centre) * rate * load(word(p, at.GROUP_WEIGHT), i)
        x = x + load(word(p, at.GROUP_BIAS), i) + bonus * read(v, i, kind)
        write(z, i, x * read(g, i, kind), kind)


@njit(**INLINE_PASS)
def attention_tasks(p, before, kind):
    """Take tasks until there are none left."""
    tasks, total, heads = word(p, at.TASKS), word(p, at.TOTAL), word(p, at.HEADS)
    thread = take(p, at.NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, at.SCRATCH) + thread * word(p, at.SCRATCH_BYTES)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        for row in range(task * CHUNK_ROWS, min(total, (task + 1) * CHUNK_ROWS)):
            for h in range(heads):
                if before:
                    prepare_head(p, row, h, scratch, kind)
                else:
                    combine_head(p, row, h, kind)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def prepare_float32(parameters):
    """Inputs of the recurrence, thin tensors in float32."""
    attention_tasks(parameters, True, FLOAT32)


def prepare_bfloat16(parameters):
    """Inputs of the recurrence, thin tensors in bfloat16."""
    attention_tasks(parameters, True, BFLOAT16)


def combine_float32(parameters):
    """What comes behind it, thin tensors in float32."""
    attention_tasks(parameters, False, FLOAT32)


def combine_bfloat16(parameters):
    """What comes behind it, thin tensors in bfloat16."""
    attention_tasks(parameters, False, BFLOAT16)

"""Backward of `numba_grad_attention`: first of what comes behind the recurrence, then of what comes before it."""

import math

from numba import float32, njit

from . import grad_layout as at
from .grad_layout import CHUNK_ROWS
from .layout import BFLOAT16, FLOAT32
from .numba_functions import sigmoid
from .numba_grad_attention import SHORTEST, bonus_of, centre_and_rate, thin, wide
from .numba_grad_shift_back import accumulate
from .numba_grad_vector import INLINE_PASS
from .numba_rows import clear, read, write
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import load, load_scalar, splat, store, store_scalar, zero
from .numba_words import take, word
from .vector_width import VALUES, N


@njit(**INLINE_PASS)
def combine_head_back(p, row, h, part, scratch, kind):
    """From dz to dy, dg, the gradient of the bonus and what it gives to v."""
    width = word(p, at.WIDTH)
    y, v, g = thin(p, at.Y, row, kind), thin(p, at.V, row, kind), thin(p, at.G, row, kind)
    dz, dy, dg = thin(p, at.DZ, row, kind), thin(p, at.DY, row, kind), thin(p, at.DG, row, kind)
    dv = thin(p, at.DV_BONUS, row, kind)
    centre, rate = centre_and_rate(p, y, h, kind)
    bonus = bonus_of(p, row, h, kind)
    dbonus, total, product = zero(), zero(), zero()
    for j in range(0, N, VALUES):
        i = h * N + j
        x = (read(y, i, kind) - centre) * rate
        d, value, weight = read(dz, i, kind), read(v, i, kind), load(word(p, at.GROUP_WEIGHT), i)
        write(dg, i, d * (x * weight + load(word(p, at.GROUP_BIAS), i) + bonus * value), kind)
        d = d * read(g, i, kind)
        write(dv, i, d * bonus, kind)
        dbonus = d * value + dbonus
        accumulate(part, at.PART_GROUP_WEIGHT * width + i, d * x)
        accumulate(part, at.PART_GROUP_BIAS * width + i, d)
        d = d * weight
        total, product = total + d, d * x + product
        store(scratch, j, d)
    store_scalar(word(p, at.DBONUS), row * word(p, at.HEADS) + h, sum_lanes(dbonus))
    share = splat(float32(1.0) / float32(N))
    mean, mean_product = splat(sum_lanes(total)) * share, splat(sum_lanes(product)) * share
    for j in range(0, N, VALUES):
        i = h * N + j
        x = (read(y, i, kind) - centre) * rate
        write(dy, i, (load(scratch, j) - mean - x * mean_product) * rate, kind)


@njit(**INLINE_PASS)
def value_back(p, row, i, part, d, kind):
    """Backward of the value residual for some channels, from the gradient of v'."""
    width = word(p, at.WIDTH)
    later = load(wide(p, at.DV_FIRST, row), i)
    if word(p, at.FIRST):
        write(thin(p, at.DV_OUT, row, kind), i, d + later, kind)
    else:
        v = read(thin(p, at.V_RAW, row, kind), i, kind)
        s = sigmoid(load(word(p, at.V0), i) + read(thin(p, at.LOW_V, row, kind), i, kind))
        store(wide(p, at.DV_FIRST_OUT, row), i, d * s + later)
        write(thin(p, at.DV_OUT, row, kind), i, d - d * s, kind)
        ds = d * (load(wide(p, at.V_FIRST, row), i) - v) * (s - s * s)
        write(thin(p, at.DLOW_V, row, kind), i, ds, kind)
        accumulate(part, at.PART_V0 * width + i, ds)


@njit(**INLINE_PASS)
def prepare_head_back(p, row, h, part, scratch, kind):
    """From the recurrence's gradients, and those of the bonus, to the products'."""
    width = word(p, at.WIDTH)
    k_raw, r = thin(p, at.K_RAW, row, kind), thin(p, at.R, row, kind)
    low_a, low_w = thin(p, at.LOW_A, row, kind), thin(p, at.LOW_W, row, kind)
    dr, dk, dv = thin(p, at.DR, row, kind), thin(p, at.DK, row, kind), thin(p, at.DV, row, kind)
    da_in, db_in, dw_in = thin(p, at.DA, row, kind), thin(p, at.DB, row, kind), wide(p, at.DW, row)
    dv_bonus = thin(p, at.DV_BONUS, row, kind)
    one, nothing = splat(float32(1.0)), zero()
    dbonus = splat(load_scalar(word(p, at.DBONUS), row * word(p, at.HEADS) + h))
    squares, projection = zero(), zero()
    for j in range(0, N, VALUES):
        i = h * N + j
        x = read(k_raw, i, kind) * load(word(p, at.K_K), i)
        a = sigmoid(load(word(p, at.A0), i) + read(low_a, i, kind))
        d = read(db_in, i, kind) * a - read(da_in, i, kind)
        squares, projection = x * x + squares, d * x + projection
        store(scratch, j, a)
        store(scratch, N + j, d)
    length = math.sqrt(sum_lanes(squares))
    scale = float32(1.0) / max(length, SHORTEST)
    # a key that is too short is only scaled: nothing is taken out of its gradient
    along = sum_lanes(projection) * scale * scale if length > SHORTEST else float32(0.0)
    for j in range(0, N, VALUES):
        i = h * N + j
        k, a = read(k_raw, i, kind), load(scratch, j)
        k_k, k_a, r_k = load(word(p, at.K_K), i), load(word(p, at.K_A), i), load(word(p, at.R_K), i)
        x = k * k_k
        key = k * ((a - one) * k_a + one)
        receptance = read(r, i, kind)
        dkey = dbonus * receptance * r_k + read(dk, i, kind)
        accumulate(part, at.PART_R_K * width + i, dbonus * receptance * key)
        write(thin(p, at.DR_OUT, row, kind), i, dbonus * key * r_k + read(dr, i, kind), kind)
        dx = (load(scratch, N + j) - x * splat(along)) * splat(scale)
        da = read(db_in, i, kind) * x * splat(scale) + dkey * k * k_a
        accumulate(part, at.PART_K_A * width + i, dkey * k * (a - one))
        accumulate(part, at.PART_K_K * width + i, dx * k)
        dk_raw = dkey * ((a - one) * k_a + one) + dx * k_k
        da = da * (a - a * a)
        accumulate(part, at.PART_A0 * width + i, da)
        dw = load(dw_in, i) * sigmoid(nothing - load(word(p, at.W0), i) - read(low_w, i, kind))
        accumulate(part, at.PART_W0 * width + i, dw)
        value_back(p, row, i, part, read(dv, i, kind) + read(dv_bonus, i, kind), kind)
        write(thin(p, at.DK_OUT, row, kind), i, dk_raw, kind)
        write(thin(p, at.DLOW_A, row, kind), i, da, kind)
        write(thin(p, at.DLOW_W, row, kind), i, dw, kind)


@njit(**INLINE_PASS)
def attention_back_tasks(p, before, kind):
    """Take tasks until there are none left."""
    tasks, total, heads = word(p, at.TASKS), word(p, at.TOTAL), word(p, at.HEADS)
    parts = at.PREPARE_PARTS if before else at.COMBINE_PARTS
    thread = take(p, at.NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, at.SCRATCH) + thread * word(p, at.SCRATCH_BYTES)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        part = word(p, at.PARTS) + 4 * task * parts * word(p, at.WIDTH)
        clear(part, parts * word(p, at.WIDTH))
        for row in range(task * CHUNK_ROWS, min(total, (task + 1) * CHUNK_ROWS)):
            for h in range(heads):
                if before:
                    prepare_head_back(p, row, h, part, scratch, kind)
                else:
                    combine_head_back(p, row, h, part, scratch, kind)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def prepare_back_float32(parameters):
    """Of what comes before the recurrence, thin tensors in float32."""
    attention_back_tasks(parameters, True, FLOAT32)


def prepare_back_bfloat16(parameters):
    """Of what comes before the recurrence, thin tensors in bfloat16."""
    attention_back_tasks(parameters, True, BFLOAT16)


def combine_back_float32(parameters):
    """Of what comes behind it, thin tensors in float32."""
    attention_back_tasks(parameters, False, FLOAT32)


def combine_back_bfloat16(parameters):
    """Of what comes behind it, thin tensors in bfloat16."""
    attention_back_tasks(parameters, False, BFLOAT16)

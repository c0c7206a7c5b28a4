"""Residual sum, layer norm, 2D token shift and mixes in one pass over the rows.

Per token, over the (steps, bands) grid and with zeros around it::

    sum = x + skip * (out + bias);   h = norm(sum);   xx = conv3x3(h) - h;   mixed_c = h + xx * share_c

and, in front of the time mix, the logits of the two directions: the sum over each head of ``xx * gate_weight``.
"""

import math

from numba import float32, njit

from . import grad_layout as at
from .grad_layout import BANDS, CHUNK_STEPS, PADDED, RING
from .layout import BFLOAT16, FLOAT32
from .numba_grad_vector import INLINE_PASS, PASS
from .numba_rows import clear, read, write
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import load, load_scalar, splat, store, store_scalar, zero
from .numba_words import take, word
from .vector_width import VALUES, N

STEP = PADDED  # rows of a step in the ring


@njit(**INLINE_PASS)
def size_of(kind):
    """Bytes of a number."""
    return 2 if kind == BFLOAT16 else 4


@njit(**INLINE_PASS)
def slot(ring, step, width):
    """Where a step from -1 on stands in a ring."""
    return ring + 4 * STEP * width * ((step + RING) % RING)


@njit(**INLINE_PASS)
def convolve(conv, before, here, after, r, width, i):
    """The 3 x 3 convolution at a row and channels of the ring, from the steps before, here and after."""
    y = load(conv, i) * load(before, r - width)
    y = load(conv, width + i) * load(before, r) + y
    y = load(conv, 2 * width + i) * load(before, r + width) + y
    y = load(conv, 3 * width + i) * load(here, r - width) + y
    y = load(conv, 4 * width + i) * load(here, r) + y
    y = load(conv, 5 * width + i) * load(here, r + width) + y
    y = load(conv, 6 * width + i) * load(after, r - width) + y
    y = load(conv, 7 * width + i) * load(after, r) + y
    return load(conv, 8 * width + i) * load(after, r + width) + y


@njit(**PASS)
def normalise_step(p, n, step, own, ring, kind):
    """Sum and norm of one step into the ring; its own steps' sums and statistics go to memory as well."""
    width, steps = word(p, at.WIDTH), word(p, at.STEPS)
    target = slot(ring, step, width)
    if step < 0 or step >= steps:
        clear(target, STEP * width)
        return
    bias, weight, offset = word(p, at.SHIFT_BIAS), word(p, at.SHIFT_NORM_WEIGHT), word(p, at.SHIFT_NORM_BIAS)
    adds = word(p, at.ADDS)
    skip = splat(load_scalar(word(p, at.SHIFT_SKIP), n))
    epsilon = load_scalar(p + 8 * at.EPSILON, 0)
    channels = float32(width)
    for band in range(BANDS):
        row = (n * steps + step) * BANDS + band
        x = word(p, at.SHIFT_X) + 4 * row * width
        out = word(p, at.SHIFT_OUT) + size_of(kind) * row * width
        kept = word(p, at.SHIFT_SUM) + 4 * row * width
        h = target + 4 * (band + 1) * width
        total = zero()
        for i in range(0, width, VALUES):
            y = load(x, i)
            if adds:
                y = skip * (read(out, i, kind) + load(bias, i)) + y
                if own:
                    store(kept, i, y)
            store(h, i, y)
            total = total + y
        mean = sum_lanes(total) / channels
        centre = splat(mean)
        squares = zero()
        for i in range(0, width, VALUES):
            y = load(h, i) - centre
            squares = y * y + squares
        rate = float32(1.0) / math.sqrt(sum_lanes(squares) / channels + epsilon)
        if own:
            store_scalar(word(p, at.SHIFT_STATS), 2 * row, mean)
            store_scalar(word(p, at.SHIFT_STATS), 2 * row + 1, rate)
        scale = splat(rate)
        for i in range(0, width, VALUES):
            store(h, i, (load(h, i) - centre) * scale * load(weight, i) + load(offset, i))


@njit(**INLINE_PASS)
def mix_step(p, n, step, ring, sums, six, kind):
    """Shift and mixes of one step that stands in the ring between its neighbours."""
    width, heads = word(p, at.WIDTH), word(p, at.WIDTH) // N
    before, here, after = slot(ring, step - 1, width), slot(ring, step, width), slot(ring, step + 1, width)
    conv, shares, gate = word(p, at.SHIFT_CONV), word(p, at.SHIFT_SHARES), word(p, at.SHIFT_GATE_WEIGHT)
    first = (n * word(p, at.STEPS) + step) * BANDS
    start = size_of(kind) * first * width
    mixed = p + 8 * at.SHIFT_MIXED
    for i in range(0, width, VALUES):
        for band in range(BANDS):
            r = (band + 1) * width + i
            h = load(here, r)
            xx = convolve(conv, before, here, after, r, width, i) - h
            at_row = band * width + i
            write(word(mixed, 0) + start, at_row, xx * load(shares, i) + h, kind)
            if six:
                write(word(mixed, 1) + start, at_row, xx * load(shares, width + i) + h, kind)
                write(word(mixed, 2) + start, at_row, xx * load(shares, 2 * width + i) + h, kind)
                write(word(mixed, 3) + start, at_row, xx * load(shares, 3 * width + i) + h, kind)
                write(word(mixed, 4) + start, at_row, xx * load(shares, 4 * width + i) + h, kind)
                write(word(mixed, 5) + start, at_row, xx * load(shares, 5 * width + i) + h, kind)
                product = xx * load(gate, i)
                if i % N:
                    product = product + load(sums, band * N)
                store(sums, band * N, product)
                if i % N == N - VALUES:
                    logits = word(p, at.SHIFT_LOGITS)
                    store_scalar(logits, (first + band) * heads + i // N, sum_lanes(product))


@njit(**INLINE_PASS)
def shift_chunk(p, task, scratch, six, kind):
    """The steps of one task."""
    steps, width = word(p, at.STEPS), word(p, at.WIDTH)
    chunks = (steps + CHUNK_STEPS - 1) // CHUNK_STEPS
    n, start = task // chunks, task % chunks * CHUNK_STEPS
    stop = min(start + CHUNK_STEPS, steps)
    ring, sums = scratch, scratch + 4 * RING * STEP * width
    clear(ring, RING * STEP * width)
    normalise_step(p, n, start - 1, False, ring, kind)
    normalise_step(p, n, start, True, ring, kind)
    for step in range(start, stop):
        normalise_step(p, n, step + 1, step + 1 < stop, ring, kind)
        mix_step(p, n, step, ring, sums, six, kind)


@njit(**INLINE_PASS)
def shift_tasks(p, six, kind):
    """Take tasks until there are none left."""
    tasks = word(p, at.TASKS)
    thread = take(p, at.NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, at.SCRATCH) + thread * word(p, at.SCRATCH_BYTES)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        shift_chunk(p, task, scratch, six, kind)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def shift_six_float32(parameters):
    """Before the time mix, thin tensors in float32."""
    shift_tasks(parameters, True, FLOAT32)


def shift_six_bfloat16(parameters):
    """Before the time mix, thin tensors in bfloat16."""
    shift_tasks(parameters, True, BFLOAT16)


def shift_one_float32(parameters):
    """Before the channel mix, thin tensors in float32."""
    shift_tasks(parameters, False, FLOAT32)


def shift_one_bfloat16(parameters):
    """Before the channel mix, thin tensors in bfloat16."""
    shift_tasks(parameters, False, BFLOAT16)

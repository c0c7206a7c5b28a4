"""What a sub-layer of a block begins with, in one pass: residual sum, layer norm, 2D token shift, and its mixes.

Read once: the residual stream and the last product, which is added to it. Written once: the new residual stream, an
array for each consumer of the shift, and the logits of the gate between the directions. A thread holds the normalised
tokens of three steps, which stay in its first-level cache, between rows of zeros for the bands beyond either edge.
"""

import math

from numba import njit, types

from .block_shift_layout import (
    BANDS,
    GATE,
    GATE_WEIGHT,
    MIXES,
    NEW_X,
    NEXT_SCRATCH,
    NEXT_TASK,
    NORM_BIAS,
    NORM_WEIGHT,
    OUT,
    PADDED,
    PENDING,
    SCRATCH,
    SCRATCH_BYTES,
    SEQUENCES,
    SHARES,
    STEPS,
    TAP_WEIGHT,
    TASK_STEPS,
    TASKS,
    WIDTH,
    X,
)
from .layout import BFLOAT16, FLOAT32
from .numba_rows import INLINE, clear, read, write
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import add, load, multiply, multiply_add, splat, store, store_scalar, zero
from .numba_words import take, word
from .vector_width import VALUES, N

NORM_EPS = 1e-5


@njit(**INLINE)
def normalise(p, scratch, n, step, own, kind):
    """The tokens of a step into their place in the ring; beyond the ends of the sequence, zeros."""
    width, steps = word(p, WIDTH), word(p, STEPS)
    ring = scratch + 4 * ((step + 3) % 3 * PADDED + 1) * width
    if step < 0 or step >= steps:
        clear(ring, BANDS * width)
        return
    size = 2 if kind == BFLOAT16 else 4
    pending, norm_weight, norm_bias = word(p, PENDING), word(p, NORM_WEIGHT), word(p, NORM_BIAS)
    for band in range(BANDS):
        first = ((n * steps + step) * BANDS + band) * width
        source, row = word(p, X) + 4 * first, ring + 4 * band * width
        total = zero()
        if pending:
            addend, target = pending + size * first, word(p, NEW_X) + 4 * first
            for c in range(0, width, VALUES):
                x = add(load(source, c), read(addend, c, kind))
                total = add(total, x)
                store(row, c, x)
                if own:
                    store(target, c, x)
        else:
            for c in range(0, width, VALUES):
                x = load(source, c)
                total = add(total, x)
                store(row, c, x)
        minus_mean = splat(-(sum_lanes(total) / width))
        squares = zero()
        for c in range(0, width, VALUES):
            x = add(load(row, c), minus_mean)
            squares = multiply_add(x, x, squares)
        scale = splat(types.float32(1.0 / math.sqrt(sum_lanes(squares) / width + NORM_EPS)))
        for c in range(0, width, VALUES):
            x = multiply(add(load(row, c), minus_mean), scale)
            store(row, c, multiply_add(x, load(norm_weight, c), load(norm_bias, c)))


@njit(**INLINE)
def mix(p, scratch, n, step, kind):
    """All outputs of one step, whose neighbours are in the ring too."""
    width, steps, mixes = word(p, WIDTH), word(p, STEPS), word(p, MIXES)
    tokens = word(p, SEQUENCES) * steps * BANDS
    size = 2 if kind == BFLOAT16 else 4
    before = scratch + 4 * ((step + 2) % 3 * PADDED) * width
    here = scratch + 4 * (step % 3 * PADDED) * width
    after = scratch + 4 * ((step + 1) % 3 * PADDED) * width
    sums = scratch + 4 * 3 * PADDED * width
    gate_weight, taps, shares, out = word(p, GATE_WEIGHT), word(p, TAP_WEIGHT), word(p, SHARES), word(p, OUT)
    token = (n * steps + step) * BANDS
    for head in range(width // N):
        if gate_weight:
            clear(sums, BANDS * VALUES)
        for c in range(head * N, head * N + N, VALUES):
            t0, t1, t2 = load(taps, c), load(taps, width + c), load(taps, 2 * width + c)
            t3, t4, t5 = load(taps, 3 * width + c), load(taps, 4 * width + c), load(taps, 5 * width + c)
            t6, t7, t8 = load(taps, 6 * width + c), load(taps, 7 * width + c), load(taps, 8 * width + c)
            for band in range(BANDS):
                i = band * width + c
                x = load(here, i + width)
                # of the centre's weight 1 was taken: what is summed up is the convolution minus x
                xx = multiply(t4, x)
                xx = multiply_add(t0, load(before, i), xx)
                other = multiply(t1, load(before, i + width))
                xx = multiply_add(t2, load(before, i + 2 * width), xx)
                other = multiply_add(t3, load(here, i), other)
                xx = multiply_add(t5, load(here, i + 2 * width), xx)
                other = multiply_add(t6, load(after, i), other)
                xx = multiply_add(t7, load(after, i + width), xx)
                other = multiply_add(t8, load(after, i + 2 * width), other)
                xx = add(xx, other)
                place = out + size * ((token + band) * width + c)
                for m in range(mixes):
                    y = multiply_add(xx, load(shares, m * width + c), x)
                    write(place + size * m * tokens * width, 0, y, kind)
                if gate_weight:
                    total = load(sums, band * VALUES)
                    store(sums, band * VALUES, multiply_add(xx, load(gate_weight, c), total))
        if gate_weight:
            for band in range(BANDS):
                logit = sum_lanes(load(sums, band * VALUES))
                store_scalar(word(p, GATE), (token + band) * (width // N) + head, logit)


@njit(**INLINE)
def run_tasks(p, kind):
    """Take stretches of steps until there are none left; as many threads as like may do so at once."""
    tasks = word(p, TASKS)
    thread = take(p, NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    width, steps, task_steps = word(p, WIDTH), word(p, STEPS), word(p, TASK_STEPS)
    scratch = word(p, SCRATCH) + thread * word(p, SCRATCH_BYTES)
    clear(scratch, 3 * PADDED * width)
    a_sequence = (steps + task_steps - 1) // task_steps
    task = next_task(p, NEXT_TASK, tasks, thread)
    while task < tasks:
        n = task // a_sequence
        first = task % a_sequence * task_steps
        end = min(first + task_steps, steps)
        normalise(p, scratch, n, first - 1, False, kind)
        normalise(p, scratch, n, first, True, kind)
        for step in range(first, end):
            normalise(p, scratch, n, step + 1, step + 1 < end, kind)
            mix(p, scratch, n, step, kind)
        task = next_task(p, NEXT_TASK, tasks, thread)


def shift_float32(parameters):
    """Products in float32."""
    run_tasks(parameters, FLOAT32)


def shift_bfloat16(parameters):
    """Products in bfloat16."""
    run_tasks(parameters, BFLOAT16)

"""Backward of `numba_grad_shift`: from the gradients of the mixes and of the sum to all that went in.

With dxx the gradient of the shift, one step after the other::

    dxx = sum of dmixed_c * share_c + dlogits * gate_weight
    dh  = sum of dmixed_c - dxx + transposed conv3x3(dxx);   then backward of the norm, plus the sum's own gradient

Norm and shift are computed again. Gradients of parameters are sums over a task's own steps; whoever calls adds up the
tasks, always in the same order, so that the same step gives the same bits.
"""

from numba import float32, njit

from . import grad_layout as at
from .grad_layout import BANDS, CHUNK_STEPS, RING
from .layout import BFLOAT16, FLOAT32
from .numba_grad_shift import STEP, convolve, size_of, slot
from .numba_grad_vector import INLINE_PASS, PASS
from .numba_rows import clear, read, write
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import load, load_scalar, splat, store, zero
from .numba_words import take, word
from .vector_width import VALUES, N


@njit(**INLINE_PASS)
def accumulate(address, i, x):
    """Add to what stands there."""
    store(address, i, load(address, i) + x)


@njit(**PASS)
def normalise_again(p, n, step, ring):
    """The norm of one step into the ring, by its statistics."""
    width, steps = word(p, at.WIDTH), word(p, at.STEPS)
    target = slot(ring, step, width)
    if step < 0 or step >= steps:
        clear(target, STEP * width)
        return
    weight, offset = word(p, at.SHIFT_NORM_WEIGHT), word(p, at.SHIFT_NORM_BIAS)
    for band in range(BANDS):
        row = (n * steps + step) * BANDS + band
        x, h = word(p, at.SHIFT_SUM) + 4 * row * width, target + 4 * (band + 1) * width
        centre = splat(load_scalar(word(p, at.SHIFT_STATS), 2 * row))
        scale = splat(load_scalar(word(p, at.SHIFT_STATS), 2 * row + 1))
        for i in range(0, width, VALUES):
            store(h, i, (load(x, i) - centre) * scale * load(weight, i) + load(offset, i))


@njit(**INLINE_PASS)
def collect_step(p, n, step, ring, slopes, direct, part, six, kind):
    """The gradient of the shift and the direct one of a step; sums of the shares and of the gate."""
    width, heads, steps = word(p, at.WIDTH), word(p, at.WIDTH) // N, word(p, at.STEPS)
    target, straight = slot(slopes, step, width), direct + 4 * BANDS * width * ((step + RING) % RING)
    if step < 0 or step >= steps:
        clear(target, STEP * width)
        return
    before, here, after = slot(ring, step - 1, width), slot(ring, step, width), slot(ring, step + 1, width)
    conv, shares, gate = word(p, at.SHIFT_CONV), word(p, at.SHIFT_SHARES), word(p, at.SHIFT_GATE_WEIGHT)
    first = (n * steps + step) * BANDS
    start = size_of(kind) * first * width
    mixed, dlogits = p + 8 * at.SHIFT_DMIXED, word(p, at.SHIFT_DLOGITS)
    gate_part = part + 4 * at.PART_GATE * width
    for i in range(0, width, VALUES):
        share_0, sum_0 = load(shares, i), load(part, i)
        if six:
            share_1, share_2 = load(shares, width + i), load(shares, 2 * width + i)
            share_3, share_4 = load(shares, 3 * width + i), load(shares, 4 * width + i)
            share_5 = load(shares, 5 * width + i)
            sum_1, sum_2 = load(part, width + i), load(part, 2 * width + i)
            sum_3, sum_4 = load(part, 3 * width + i), load(part, 4 * width + i)
            sum_5, sum_gate = load(part, 5 * width + i), load(gate_part, i)
        for band in range(BANDS):
            r = (band + 1) * width + i
            at_row = band * width + i
            xx = convolve(conv, before, here, after, r, width, i) - load(here, r)
            d = read(word(mixed, 0) + start, at_row, kind)
            total, slope = d, d * share_0
            sum_0 = d * xx + sum_0
            if six:
                d = read(word(mixed, 1) + start, at_row, kind)
                total, slope, sum_1 = total + d, d * share_1 + slope, d * xx + sum_1
                d = read(word(mixed, 2) + start, at_row, kind)
                total, slope, sum_2 = total + d, d * share_2 + slope, d * xx + sum_2
                d = read(word(mixed, 3) + start, at_row, kind) + read(word(mixed, 6) + start, at_row, kind)
                total, slope, sum_3 = total + d, d * share_3 + slope, d * xx + sum_3
                d = read(word(mixed, 4) + start, at_row, kind)
                total, slope, sum_4 = total + d, d * share_4 + slope, d * xx + sum_4
                d = read(word(mixed, 5) + start, at_row, kind)
                total, slope, sum_5 = total + d, d * share_5 + slope, d * xx + sum_5
                d = splat(load_scalar(dlogits, (first + band) * heads + i // N))
                slope, sum_gate = d * load(gate, i) + slope, d * xx + sum_gate
            store(target, r, slope)
            store(straight, at_row, total - slope)
        store(part, i, sum_0)
        if six:
            store(part, width + i, sum_1)
            store(part, 2 * width + i, sum_2)
            store(part, 3 * width + i, sum_3)
            store(part, 4 * width + i, sum_4)
            store(part, 5 * width + i, sum_5)
            store(gate_part, i, sum_gate)


@njit(**PASS)
def spread_step(p, step, ring, slopes, direct, dh, part):
    """What a step's norm gets from the shifts of its neighbourhood, and the sums of the convolution."""
    width = word(p, at.WIDTH)
    here = slot(ring, step, width)
    earlier, now, later = (
        slot(slopes, step - 1, width),
        slot(slopes, step, width),
        slot(slopes, step + 1, width),
    )
    straight = direct + 4 * BANDS * width * ((step + RING) % RING)
    conv, sums = word(p, at.SHIFT_CONV), part + 4 * at.PART_CONV * width
    for i in range(0, width, VALUES):
        sum_0, sum_1, sum_2 = load(sums, i), load(sums, width + i), load(sums, 2 * width + i)
        sum_3, sum_4, sum_5 = load(sums, 3 * width + i), load(sums, 4 * width + i), load(sums, 5 * width + i)
        sum_6, sum_7, sum_8 = load(sums, 6 * width + i), load(sums, 7 * width + i), load(sums, 8 * width + i)
        for band in range(BANDS):
            r = (band + 1) * width + i
            h, y = load(here, r), load(straight, band * width + i)
            # a weight that looked from u to u + d carries back from u + d to u
            d = load(later, r + width)
            y, sum_0 = d * load(conv, i) + y, d * h + sum_0
            d = load(later, r)
            y, sum_1 = d * load(conv, width + i) + y, d * h + sum_1
            d = load(later, r - width)
            y, sum_2 = d * load(conv, 2 * width + i) + y, d * h + sum_2
            d = load(now, r + width)
            y, sum_3 = d * load(conv, 3 * width + i) + y, d * h + sum_3
            d = load(now, r)
            y, sum_4 = d * load(conv, 4 * width + i) + y, d * h + sum_4
            d = load(now, r - width)
            y, sum_5 = d * load(conv, 5 * width + i) + y, d * h + sum_5
            d = load(earlier, r + width)
            y, sum_6 = d * load(conv, 6 * width + i) + y, d * h + sum_6
            d = load(earlier, r)
            y, sum_7 = d * load(conv, 7 * width + i) + y, d * h + sum_7
            d = load(earlier, r - width)
            y, sum_8 = d * load(conv, 8 * width + i) + y, d * h + sum_8
            store(dh, band * width + i, y)
        store(sums, i, sum_0)
        store(sums, width + i, sum_1)
        store(sums, 2 * width + i, sum_2)
        store(sums, 3 * width + i, sum_3)
        store(sums, 4 * width + i, sum_4)
        store(sums, 5 * width + i, sum_5)
        store(sums, 6 * width + i, sum_6)
        store(sums, 7 * width + i, sum_7)
        store(sums, 8 * width + i, sum_8)


@njit(**INLINE_PASS)
def denormalise_step(p, n, step, dh, part, kind):
    """Backward of the norm and of the sum."""
    width, adds = word(p, at.WIDTH), word(p, at.ADDS)
    weight = word(p, at.SHIFT_NORM_WEIGHT)
    skip = splat(load_scalar(word(p, at.SHIFT_SKIP), n))
    share = splat(float32(1.0) / float32(width))
    for band in range(BANDS):
        row = (n * word(p, at.STEPS) + step) * BANDS + band
        place = 4 * row * width
        x, dsum, dx = (
            word(p, at.SHIFT_SUM) + place,
            word(p, at.SHIFT_DSUM) + place,
            word(p, at.SHIFT_DX) + place,
        )
        dout = word(p, at.SHIFT_DOUT) + size_of(kind) * row * width
        slope = dh + 4 * band * width
        centre = splat(load_scalar(word(p, at.SHIFT_STATS), 2 * row))
        scale = splat(load_scalar(word(p, at.SHIFT_STATS), 2 * row + 1))
        total, product = zero(), zero()
        for i in range(0, width, VALUES):
            y, d = (load(x, i) - centre) * scale, load(slope, i)
            accumulate(part, at.PART_NORM_WEIGHT * width + i, d * y)
            accumulate(part, at.PART_NORM_BIAS * width + i, d)
            d = d * load(weight, i)
            total, product = total + d, d * y + product
        mean, mean_product = splat(sum_lanes(total)) * share, splat(sum_lanes(product)) * share
        for i in range(0, width, VALUES):
            y, d = (load(x, i) - centre) * scale, load(slope, i) * load(weight, i)
            d = (d - mean - y * mean_product) * scale + load(dsum, i)
            store(dx, i, d)
            if adds:
                d = d * skip
                write(dout, i, d, kind)
                accumulate(part, at.PART_BIAS * width + i, d)


@njit(**INLINE_PASS)
def shift_back_chunk(p, task, scratch, six, kind):
    """The steps of one task; those on either side give only their share of the shift's gradient."""
    steps, width = word(p, at.STEPS), word(p, at.WIDTH)
    chunks = (steps + CHUNK_STEPS - 1) // CHUNK_STEPS
    n, start = task // chunks, task % chunks * CHUNK_STEPS
    stop = min(start + CHUNK_STEPS, steps)
    ring = scratch
    slopes = ring + 4 * RING * STEP * width
    direct = slopes + 4 * RING * STEP * width
    dh = direct + 4 * RING * BANDS * width
    thrown_away = dh + 4 * BANDS * width
    part = word(p, at.PARTS) + 4 * task * at.SHIFT_PARTS * width
    clear(part, at.SHIFT_PARTS * width)
    clear(ring, 2 * RING * STEP * width)
    normalise_again(p, n, start - 1, ring)
    normalise_again(p, n, start, ring)
    for step in range(start - 1, stop + 1):
        if step >= start:
            normalise_again(p, n, step + 1, ring)
        own = start <= step < stop
        collect_step(p, n, step, ring, slopes, direct, part if own else thrown_away, six, kind)
        if step > start:
            spread_step(p, step - 1, ring, slopes, direct, dh, part)
            denormalise_step(p, n, step - 1, dh, part, kind)


@njit(**INLINE_PASS)
def shift_back_tasks(p, six, kind):
    """Take tasks until there are none left."""
    tasks = word(p, at.TASKS)
    thread = take(p, at.NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, at.SCRATCH) + thread * word(p, at.SCRATCH_BYTES)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        shift_back_chunk(p, task, scratch, six, kind)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def shift_six_back_float32(parameters):
    """Before the time mix, thin tensors in float32."""
    shift_back_tasks(parameters, True, FLOAT32)


def shift_six_back_bfloat16(parameters):
    """Before the time mix, thin tensors in bfloat16."""
    shift_back_tasks(parameters, True, BFLOAT16)


def shift_one_back_float32(parameters):
    """Before the channel mix, thin tensors in float32."""
    shift_back_tasks(parameters, False, FLOAT32)


def shift_one_back_bfloat16(parameters):
    """Before the channel mix, thin tensors in bfloat16."""
    shift_back_tasks(parameters, False, BFLOAT16)

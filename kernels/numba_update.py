"""All that follows the gradients of a training step in one pass over memory: clipping, AdamW, running mean.

With g the gradient times the factor that clips it, per number::

    first  <- first + first_share * (g - first);   second <- second_kept * second + second_share * g * g
    weight <- weight * kept - step * first / (sqrt(second) * root + epsilon)
    mean   <- mean + mean_share * (weight - mean);   from the weight, where the mean takes most of it
"""

from typing import Any

from llvmlite import ir
from numba import njit
from numba.core import cgutils
from numba.extending import intrinsic

from . import update_layout as at
from .numba_grad_vector import INLINE_PASS
from .numba_sums import sum_lanes
from .numba_tasks import next_task
from .numba_vector import load, load_scalar, splat, store, store_scalar, vector, zero
from .numba_words import take, word
from .vector_width import VALUES


@intrinsic
def root(typing: Any, x: Any) -> Any:
    """The square root lane by lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        kind = ir.FunctionType(vector.llvm, [vector.llvm])
        name = f"llvm.sqrt.v{VALUES}f32"
        return builder.call(cgutils.get_or_insert_function(builder.module, kind, name), arguments)

    return vector(vector), emit


@njit(**INLINE_PASS)
def number(p, which):
    """The float32 in a word, in every lane."""
    return splat(load_scalar(p + 8 * which, 0))


@njit(**INLINE_PASS)
def update_vector(p, row, weights, gradients, first, second, means, i):
    """Some numbers from the i-th on."""
    weight = load(weights, i)
    if gradients:
        g = load(gradients, i) * number(p, at.SCALE)
        m = load(first, i)
        m = number(p, at.FIRST_SHARE) * (g - m) + m
        v = g * g * number(p, at.SECOND_SHARE) + load(second, i) * number(p, at.SECOND_KEPT)
        store(first, i, m)
        store(second, i, v)
        below = root(v) * number(row, at.ROOT) + number(p, at.EPSILON)
        weight = weight * number(row, at.KEPT) - number(row, at.STEP) * m / below
        store(weights, i, weight)
    if means:
        mean = load(means, i)
        base = weight if word(p, at.MEAN_IS_CLOSE) else mean
        store(means, i, number(p, at.MEAN_SHARE) * (weight - mean) + base)


@njit(**INLINE_PASS)
def move(source, target, numbers):
    """Copy numbers one by one."""
    if source and target:
        for i in range(numbers):
            store_scalar(target, i, load_scalar(source, i))


@njit(**INLINE_PASS)
def update_piece(p, row, scratch):
    """One row of the table."""
    weights, gradients, means = word(row, at.WEIGHT), word(row, at.GRADIENT), word(row, at.MEAN)
    first, second, count = word(row, at.FIRST), word(row, at.SECOND), word(row, at.COUNT)
    full = count // VALUES * VALUES
    for i in range(0, full, VALUES):
        update_vector(p, row, weights, gradients, first, second, means, i)
    rest = count - full
    if rest:
        for tensor in range(at.TENSORS):
            address = word(row, tensor)
            if address:
                move(address + 4 * full, scratch + 4 * tensor * VALUES, rest)
        update_vector(
            p,
            row,
            scratch + 4 * at.WEIGHT * VALUES,
            scratch + 4 * at.GRADIENT * VALUES if gradients else 0,
            scratch + 4 * at.FIRST * VALUES,
            scratch + 4 * at.SECOND * VALUES,
            scratch + 4 * at.MEAN * VALUES if means else 0,
            0,
        )
        for tensor in range(at.TENSORS):
            address = word(row, tensor)
            if address and tensor != at.GRADIENT:
                move(scratch + 4 * tensor * VALUES, address + 4 * full, rest)


def update(parameters):
    """Take pieces until there are none left."""
    p = parameters
    tasks = word(p, at.TASKS)
    thread = take(p, at.NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, at.SCRATCH) + thread * 4 * at.SCRATCH_FLOATS
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        update_piece(p, word(p, at.TABLE) + 8 * at.ROW_WORDS * task, scratch)
        task = next_task(p, at.NEXT_TASK, tasks, thread)


def squares(parameters):
    """Take pieces until there are none left: the sum of squares of each gradient's piece."""
    p = parameters
    tasks, thread = word(p, at.TASKS), take(p, at.NEXT_SCRATCH)
    task = next_task(p, at.NEXT_TASK, tasks, thread)
    while task < tasks:
        row = word(p, at.TABLE) + 8 * at.ROW_WORDS * task
        gradients, count = word(row, at.GRADIENT), word(row, at.COUNT)
        full = count // VALUES * VALUES
        sums = zero()
        for i in range(0, full, VALUES):
            g = load(gradients, i)
            sums = g * g + sums
        total = sum_lanes(sums)
        for i in range(full, count):
            total += load_scalar(gradients, i) * load_scalar(gradients, i)
        store_scalar(word(p, at.SUMS), task, total)
        task = next_task(p, at.NEXT_TASK, tasks, thread)

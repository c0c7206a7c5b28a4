# mypy: ignore-errors
"""Which tasks a thread takes: those of its own half first, so that what it leaves in its cache is what it reads later.

Torch shares out what it computes in the same way, the first half to the first thread. Where cores share no cache, what
another one has written takes long to come.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .numba_rows import INLINE
from .numba_vector import i64, pointer

HALF_BITS = 32


@intrinsic
def take_of(typing, address, index, half):
    """How many tasks of a half were taken before; one more is now. Both counts lie in one word."""

    def emit(context, builder, signature, arguments):
        address, index, half = arguments
        shift = builder.mul(half, ir.Constant(i64, HALF_BITS))
        one = builder.shl(ir.Constant(i64, 1), shift)
        before = builder.atomic_rmw("add", pointer(builder, address, index, i64, i64), one, "monotonic")
        return builder.and_(builder.lshr(before, shift), ir.Constant(i64, (1 << HALF_BITS) - 1))

    return types.int64(types.int64, types.int64, types.int64), emit


@njit(**INLINE)
def next_task(p, counter, tasks, thread):
    """A task that no other thread gets, of the thread's own half as long as there are any; `tasks` after the last."""
    middle = (tasks + 1) // 2
    half = thread % 2
    for _ in range(2):
        first = middle * half
        taken = take_of(p, counter, half)
        if taken < (tasks - middle if half else middle):
            return first + taken
        half = 1 - half
    return tasks

"""What a kernel needs besides arithmetic: its parameter block, the shared task counter, prefetching."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic

from .numba_vector import i32, i64, pointer


@intrinsic
def word(typing: Any, address: Any, index: Any) -> Any:
    """The int64 at ``address + 8 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(pointer(builder, *arguments, i64, i64), align=8)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def take(typing: Any, address: Any, index: Any) -> Any:
    """The int64 at ``address + 8 * index``, which is then one more: a number that no other thread gets."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        counter = pointer(builder, *arguments, i64, i64)
        return builder.atomic_rmw("add", counter, ir.Constant(i64, 1), "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def prefetch(typing: Any, address: Any) -> Any:
    """Ask for the cache line of an address, which need not be valid, into the second-level cache.

    What is asked for is used a chunk later; the first level is filled by the state and the rows of the chunk itself.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        line = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [line.type, i32, i32, i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [line, *(ir.Constant(i32, flag) for flag in (0, 2, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(types.int64), emit

# mypy: ignore-errors
"""Bits of an mp3, most significant first, and the small integers of its tables, by their addresses."""

from llvmlite import ir
from numba import njit, types
from numba.core import cgutils
from numba.extending import intrinsic

from .numba_rows import INLINE
from .numba_vector import f32, i32, i64, pointer

i8 = ir.IntType(8)


@intrinsic
def byte(typing, address, index):
    """The byte at ``address + index``."""

    def emit(context, builder, signature, arguments):
        return builder.zext(builder.load(pointer(builder, *arguments, i8, i8)), i64)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def set_byte(typing, address, index, x):
    """The lowest eight bits of x to ``address + index``."""

    def emit(context, builder, signature, arguments):
        address, index, x = arguments
        builder.store(builder.trunc(x, i8), pointer(builder, address, index, i8, i8))
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def set_word(typing, address, index, x):
    """An int64 to ``address + 8 * index``."""

    def emit(context, builder, signature, arguments):
        address, index, x = arguments
        builder.store(x, pointer(builder, address, index, i64, i64), align=8)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def entry(typing, address, index):
    """The int32 at ``address + 4 * index``."""

    def emit(context, builder, signature, arguments):
        return builder.sext(builder.load(pointer(builder, *arguments, i32, i32), align=4), i64)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def signed(typing, magnitude, cache):
    """A float32 with the sign that is the topmost bit of the cache."""

    def emit(context, builder, signature, arguments):
        magnitude, cache = arguments
        top = builder.and_(
            builder.trunc(builder.lshr(cache, ir.Constant(i64, 32)), i32), ir.Constant(i32, 1 << 31)
        )
        return builder.bitcast(builder.xor(builder.bitcast(magnitude, i32), top), f32)

    return types.float32(types.float32, types.int64), emit


@intrinsic
def top(typing, cache, count):
    """The `count` topmost bits (1 to 64) of a cache."""

    def emit(context, builder, signature, arguments):
        cache, count = arguments
        return builder.lshr(cache, builder.sub(ir.Constant(i64, 64), count))

    return types.int64(types.int64, types.int64), emit


@intrinsic
def cache_at(typing, address, bit):
    """The bits from bit number `bit` behind an address on, topmost first: 57 of them at least, then zeros."""

    def emit(context, builder, signature, arguments):
        address, bit = arguments
        whole = builder.lshr(bit, ir.Constant(i64, 3))
        raw = builder.load(pointer(builder, address, whole, i8, i64), align=1)
        kind = ir.FunctionType(i64, [i64])
        swapped = builder.call(cgutils.get_or_insert_function(builder.module, kind, "llvm.bswap.i64"), [raw])
        return builder.shl(swapped, builder.and_(bit, ir.Constant(i64, 7)))

    return types.int64(types.int64, types.int64), emit


@njit(**INLINE)
def bits(address, bit, count):
    """An unsigned number of `count` bits, 0 to 32, that begins at bit number `bit` behind an address."""
    return top(cache_at(address, bit), count) if count > 0 else 0


@intrinsic
def copy_bytes(typing, target, source, count):
    """So many bytes from one place to another that doesn't overlap it."""

    def emit(context, builder, signature, arguments):
        target, source, count = arguments
        address = i8.as_pointer()
        cgutils.raw_memcpy(
            builder, builder.inttoptr(target, address), builder.inttoptr(source, address), count, 1
        )
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit

"""Vectors from and to bfloat16 in memory, with integer operations only: no CPU needs to know the format."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numba_vector import constant, i16, i32, pointer, vector
from .vector_width import VALUES

_short, _long = ir.VectorType(i16, VALUES), ir.VectorType(i32, VALUES)


@intrinsic
def load_bfloat16(typing: Any, address: Any, index: Any) -> Any:
    """The vector at ``address + 2 * index``, widened."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        bits = builder.zext(builder.load(pointer(builder, *arguments, i16, _short), align=2), _long)
        return builder.bitcast(builder.shl(bits, constant(16, _long)), vector.llvm)

    return vector(types.int64, types.int64), emit


@intrinsic
def store_bfloat16(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """A vector, rounded to the nearest (to even where two are), to ``address + 2 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        bits = builder.bitcast(x, _long)
        odd = builder.and_(builder.lshr(bits, constant(16, _long)), constant(1, _long))
        rounded = builder.add(builder.add(bits, constant(0x7FFF, _long)), odd)
        # rounding could carry a NaN into infinity
        rounded = builder.select(builder.fcmp_unordered("uno", x, x), constant(0x7FC00000, _long), rounded)
        y = builder.trunc(builder.lshr(rounded, constant(16, _long)), _short)
        builder.store(y, pointer(builder, address, index, i16, _short), align=2)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, vector), emit

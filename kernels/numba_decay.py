"""The decay of a row, exp(-exp(w)), and its derivative."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numba_vector import constant, f32, fused, i32, pointer
from .vector_width import VALUES

LARGEST = 87.0  # e**87 and e**-87 are normal float32

# As many lanes at once as hide the length of the chain of dependent operations.
_wide = ir.VectorType(f32, 2 * VALUES)
_whole = ir.VectorType(i32, 2 * VALUES)


def _exp(builder: Any, x: Any) -> Any:
    """e**x within 2 units in the last place, for |x| <= LARGEST."""
    # adding 1.5 * 2**23 rounds to a whole number, which then stands in the lowest bits
    magic = constant(12582912.0, _wide)
    shifted = fused(builder, x, constant(1.4426950408889634, _wide), magic)
    power = builder.fsub(shifted, magic)
    f = fused(builder, power, constant(-0.693359375, _wide), x)  # ln 2 in two parts
    f = fused(builder, power, constant(2.12194440e-4, _wide), f)
    # Taylor series to f**7, |f| < 0.35, in pairs so that the chain of operations is short
    square = builder.fmul(f, f)
    terms = [1.0, 1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040]
    pairs = [
        fused(builder, f, constant(terms[i + 1], _wide), constant(terms[i], _wide)) for i in range(0, 8, 2)
    ]
    low = fused(builder, square, pairs[1], pairs[0])
    high = fused(builder, square, pairs[3], pairs[2])
    p = fused(builder, builder.fmul(square, square), high, low)
    exponent = builder.shl(builder.bitcast(shifted, _whole), constant(23, _whole))
    return builder.bitcast(builder.add(builder.bitcast(p, _whole), exponent), _wide)


def _bounded(builder: Any, x: Any, sign: str, bound: float) -> Any:
    """Min or max with the bound; in this form a NaN is kept."""
    return builder.select(builder.fcmp_ordered(sign, x, constant(bound, _wide)), constant(bound, _wide), x)


@intrinsic
def decay(typing: Any, address: Any, w: Any, d: Any, slope: Any) -> Any:
    """At index w the log-log decays of two vectors; leaves exp(-exp(w)) at d and its derivative by w at slope.

    Indices count float32 from the address. Beyond a rate exp(w) of `LARGEST` both are 0; NaN gives NaN.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, w, d, slope = arguments
        x = builder.load(pointer(builder, address, w, f32, _wide), align=4)
        x_bounded = _bounded(builder, _bounded(builder, x, ">", LARGEST), "<", -LARGEST)
        rate = _exp(builder, x_bounded)
        minus = builder.fsub(constant(-0.0, _wide), rate)
        y = _exp(builder, _bounded(builder, minus, "<", -LARGEST))
        y = builder.select(builder.fcmp_ordered(">", rate, constant(LARGEST, _wide)), constant(0.0, _wide), y)
        y = builder.select(builder.fcmp_unordered("uno", x, x), x, y)
        builder.store(y, pointer(builder, address, d, f32, _wide), align=4)
        builder.store(builder.fmul(y, minus), pointer(builder, address, slope, f32, _wide), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit

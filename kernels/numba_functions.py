"""Exponential and logistic function of vectors in numba code."""

from typing import Any

from llvmlite import ir
from numba.extending import intrinsic

from .numba_vector import constant, fused, i32, vector

LARGEST = 87.0  # e**87 and e**-87 are normal float32


def emit_exp(builder: Any, x: Any) -> Any:
    """e**x within 2 units in the last place, for |x| <= LARGEST; of LLVM vectors of any length."""
    kind = x.type
    whole = ir.VectorType(i32, kind.count)
    # adding 1.5 * 2**23 rounds to a whole number, which then stands in the lowest bits
    magic = constant(12582912.0, kind)
    shifted = fused(builder, x, constant(1.4426950408889634, kind), magic)
    power = builder.fsub(shifted, magic)
    f = fused(builder, power, constant(-0.693359375, kind), x)  # ln 2 in two parts
    f = fused(builder, power, constant(2.12194440e-4, kind), f)
    # Taylor series to f**7, |f| < 0.35, in pairs so that the chain of operations is short
    square = builder.fmul(f, f)
    terms = [1.0, 1.0, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040]
    pairs = [
        fused(builder, f, constant(terms[i + 1], kind), constant(terms[i], kind)) for i in range(0, 8, 2)
    ]
    low = fused(builder, square, pairs[1], pairs[0])
    high = fused(builder, square, pairs[3], pairs[2])
    p = fused(builder, builder.fmul(square, square), high, low)
    exponent = builder.shl(builder.bitcast(shifted, whole), constant(23, whole))
    return builder.bitcast(builder.add(builder.bitcast(p, whole), exponent), kind)


def emit_bounded(builder: Any, x: Any, sign: str, bound: float) -> Any:
    """Min or max with the bound; in this form a NaN is kept."""
    limit = constant(bound, x.type)
    return builder.select(builder.fcmp_ordered(sign, x, limit), limit, x)


@intrinsic
def sigmoid(typing: Any, x: Any) -> Any:
    """1 / (1 + e**-x) lane by lane; a NaN stays one."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        minus = builder.fsub(constant(-0.0, vector.llvm), arguments[0])
        minus = emit_bounded(builder, emit_bounded(builder, minus, ">", LARGEST), "<", -LARGEST)
        one = constant(1.0, vector.llvm)
        return builder.fdiv(one, builder.fadd(one, emit_exp(builder, minus)))

    return vector(vector), emit


@intrinsic
def exp_of_product(typing: Any, x: Any, factor: Any) -> Any:
    """e**(x * factor) lane by lane, for products whose absolute value is at most `LARGEST`."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return emit_exp(builder, builder.fmul(*arguments))

    return vector(vector, vector), emit

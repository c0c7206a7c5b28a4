"""Arithmetic of vectors in the passes of training: operators, exp, the logistic function."""

import operator
from typing import Any

from llvmlite import ir
from numba import njit, types
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from .numba_rows import PART
from .numba_vector import VectorType, constant, fused, i32, splat, vector
from .vector_width import VALUES

# without a test for 0 before each division of two numbers, which could raise
PASS = PART | {"error_model": "numpy"}
INLINE_PASS = PASS | {"forceinline": True}

LARGEST = 87.0  # e**87 and e**-87 are normal float32
_whole = ir.VectorType(i32, VALUES)


def _operator(function: Any, instruction: str) -> None:
    """Give vectors a Python operator."""

    class Template(AbstractTemplate):  # type: ignore[misc]  # numba is untyped
        def generic(self, args: Any, kws: Any) -> Any:
            if not kws and len(args) == 2 and args[0] == args[1] and isinstance(args[0], VectorType):
                return signature(args[0], *args)
            return None

    infer_global(function)(Template)

    @lower_builtin(function, VectorType, VectorType)  # type: ignore[untyped-decorator]
    def _(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
        # a product whose only use is a sum becomes one instruction with it
        return getattr(builder, instruction)(*arguments, flags=("contract",))


for _function, _instruction in (
    (operator.add, "fadd"),
    (operator.sub, "fsub"),
    (operator.mul, "fmul"),
    (operator.truediv, "fdiv"),
):
    _operator(_function, _instruction)


@intrinsic
def positive(typing: Any, x: Any) -> Any:
    """``max(x, 0)``; a NaN is kept."""

    def emit(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
        nothing = constant(0.0, vector.llvm)
        return builder.select(builder.fcmp_ordered("<", arguments[0], nothing), nothing, arguments[0])

    return vector(vector), emit


@intrinsic
def exp(typing: Any, x: Any) -> Any:
    """e**x within 2 units in the last place; beyond ± `LARGEST` that of the bound, NaN for NaN."""

    def emit(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
        x = arguments[0]
        for sign, bound in ((">", LARGEST), ("<", -LARGEST)):
            limit = constant(bound, vector.llvm)
            x = builder.select(builder.fcmp_ordered(sign, x, limit), limit, x)
        # adding 1.5 * 2**23 rounds to a whole number, which then stands in the lowest bits
        magic = constant(12582912.0, vector.llvm)
        shifted = fused(builder, x, constant(1.4426950408889634, vector.llvm), magic)
        power = builder.fsub(shifted, magic)
        f = fused(builder, power, constant(-0.693359375, vector.llvm), x)  # ln 2 in two parts
        f = fused(builder, power, constant(2.12194440e-4, vector.llvm), f)
        p = constant(1 / 5040, vector.llvm)
        for term in (1 / 720, 1 / 120, 1 / 24, 1 / 6, 1 / 2, 1.0, 1.0):
            p = fused(builder, p, f, constant(term, vector.llvm))
        exponent = builder.shl(builder.bitcast(shifted, _whole), constant(23, _whole))
        return builder.bitcast(builder.add(builder.bitcast(p, _whole), exponent), vector.llvm)

    return vector(vector), emit


@intrinsic
def log(typing: Any, x: Any) -> Any:
    """The natural logarithm of numbers from 1 to e**87, within 2e-7 of the result or of 1; NaN for NaN."""

    def emit(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
        x = arguments[0]
        bits = builder.bitcast(x, _whole)
        # to x = 2**power * m with m in [2/3, 4/3)
        offset = builder.sub(bits, constant(0x3F2AAAAB, _whole))
        power = builder.ashr(offset, constant(23, _whole))
        m = builder.bitcast(builder.sub(bits, builder.shl(power, constant(23, _whole))), vector.llvm)
        # ln m = 2 artanh s, s = (m - 1) / (m + 1), |s| <= 1/5
        one = constant(1.0, vector.llvm)
        s = builder.fdiv(builder.fsub(m, one), builder.fadd(m, one))
        square = builder.fmul(s, s)
        p = constant(2 / 11, vector.llvm)
        for term in (2 / 9, 2 / 7, 2 / 5, 2 / 3, 2.0):
            p = fused(builder, p, square, constant(term, vector.llvm))
        e = builder.sitofp(power, vector.llvm)
        y = fused(builder, e, constant(0.6931471805599453, vector.llvm), builder.fmul(p, s))
        return builder.select(builder.fcmp_unordered("uno", x, x), x, y)

    return vector(vector), emit


@njit(**INLINE_PASS)
def sigmoid(x):
    """``1 / (1 + exp(-x))``."""
    one = splat(types.float32(1.0))
    return one / (one + exp(splat(types.float32(0.0)) - x))

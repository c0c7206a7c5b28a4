"""Arithmetic of vectors in the passes of training: operators, maximum, exponential and logarithm."""

import operator
from typing import Any

from llvmlite import ir
from numba.core.typing.templates import AbstractTemplate, infer_global, signature
from numba.extending import intrinsic, lower_builtin

from .numba_functions import LARGEST, emit_bounded, emit_exp
from .numba_rows import PART
from .numba_vector import VectorType, constant, fused, i32, vector
from .vector_width import VALUES

# without a test for 0 before each division of two numbers, which could raise
PASS = PART | {"error_model": "numpy"}
INLINE_PASS = PASS | {"forceinline": True}

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
    """e**x; beyond ± `LARGEST` that of the bound, NaN for NaN."""

    def emit(context: Any, builder: Any, kind: Any, arguments: Any) -> Any:
        bounded = emit_bounded(builder, emit_bounded(builder, arguments[0], ">", LARGEST), "<", -LARGEST)
        return emit_exp(builder, bounded)

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

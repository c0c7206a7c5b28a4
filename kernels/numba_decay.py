"""The decay of a row, exp(-exp(w)), and its derivative."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numba_functions import LARGEST, emit_bounded, emit_exp
from .numba_vector import constant, f32, pointer
from .vector_width import VALUES

# As many lanes at once as hide the length of the chain of dependent operations.
_wide = ir.VectorType(f32, 2 * VALUES)


@intrinsic
def decay(typing: Any, address: Any, w: Any, d: Any, slope: Any) -> Any:
    """At index w the log-log decays of two vectors; leaves exp(-exp(w)) at d and its derivative by w at slope.

    Indices count float32 from the address. Beyond a rate exp(w) of `LARGEST` both are 0; NaN gives NaN.
    """

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, w, d, slope = arguments
        x = builder.load(pointer(builder, address, w, f32, _wide), align=4)
        x_bounded = emit_bounded(builder, emit_bounded(builder, x, ">", LARGEST), "<", -LARGEST)
        rate = emit_exp(builder, x_bounded)
        minus = builder.fsub(constant(-0.0, _wide), rate)
        y = emit_exp(builder, emit_bounded(builder, minus, "<", -LARGEST))
        y = builder.select(builder.fcmp_ordered(">", rate, constant(LARGEST, _wide)), constant(0.0, _wide), y)
        y = builder.select(builder.fcmp_unordered("uno", x, x), x, y)
        builder.store(y, pointer(builder, address, d, f32, _wide), align=4)
        builder.store(builder.fmul(y, minus), pointer(builder, address, slope, f32, _wide), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit

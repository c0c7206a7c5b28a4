"""SIMD vectors as values in numba code.

Numba's loop vectoriser keeps the accumulators of the recurrence in memory and costs two to ten times as much. Here a
vector of float32 is a numba type whose operations are emitted as LLVM vector instructions. LLVM splits a vector that
is wider than the machine's registers, so one text serves every CPU. Addresses are plain integers; nothing is
bounds-checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.extending import intrinsic, models, register_model

from .vector_width import HALF, VALUES

f32, i16, i32, i64 = ir.FloatType(), ir.IntType(16), ir.IntType(32), ir.IntType(64)


class VectorType(types.Type):
    """``lanes`` float32 that are worked on at once."""

    def __init__(self, lanes: int) -> None:
        super().__init__(name=f"float32x{lanes}")
        self.llvm = ir.VectorType(f32, lanes)


@register_model(VectorType)
class _VectorModel(models.PrimitiveModel):
    def __init__(self, manager: Any, kind: VectorType) -> None:
        super().__init__(manager, kind, kind.llvm)


vector, half = VectorType(VALUES), VectorType(HALF)


def pointer(builder: Any, address: Any, index: Any, element: Any, target: Any) -> Any:
    """``address + index * sizeof(element)`` as a pointer to `target`."""
    base = builder.inttoptr(address, element.as_pointer())
    return builder.bitcast(builder.gep(base, [index]), target.as_pointer())


def constant(value: float, kind: Any) -> Any:
    """The same value in every lane."""
    return ir.Constant(kind, [value] * kind.count)


def fused(builder: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z``."""
    # fmuladd and not fma: without the instruction, fma would be a function call a lane
    kind = ir.FunctionType(x.type, [x.type] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{x.type.count}f32")
    return builder.call(function, [x, y, z])


def _spread(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(vector.llvm, ir.Undefined), scalar, ir.Constant(i32, 0))
    return builder.shuffle_vector(first, first, constant(0, ir.VectorType(i32, VALUES)))


def _loads(kind: VectorType) -> Any:
    def define(typing: Any, address: Any, index: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            return builder.load(pointer(builder, *arguments, f32, kind.llvm), align=4)

        return kind(types.int64, types.int64), emit

    return intrinsic(define)


def _stores(kind: VectorType) -> Any:
    def define(typing: Any, address: Any, index: Any, x: Any) -> Any:
        def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
            address, index, x = arguments
            builder.store(x, pointer(builder, address, index, f32, kind.llvm), align=4)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, kind), emit

    return intrinsic(define)


def _zeros(kind: VectorType) -> Any:
    def define(typing: Any) -> Any:
        return kind(), lambda context, builder, signature, arguments: constant(0.0, kind.llvm)

    return intrinsic(define)


def _multiply_adds(kind: VectorType) -> Any:
    def define(typing: Any, x: Any, y: Any, z: Any) -> Any:
        return kind(kind, kind, kind), lambda context, builder, signature, arguments: fused(
            builder, *arguments
        )

    return intrinsic(define)


load, load_half = _loads(vector), _loads(half)  # (address, index): the vector at address + 4 * index
store, store_half = _stores(vector), _stores(half)  # (address, index, x): the vector to address + 4 * index
zero, zero_half = _zeros(vector), _zeros(half)
multiply_add, multiply_add_half = _multiply_adds(vector), _multiply_adds(half)  # (x, y, z): x * y + z


@intrinsic
def load_scalar(typing: Any, address: Any, index: Any) -> Any:
    """One float32 from ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(pointer(builder, *arguments, f32, f32), align=4)

    return types.float32(types.int64, types.int64), emit


@intrinsic
def store_scalar(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """One float32 to ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        builder.store(x, pointer(builder, address, index, f32, f32), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32), emit


@intrinsic
def broadcast(typing: Any, address: Any, index: Any) -> Any:
    """One float32 from ``address + 4 * index`` in every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, builder.load(pointer(builder, *arguments, f32, f32), align=4))

    return vector(types.int64, types.int64), emit


@intrinsic
def splat(typing: Any, x: Any) -> Any:
    """A float32 in every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _spread(builder, arguments[0])

    return vector(types.float32), emit


@intrinsic
def add(typing: Any, x: Any, y: Any) -> Any:
    """``x + y`` lane by lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fadd(*arguments)

    return vector(vector, vector), emit


@intrinsic
def multiply(typing: Any, x: Any, y: Any) -> Any:
    """``x * y`` lane by lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fmul(*arguments)

    return vector(vector, vector), emit


@intrinsic
def reciprocal(typing: Any, x: Any) -> Any:
    """``1 / x`` lane by lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.fdiv(constant(1.0, vector.llvm), arguments[0])

    return vector(vector), emit


@intrinsic
def larger(typing: Any, x: Any, y: Any) -> Any:
    """``max(x, abs(y))`` lane by lane; x where y is NaN."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, y = arguments
        kind = ir.FunctionType(y.type, [y.type])
        magnitude = builder.call(
            cgutils.get_or_insert_function(builder.module, kind, f"llvm.fabs.v{VALUES}f32"), [y]
        )
        return builder.select(builder.fcmp_ordered(">", magnitude, x), magnitude, x)

    return vector(vector, vector), emit


@intrinsic
def all_at_least(typing: Any, x: Any, bound: Any) -> Any:
    """Whether every lane is the bound or more; NaN is not."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x, bound = arguments
        lanes = builder.fcmp_ordered(">=", x, _spread(builder, bound))
        bits = builder.bitcast(lanes, ir.IntType(VALUES))
        return builder.icmp_unsigned("==", bits, ir.Constant(ir.IntType(VALUES), -1))

    return types.boolean(vector, types.float32), emit

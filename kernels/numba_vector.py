"""SIMD vectors as values in numba code.

Numba's loop vectoriser keeps the accumulators of the recurrence in memory and costs two to ten times as much. Here a
vector of `VALUES` float32 is a numba type whose operations are emitted as LLVM vector instructions. LLVM splits a vector that is wider
than the machine's registers, so one text serves every CPU. Addresses are plain integers; nothing is bounds-checked.
"""

from typing import Any

from llvmlite import ir
from numba import types
from numba.core import cgutils
from numba.core.registry import cpu_target
from numba.extending import intrinsic, models, register_model

N = 64  # channels a head


def _host_features() -> set[str]:
    """Features of the CPU that numba compiles for, such as ``avx2`` (numba's own settings may lower them)."""
    _, _, features = cpu_target.target_context.codegen().magic_tuple()
    return {name[1:] for name in str(features).split(",") if name.startswith("+")}


def _values() -> int:
    """Widest block whose four accumulators and state fit into the vector registers: two registers a vector on x86."""
    features = _host_features()
    if "avx512f" in features:
        return 32
    if "avx2" in features or "neon" in features:
        return 16
    return 8


VALUES = _values()
BLOCKS = N // VALUES

_f32 = ir.FloatType()
_i16, _i32, _i64 = ir.IntType(16), ir.IntType(32), ir.IntType(64)
_vector = ir.VectorType(_f32, VALUES)
_quad = ir.VectorType(_f32, 4)


class _VectorType(types.Type):
    def __init__(self, lanes: int) -> None:
        super().__init__(name=f"float32x{lanes}")
        self.lanes = lanes


vector = _VectorType(VALUES)
quad = _VectorType(4)


@register_model(_VectorType)
class _VectorModel(models.PrimitiveModel):  # type: ignore[misc]  # numba has no types
    def __init__(self, manager: Any, kind: Any) -> None:
        super().__init__(manager, kind, ir.VectorType(_f32, kind.lanes))


def _pointer(builder: Any, address: Any, index: Any, element: Any, target: Any) -> Any:
    base = builder.inttoptr(address, element.as_pointer())
    return builder.bitcast(builder.gep(base, [index]), target.as_pointer())


def _all(value: float, kind: Any = _vector) -> Any:
    return ir.Constant(kind, [value] * kind.count)


def _splat(builder: Any, scalar: Any) -> Any:
    first = builder.insert_element(ir.Constant(_vector, ir.Undefined), scalar, ir.Constant(_i32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(_i32, VALUES), [0] * VALUES))


def _multiply_add(builder: Any, x: Any, y: Any, z: Any) -> Any:
    # fmuladd and not fma: without the instruction, fma would be a function call a lane
    kind = ir.FunctionType(_vector, [_vector] * 3)
    function = cgutils.get_or_insert_function(builder.module, kind, f"llvm.fmuladd.v{VALUES}f32")
    return builder.call(function, [x, y, z])


@intrinsic
def load(typing: Any, address: Any, index: Any) -> Any:
    """``VALUES`` float32 from ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, *arguments, _f32, _vector), align=4)

    return vector(types.int64, types.int64), emit


@intrinsic
def store(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """``VALUES`` float32 to ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        builder.store(x, _pointer(builder, address, index, _f32, _vector), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, vector), emit


@intrinsic
def load_bf16(typing: Any, address: Any, index: Any) -> Any:
    """``VALUES`` bfloat16 from ``address + 2 * index``, widened."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        half, full = ir.VectorType(_i16, VALUES), ir.VectorType(_i32, VALUES)
        bits = builder.zext(builder.load(_pointer(builder, *arguments, _i16, half), align=2), full)
        return builder.bitcast(builder.shl(bits, _all(16, full)), _vector)

    return vector(types.int64, types.int64), emit


@intrinsic
def store_bf16(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """``VALUES`` float32, rounded to the nearest even bfloat16, to ``address + 2 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        half, full = ir.VectorType(_i16, VALUES), ir.VectorType(_i32, VALUES)
        bits = builder.bitcast(x, full)
        odd = builder.and_(builder.lshr(bits, _all(16, full)), _all(1, full))
        rounded = builder.add(builder.add(bits, _all(0x7FFF, full)), odd)
        # rounding could carry a NaN into infinity
        rounded = builder.select(builder.fcmp_unordered("uno", x, x), _all(0x7FC00000, full), rounded)
        y = builder.trunc(builder.lshr(rounded, _all(16, full)), half)
        builder.store(y, _pointer(builder, address, index, _i16, half), align=2)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, vector), emit


@intrinsic
def load_scalar(typing: Any, address: Any, index: Any) -> Any:
    """One float32 from ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, *arguments, _f32, _f32), align=4)

    return types.float32(types.int64, types.int64), emit


@intrinsic
def store_scalar(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """One float32 to ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        builder.store(x, _pointer(builder, address, index, _f32, _f32), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.float32), emit


@intrinsic
def broadcast(typing: Any, address: Any, index: Any) -> Any:
    """One float32 from ``address + 4 * index`` in every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _splat(builder, builder.load(_pointer(builder, *arguments, _f32, _f32), align=4))

    return vector(types.int64, types.int64), emit


@intrinsic
def splat(typing: Any, x: Any) -> Any:
    """A float32 in every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _splat(builder, arguments[0])

    return vector(types.float32), emit


@intrinsic
def zero(typing: Any) -> Any:
    """0 in every lane."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _all(0.0)

    return vector(), emit


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
def multiply_add(typing: Any, x: Any, y: Any, z: Any) -> Any:
    """``x * y + z`` lane by lane, fused where the CPU can."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return _multiply_add(builder, *arguments)

    return vector(vector, vector, vector), emit


@intrinsic
def exp(typing: Any, x: Any) -> Any:
    """e**x within 2 units in the last place; 0 below -87, e**87 above 87, NaN for NaN."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        x = arguments[0]
        whole = ir.VectorType(_i32, VALUES)
        # in these forms of min and max a NaN is kept
        bounded = builder.select(builder.fcmp_ordered(">", x, _all(87.0)), _all(87.0), x)
        bounded = builder.select(builder.fcmp_ordered("<", bounded, _all(-87.0)), _all(-87.0), bounded)
        # adding 1.5 * 2**23 rounds to a whole number, which then stands in the lowest bits
        magic = _all(12582912.0)
        shifted = _multiply_add(builder, bounded, _all(1.4426950408889634), magic)
        power = builder.fsub(shifted, magic)
        f = _multiply_add(builder, power, _all(-0.693359375), bounded)  # ln 2 in two parts
        f = _multiply_add(builder, power, _all(2.12194440e-4), f)
        p = _all(1.0 / 5040)
        for factor in (1.0 / 720, 1.0 / 120, 1.0 / 24, 1.0 / 6, 0.5, 1.0, 1.0):
            p = _multiply_add(builder, p, f, _all(factor))
        exponent = builder.shl(builder.bitcast(shifted, whole), _all(23, whole))
        y = builder.bitcast(builder.add(builder.bitcast(p, whole), exponent), _vector)
        y = builder.select(builder.fcmp_unordered("uno", x, x), x, y)
        return builder.select(builder.fcmp_ordered("<", x, _all(-87.0)), _all(0.0), y)

    return vector(vector), emit


def _lower_half(builder: Any, x: Any, upper: bool) -> Any:
    lanes = x.type.count // 2
    start = lanes if upper else 0
    return builder.shuffle_vector(x, x, ir.Constant(ir.VectorType(_i32, lanes), list(range(start, start + lanes))))


def _fold(builder: Any, x: Any, lanes: int) -> Any:
    while x.type.count > lanes:
        x = builder.fadd(_lower_half(builder, x, False), _lower_half(builder, x, True))
    return x


@intrinsic
def sum_lanes(typing: Any, x: Any) -> Any:
    """The sum of all lanes."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(_fold(builder, arguments[0], 1), ir.Constant(_i32, 0))

    return types.float32(vector), emit


@intrinsic
def sum_lanes_of_four(typing: Any, x: Any, y: Any, z: Any, u: Any) -> Any:
    """The four sums of the lanes of four vectors, with a third of the shuffles that each alone would take."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        lanes = min(VALUES, 8)
        x, y, z, u = (_fold(builder, vector, lanes) for vector in arguments)

        def interleaved(p: Any, q: Any, picks: tuple[int, ...]) -> Any:
            # lanes of p are 0..3 in a group of four and those of q 4..7
            mask = [
                (4 * group + pick if pick < 4 else lanes + 4 * group + pick - 4)
                for group in range(lanes // 4)
                for pick in picks
            ]
            return builder.shuffle_vector(p, q, ir.Constant(ir.VectorType(_i32, lanes), mask))

        xy = builder.fadd(interleaved(x, y, (0, 4, 1, 5)), interleaved(x, y, (2, 6, 3, 7)))
        zu = builder.fadd(interleaved(z, u, (0, 4, 1, 5)), interleaved(z, u, (2, 6, 3, 7)))
        both = builder.fadd(interleaved(xy, zu, (0, 1, 4, 5)), interleaved(xy, zu, (2, 3, 6, 7)))
        return _fold(builder, both, 4)

    return quad(vector, vector, vector, vector), emit


@intrinsic
def add_quad(typing: Any, address: Any, index: Any, x: Any) -> Any:
    """Add four float32 to those at ``address + 4 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x = arguments
        pointer = _pointer(builder, address, index, _f32, _quad)
        builder.store(builder.fadd(builder.load(pointer, align=4), x), pointer, align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, quad), emit


@intrinsic
def load_every_fourth(typing: Any, address: Any, index: Any) -> Any:
    """``VALUES`` float32 from ``address + 4 * index`` on, with three left out between one and the next."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        # the wide load starts at a whole group of four, for the last lanes would else lie behind the array's end
        wide = ir.VectorType(_f32, 4 * VALUES)
        address, index = arguments
        offset = builder.and_(index, ir.Constant(_i64, 3))
        x = builder.load(_pointer(builder, address, builder.sub(index, offset), _f32, wide), align=4)
        lanes = ir.VectorType(_i32, VALUES)
        picked = [
            builder.shuffle_vector(x, x, ir.Constant(lanes, [4 * i + first for i in range(VALUES)])) for first in range(4)
        ]
        y = picked[0]
        for first in range(1, 4):
            y = builder.select(builder.icmp_unsigned("==", offset, ir.Constant(_i64, first)), picked[first], y)
        return y

    return vector(types.int64, types.int64), emit


@intrinsic
def word(typing: Any, address: Any, index: Any) -> Any:
    """The int64 at ``address + 8 * index``."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.load(_pointer(builder, *arguments, _i64, _i64), align=8)

    return types.int64(types.int64, types.int64), emit


@intrinsic
def take(typing: Any, address: Any, index: Any) -> Any:
    """The int64 at ``address + 8 * index``, which is then one more: a number that no other thread gets."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = _pointer(builder, *arguments, _i64, _i64)
        return builder.atomic_rmw("add", pointer, ir.Constant(_i64, 1), "monotonic")

    return types.int64(types.int64, types.int64), emit


@intrinsic
def prefetch(typing: Any, address: Any) -> Any:
    """Ask for the cache line of an address, which need not be valid."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        pointer = builder.inttoptr(arguments[0], ir.IntType(8).as_pointer())
        kind = ir.FunctionType(ir.VoidType(), [pointer.type, _i32, _i32, _i32])
        function = cgutils.get_or_insert_function(builder.module, kind, "llvm.prefetch.p0")
        builder.call(function, [pointer, *(ir.Constant(_i32, i) for i in (0, 3, 1))])  # read, keep, data
        return context.get_dummy_value()

    return types.void(types.int64), emit

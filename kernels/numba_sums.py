"""Sums over the lanes of vectors: many at a time, since alone each would take as many shuffles as four together."""

from typing import Any

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .numba_vector import f32, half, i32, pointer, vector
from .vector_width import HALF, VALUES


def _picked(builder: Any, x: Any, y: Any, lanes: list[int]) -> Any:
    return builder.shuffle_vector(x, y, ir.Constant(ir.VectorType(i32, len(lanes)), lanes))


def _folded(builder: Any, x: Any, lanes: int) -> Any:
    """Upper half added to lower half until there are so many lanes."""
    while x.type.count > lanes:
        middle = x.type.count // 2
        lower = _picked(builder, x, x, list(range(middle)))
        upper = _picked(builder, x, x, list(range(middle, 2 * middle)))
        x = builder.fadd(lower, upper)
    return x


def _in_fours(builder: Any, x: Any, y: Any, first: tuple[int, ...], second: tuple[int, ...]) -> Any:
    """Two selections of x and y added; in every group of four lanes those of x are 0..3 and those of y 4..7."""
    lanes = x.type.count

    def selection(picks: tuple[int, ...]) -> list[int]:
        groups = range(0, lanes, 4)
        return [group + pick if pick < 4 else lanes + group + pick - 4 for group in groups for pick in picks]

    return builder.fadd(_picked(builder, x, y, selection(first)), _picked(builder, x, y, selection(second)))


def _four_sums(builder: Any, x: Any, y: Any, z: Any, u: Any) -> Any:
    """In every group of four lanes the sums of x, y, z and u over such a group."""
    xy = _in_fours(builder, x, y, (0, 4, 1, 5), (2, 6, 3, 7))
    zu = _in_fours(builder, z, u, (0, 4, 1, 5), (2, 6, 3, 7))
    return _in_fours(builder, xy, zu, (0, 1, 4, 5), (2, 3, 6, 7))


def _accumulate(builder: Any, address: Any, index: Any, x: Any) -> None:
    place = pointer(builder, address, index, f32, x.type)
    builder.store(builder.fadd(builder.load(place, align=4), x), place, align=4)


@intrinsic
def add_eight_sums(
    typing: Any, address: Any, index: Any, a: Any, b: Any, c: Any, d: Any, e: Any, f: Any, g: Any, h: Any
) -> Any:
    """Add the sums over the lanes of eight half vectors to the float32 at ``address + 4 * index`` and behind."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, *x = arguments
        x = [_folded(builder, vector, min(vector.type.count, 8)) for vector in x]
        first, second = _four_sums(builder, *x[:4]), _four_sums(builder, *x[4:])
        if first.type.count == 8:
            lower = _picked(builder, first, second, [0, 1, 2, 3, 8, 9, 10, 11])
            upper = _picked(builder, first, second, [4, 5, 6, 7, 12, 13, 14, 15])
            both = builder.fadd(lower, upper)
        else:
            both = _picked(builder, first, second, list(range(8)))
        _accumulate(builder, address, index, both)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, *[half] * 8), emit


@intrinsic
def add_two_sums(typing: Any, address: Any, index: Any, x: Any, y: Any) -> Any:
    """Add the sums over the lanes of two half vectors to the float32 at ``address + 4 * index`` and behind."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        address, index, x, y = arguments
        x, y = (_folded(builder, vector, min(vector.type.count, 8)) for vector in (x, y))
        both = _folded(builder, _in_fours(builder, x, y, (0, 4, 1, 5), (2, 6, 3, 7)), 4)
        both = builder.fadd(_picked(builder, both, both, [0, 1]), _picked(builder, both, both, [2, 3]))
        _accumulate(builder, address, index, both)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, half, half), emit


@intrinsic
def sum_lanes(typing: Any, x: Any) -> Any:
    """The sum of all lanes."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        return builder.extract_element(_folded(builder, arguments[0], 1), ir.Constant(i32, 0))

    return types.float32(vector), emit


@intrinsic
def load_fours(typing: Any, address: Any, index: Any) -> Any:
    """Four vectors whose lanes lie in turns from ``address + 4 * index`` on."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        wide = ir.VectorType(f32, 4 * VALUES)
        x = builder.load(pointer(builder, *arguments, f32, wide), align=4)
        parts = [_picked(builder, x, x, list(range(first, 4 * VALUES, 4))) for first in range(4)]
        return context.make_tuple(builder, signature.return_type, parts)

    return types.UniTuple(vector, 4)(types.int64, types.int64), emit


@intrinsic
def transpose_tile(typing: Any, source: Any, source_row: Any, target: Any, target_row: Any) -> Any:
    """A square of as many rows as a half vector has lanes, transposed; row lengths count float32."""

    def emit(context: Any, builder: Any, signature: Any, arguments: Any) -> Any:
        source, source_row, target, target_row = arguments

        def place(address: Any, row: Any, i: int) -> Any:
            return pointer(builder, address, builder.mul(row, ir.Constant(row.type, i)), f32, half.llvm)

        rows = [builder.load(place(source, source_row, i), align=4) for i in range(HALF)]
        for _ in range(HALF.bit_length() - 1):  # perfect shuffles: as many as make a transpose
            pairs = list(zip(rows[: HALF // 2], rows[HALF // 2 :], strict=True))
            low = [lane for i in range(HALF // 2) for lane in (i, HALF + i)]
            high = [lane + HALF // 2 for lane in low]
            rows = [_picked(builder, x, y, lanes) for x, y in pairs for lanes in (low, high)]
        for i, row in enumerate(rows):
            builder.store(row, place(target, target_row, i), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit

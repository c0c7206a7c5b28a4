# mypy: ignore-errors
"""Frames side by side in the lanes of a vector: how they get there from rows of a frame each, and back."""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .mel_layout import LANES
from .numba_rows import INLINE
from .numba_vector import f32, half, i32, pointer


def load_lanes(builder, address, index):
    """A vector from ``address + 4 * index``."""
    return builder.load(pointer(builder, address, index, f32, half.llvm), align=4)


def store_lanes(builder, x, address, index):
    """A vector to ``address + 4 * index``."""
    builder.store(x, pointer(builder, address, index, f32, half.llvm), align=4)


def spread(builder, scalar):
    """A float32 in every lane."""
    first = builder.insert_element(ir.Constant(half.llvm, ir.Undefined), scalar, ir.Constant(i32, 0))
    return builder.shuffle_vector(first, first, ir.Constant(ir.VectorType(i32, LANES), [0] * LANES))


def load_spread(builder, address, index):
    """The float32 at ``address + 4 * index`` in every lane."""
    return spread(builder, builder.load(pointer(builder, address, index, f32, f32), align=4))


def transposed(builder, rows):
    """As many vectors as there are lanes, as a square matrix turned over."""
    distance = 1
    while distance < LANES:
        kept, moved = [], []
        for lane in range(LANES):
            upper = lane & distance
            kept.append(LANES + lane - distance if upper else lane)
            moved.append(LANES + lane if upper else lane + distance)
        masks = [ir.Constant(ir.VectorType(i32, LANES), mask) for mask in (kept, moved)]
        turned = list(rows)
        for i in range(LANES):
            if not i & distance:
                pair = rows[i], rows[i + distance]
                turned[i] = builder.shuffle_vector(*pair, masks[0])
                turned[i + distance] = builder.shuffle_vector(*pair, masks[1])
        rows = turned
        distance *= 2
    return rows


@intrinsic
def turn_square(typing, source, source_stride, target, target_stride):
    """``LANES`` rows of as many numbers become their columns; rows are so many bytes apart."""

    def emit(context, builder, signature, arguments):
        source, source_stride, target, target_stride = arguments
        zero = ir.Constant(source.type, 0)

        def row(address, stride, i):
            return builder.add(address, builder.mul(stride, ir.Constant(stride.type, i)))

        rows = [load_lanes(builder, row(source, source_stride, i), zero) for i in range(LANES)]
        for i, column in enumerate(transposed(builder, rows)):
            store_lanes(builder, column, row(target, target_stride, i), zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit


@njit(**INLINE)
def rows_to_lanes(source, stride, target):
    """``LANES`` numbers of as many frames, `stride` bytes apart, become rows of a lane a frame."""
    turn_square(source, stride, target, 4 * LANES)


@njit(**INLINE)
def lanes_to_rows(source, target, stride):
    """The way back: ``LANES`` rows of a lane a frame become as many numbers of each frame, `stride` bytes apart."""
    turn_square(source, 4 * LANES, target, stride)


@intrinsic
def broadcast_lanes(typing, address, index):
    """The float32 at ``address + 4 * index`` in every lane."""

    def emit(context, builder, signature, arguments):
        return load_spread(builder, *arguments)

    return half(types.int64, types.int64), emit


@intrinsic
def copy_lanes(typing, source, target):
    """One row."""

    def emit(context, builder, signature, arguments):
        source, target = arguments
        zero = ir.Constant(source.type, 0)
        store_lanes(builder, load_lanes(builder, source, zero), target, zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit

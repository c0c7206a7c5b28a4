# mypy: ignore-errors
"""A frame before and after its Fourier transform: windowed samples and the power spectrum.

Each operation is rounded by itself, in the order that Kaldi has: bins that lie 100 dB below the loudest hold little but
errors of rounding, and would else differ from other implementations.
"""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .mel_layout import POWER_ROW, WINDOW
from .numba_vector import constant, f32, fused, i32, i64, pointer

PREEMPHASIS = 0.97

_WIDTH = 16  # numbers that are worked on at once; LLVM splits what is wider than the CPU's registers
_wide = ir.VectorType(f32, _WIDTH)
_places = ir.VectorType(i32, _WIDTH)


def _load(builder, address, index):
    return builder.load(pointer(builder, address, ir.Constant(i64, index), f32, _wide), align=4)


def _mask(lanes):
    return ir.Constant(_places, list(lanes))


def _sum(builder, source):
    """Of the 800 samples, in the order of ``torch.sum``: eight lanes of four sums, taken together every 16 rows."""
    kind = ir.VectorType(f32, 8)
    rows = [
        builder.load(pointer(builder, source, ir.Constant(i64, n), f32, kind), align=4)
        for n in range(0, WINDOW, 8)
    ]
    sums = []
    for four in range(4):
        column = rows[four::4]
        parts = []
        for first in range(0, len(column), 16):
            part = column[first]
            for row in column[first + 1 : first + 16]:
                part = builder.fadd(part, row)
            parts.append(part)
        early, late = parts
        sums.append(builder.fadd(late, early))
    whole = builder.fadd(builder.fadd(builder.fadd(sums[0], sums[1]), sums[2]), sums[3])
    total = builder.extract_element(whole, ir.Constant(i32, 0))
    for lane in range(1, 8):
        total = builder.fadd(total, builder.extract_element(whole, ir.Constant(i32, lane)))
    return total


@intrinsic
def emphasise(typing, source, window, target):
    """The 800 samples at `source` without their mean, pre-emphasised and windowed, to `target`."""

    def emit(context, builder, signature, arguments):
        source, window, target = arguments
        mean = builder.fdiv(_sum(builder, source), ir.Constant(f32, float(WINDOW)))
        mean = builder.insert_element(ir.Constant(_wide, ir.Undefined), mean, ir.Constant(i32, 0))
        mean = builder.shuffle_vector(mean, mean, _mask([0] * _WIDTH))
        for n in range(0, WINDOW, _WIDTH):
            now = _load(builder, source, n)
            if n:
                before = _load(builder, source, n - 1)
            else:  # the first sample is its own neighbour
                before = builder.shuffle_vector(now, now, _mask([0, *range(_WIDTH - 1)]))
            now, before = builder.fsub(now, mean), builder.fsub(before, mean)
            emphasised = builder.fsub(now, builder.fmul(before, constant(PREEMPHASIS, _wide)))
            x = builder.fmul(emphasised, _load(builder, window, n))
            builder.store(x, pointer(builder, target, ir.Constant(i64, n), f32, _wide), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


@intrinsic
def transform(typing, function, descriptor, source, target):
    """Call MKL's ``DftiComputeForward(descriptor, source, target)``; 0 where it did what it should."""

    def emit(context, builder, signature, arguments):
        address = ir.IntType(8).as_pointer()
        kind = ir.FunctionType(i64, [address, address], var_arg=True)
        function = builder.inttoptr(arguments[0], kind.as_pointer())
        return builder.call(function, [builder.inttoptr(x, address) for x in arguments[1:]])

    return types.int64(types.int64, types.int64, types.int64, types.int64), emit


@intrinsic
def power(typing, source, target):
    """Squared magnitudes of the complex numbers at `source`, without the last (its frequency takes no part)."""

    def emit(context, builder, signature, arguments):
        source, target = arguments
        for k in range(0, POWER_ROW, _WIDTH):
            pair = _load(builder, source, 2 * k), _load(builder, source, 2 * k + _WIDTH)
            re = builder.shuffle_vector(*pair, _mask(range(0, 2 * _WIDTH, 2)))
            im = builder.shuffle_vector(*pair, _mask(range(1, 2 * _WIDTH, 2)))
            x = fused(builder, re, re, builder.fmul(im, im))
            builder.store(x, pointer(builder, target, ir.Constant(i64, k), f32, _wide), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64), emit

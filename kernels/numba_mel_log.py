# mypy: ignore-errors
"""Mel bands of a power spectrum, and their logarithms."""

from llvmlite import ir
from numba import types
from numba.extending import intrinsic

from .mel_layout import LANES
from .numba_mel_lanes import load_lanes, load_spread, store_lanes
from .numba_vector import constant, fused, half, i32

ENERGY_FLOOR = 2.0**-23  # float32's epsilon, as Kaldi has it

_whole = ir.VectorType(i32, LANES)
_SERIES = (  # of (ln(1 + f) - f + f**2 / 2) / f**3 on [sqrt(1/2) - 1, sqrt(2) - 1], highest power first
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)  # the minimax polynomial of S. L. Moshier's Cephes library (logf)


def _log(builder, x):
    """ln(x) within 2 units in the last place, for normal x > 0; infinity and NaN stay what they are."""
    # x = m * 2**e with m from sqrt(1/2) to sqrt(2): what lies above sqrt(1/2)'s bits is the exponent
    bits = builder.bitcast(x, _whole)
    root = constant(0x3F3504F3, _whole)
    above = builder.sub(bits, root)
    exponent = builder.ashr(above, constant(23, _whole))
    power = builder.sitofp(exponent, half.llvm)
    m = builder.bitcast(builder.sub(bits, builder.shl(exponent, constant(23, _whole))), half.llvm)
    f = builder.fsub(m, constant(1.0, half.llvm))
    series = constant(_SERIES[0], half.llvm)
    for term in _SERIES[1:]:
        series = fused(builder, series, f, constant(term, half.llvm))
    square = builder.fmul(f, f)
    y = builder.fmul(builder.fmul(square, f), series)
    y = fused(builder, power, constant(-2.12194440e-4, half.llvm), y)  # ln 2 in two parts
    y = fused(builder, square, constant(-0.5, half.llvm), y)
    y = builder.fadd(f, y)
    y = fused(builder, power, constant(0.693359375, half.llvm), y)
    return builder.select(builder.fcmp_unordered(">=", x, constant(float("inf"), half.llvm)), x, y)


@intrinsic
def band(typing, power, weights, bins, target):
    """The logarithm of the weighted sum of so many bins, one at least, to `target`; a lane a frame."""

    def emit(context, builder, signature, arguments):
        power, weights, bins, target = arguments
        zero, one = ir.Constant(bins.type, 0), ir.Constant(bins.type, 1)
        before = builder.block
        loop = builder.append_basic_block("bins")
        after = builder.append_basic_block("logarithm")
        builder.branch(loop)
        builder.position_at_end(loop)
        bin_ = builder.phi(bins.type)
        energy = builder.phi(half.llvm)
        weight = load_spread(builder, weights, bin_)
        row = load_lanes(builder, power, builder.mul(bin_, ir.Constant(bins.type, LANES)))
        more = fused(builder, row, weight, energy)
        following = builder.add(bin_, one)
        bin_.add_incoming(zero, before)
        bin_.add_incoming(following, loop)
        energy.add_incoming(constant(0.0, half.llvm), before)
        energy.add_incoming(more, loop)
        builder.cbranch(builder.icmp_signed("<", following, bins), loop, after)
        builder.position_at_end(after)
        floor = constant(ENERGY_FLOOR, half.llvm)
        energy = builder.select(builder.fcmp_ordered("<", more, floor), floor, more)  # a NaN is kept
        store_lanes(builder, _log(builder, energy), target, zero)
        return context.get_dummy_value()

    i64 = types.int64
    return types.void(i64, i64, i64, i64), emit

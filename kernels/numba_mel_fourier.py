# mypy: ignore-errors
"""Power spectra of frames in the lanes of vectors, to the bit as MKL makes them on processors of other makers.

There it takes its oldest path: one frame after the other, each product and sum rounded by itself. Here they are the
same products and sums, in the same order, of as many frames as there are lanes. 1,024 samples are taken as 512 complex
numbers, transformed by radix 4, 4, 4 and 8 (decimation in time), and taken apart into the spectrum of real ones.
`mel_factors` has the factors.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .mel_layout import FFT, LANES, PARTING, TWIDDLE_16, TWIDDLE_64, TWIDDLE_512
from .numba_mel_lanes import load_lanes, load_spread, store_lanes
from .numba_rows import INLINE, PART
from .numba_vector import constant, fused, half, i64

NUMBER = 8 * LANES
"""Bytes of a complex number of each lane: its real parts, then its imaginary ones."""

NUMBERS = FFT // 2
QUARTER, EIGHTH = NUMBERS // 4, NUMBERS // 8
HALF_ROOT = float.fromhex("0x1.6a09e8p-1")
"""The root of 1/2 as MKL has it, by its answer to an impulse: rounded up, while the nearest float32 is one bit less."""


def _load(builder, address, number):
    """A complex number, so many behind an address."""
    at = number * NUMBER // 4
    return tuple(load_lanes(builder, address, ir.Constant(i64, at + part)) for part in (0, LANES))


def _store(builder, x, address, number):
    at = number * NUMBER // 4
    for part, values in zip((0, LANES), x, strict=True):
        store_lanes(builder, values, address, ir.Constant(i64, at + part))


def _add(builder, x, y):
    return builder.fadd(x[0], y[0]), builder.fadd(x[1], y[1])


def _subtract(builder, x, y):
    return builder.fsub(x[0], y[0]), builder.fsub(x[1], y[1])


def _add_turned(builder, x, y):
    """``x - i * y``: y turned by a quarter, as time runs."""
    return builder.fadd(x[0], y[1]), builder.fsub(x[1], y[0])


def _subtract_turned(builder, x, y):
    """``x + i * y``."""
    return builder.fsub(x[0], y[1]), builder.fadd(x[1], y[0])


def _multiply(builder, x, factors, index):
    """By one complex number, that of such an index."""
    re, im = (load_spread(builder, factors, ir.Constant(i64, 2 * index + part)) for part in (0, 1))
    return (
        builder.fsub(builder.fmul(x[0], re), builder.fmul(x[1], im)),
        builder.fadd(builder.fmul(x[0], im), builder.fmul(x[1], re)),
    )


def _fours(distance, apart, twiddled):
    """Make an intrinsic ``(source, factors, target)``, a transform of four numbers.

    They lie `distance` numbers from one another, and then `apart`. If they are ``twiddled``, the latter three are taken
    times a factor first.
    """

    def define(typing, source, factors, target):
        def emit(context, builder, signature, arguments):
            source, factors, target = arguments
            numbers = [_load(builder, source, distance * i) for i in range(4)]
            if twiddled:
                numbers[1:] = [_multiply(builder, x, factors, i) for i, x in enumerate(numbers[1:])]
            a, b, c, d = numbers
            even, odd = _add(builder, a, c), _subtract(builder, a, c)
            sums, differences = _add(builder, b, d), _subtract(builder, b, d)
            found = (
                _add(builder, even, sums),
                _add_turned(builder, odd, differences),
                _subtract(builder, even, sums),
                _subtract_turned(builder, odd, differences),
            )
            for i, x in enumerate(found):
                _store(builder, x, target, apart * i)
            return context.get_dummy_value()

        return types.void(types.int64, types.int64, types.int64), emit

    return intrinsic(define)


first_fours = _fours(QUARTER, 1, False)
second_fours = _fours(4, 4, True)
third_fours = _fours(16, 16, True)


@intrinsic
def eights(typing, source, factors, target):
    """A transform of eight numbers ``EIGHTH`` apart, the latter seven times a factor; results lie side by side."""

    def emit(context, builder, signature, arguments):
        source, factors, target = arguments
        q = [_load(builder, source, EIGHTH * i) for i in range(8)]
        q[1:] = [_multiply(builder, x, factors, i) for i, x in enumerate(q[1:])]
        sums = [_add(builder, q[i], q[i + 4]) for i in range(4)]
        differences = [_subtract(builder, q[i], q[i + 4]) for i in range(4)]
        even, other = _add(builder, sums[0], sums[2]), _subtract(builder, sums[0], sums[2])
        odd, last = _add(builder, sums[1], sums[3]), _subtract(builder, sums[1], sums[3])
        ahead = _add_turned(builder, differences[0], differences[2])
        behind = _subtract_turned(builder, differences[0], differences[2])

        def scaled(x, factor):
            return tuple(builder.fmul(part, constant(factor, half.llvm)) for part in x)

        re, im = scaled(_add_turned(builder, differences[1], differences[3]), HALF_ROOT)
        eighth = builder.fadd(re, im), builder.fsub(im, re)
        re, im = scaled(_subtract_turned(builder, differences[1], differences[3]), -HALF_ROOT)
        three_eighths = builder.fsub(re, im), builder.fadd(re, im)
        found = (
            _add(builder, even, odd),
            _add(builder, ahead, eighth),
            _add_turned(builder, other, last),
            _add(builder, behind, three_eighths),
            _subtract(builder, even, odd),
            _subtract(builder, ahead, eighth),
            _subtract_turned(builder, other, last),
            _subtract(builder, behind, three_eighths),
        )
        for i, x in enumerate(found):
            _store(builder, x, target, i)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64), emit


def _power(builder, re, im):
    return fused(builder, re, re, builder.fmul(im, im))


@intrinsic
def part(typing, low, high, factors, power, mirrored):
    """Squared magnitudes of the real samples' numbers k and 512 - k, from the complex ones' at `low` and `high`."""

    def emit(context, builder, signature, arguments):
        low, high, factors, power, mirrored = arguments
        (a, b), (c, d) = _load(builder, low, 0), _load(builder, high, 0)
        difference = builder.fsub(a, c), builder.fadd(b, d)
        re, im = _multiply(builder, difference, factors, 0)
        zero = ir.Constant(i64, 0)
        store_lanes(builder, _power(builder, builder.fadd(c, re), builder.fsub(im, d)), power, zero)
        store_lanes(builder, _power(builder, builder.fsub(a, re), builder.fsub(im, b)), mirrored, zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64, types.int64), emit


@intrinsic
def part_alone(typing, lowest, middle, power, middle_power):
    """The same of the numbers 0 and 256, which have no other to be mixed with."""

    def emit(context, builder, signature, arguments):
        lowest, middle, power, middle_power = arguments
        zero = ir.Constant(i64, 0)
        total = builder.fadd(*_load(builder, lowest, 0))
        store_lanes(builder, builder.fmul(total, total), power, zero)
        store_lanes(builder, _power(builder, *_load(builder, middle, 0)), middle_power, zero)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit


@njit(**INLINE)
def part_row(twiddles, k, first, lows, highs, power):
    """Numbers k + 64 j for j from `first` to 3, at `lows`; backwards from `highs` lie those that mirror them."""
    for j in range(first, 4):
        number = k + EIGHTH * j
        part(
            lows + NUMBER * j,
            highs - NUMBER * j,
            twiddles + 4 * PARTING + 8 * number,
            power + 4 * LANES * number,
            power + 4 * LANES * (NUMBERS - number),
        )


@njit(**PART)
def power_spectra(twiddles, samples, parts, scratch, power):
    """Power of the bins 0 to 511 of frames in lanes, a row a bin.

    Samples, all 1,024 rows, stay as they are; there is to be room for as many at `parts`, and for 32 at `scratch`.
    """
    for q in range(8):
        numbers = parts + NUMBER * EIGHTH * q
        for m in range(16):
            first_fours(samples + NUMBER * (8 * m + q), 0, numbers + NUMBER * (16 * (m & 3) + 4 * (m >> 2)))
        for m in range(16):
            place = numbers + NUMBER * (16 * (m >> 2) + (m & 3))
            second_fours(place, twiddles + 4 * TWIDDLE_16 + 24 * (m & 3), place)
        for k in range(16):
            third_fours(numbers + NUMBER * k, twiddles + 4 * TWIDDLE_64 + 24 * k, numbers + NUMBER * k)
    factors, mirrored = twiddles + 4 * TWIDDLE_512, scratch + NUMBER * 8
    eights(parts, factors, scratch)
    part_alone(scratch, scratch + NUMBER * 4, power, power + 4 * LANES * 4 * EIGHTH)
    part_row(twiddles, 0, 1, scratch, scratch + NUMBER * 8, power)
    for k in range(1, EIGHTH // 2):
        eights(parts + NUMBER * k, factors + 56 * k, scratch)
        eights(parts + NUMBER * (EIGHTH - k), factors + 56 * (EIGHTH - k), mirrored)
        part_row(twiddles, k, 0, scratch, mirrored + NUMBER * 7, power)
        part_row(twiddles, EIGHTH - k, 0, mirrored, scratch + NUMBER * 7, power)
    k = EIGHTH // 2
    eights(parts + NUMBER * k, factors + 56 * k, scratch)
    part_row(twiddles, k, 0, scratch, scratch + NUMBER * 7, power)

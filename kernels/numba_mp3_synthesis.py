# mypy: ignore-errors
"""The polyphase synthesis of mp3: from samples of 32 subbands to sound.

What the subbands' samples of a slot give is a cosine transform of 64 numbers, of which 32 differ but for their signs;
those of even number depend on the sums of the samples mirrored at the middle alone, those of odd number on the
differences. So two products of 16 × 16 are left of one of 32 × 64. The signs stand in the window.
"""

from llvmlite import ir
from numba import njit, types
from numba.extending import intrinsic

from .mp3_layout import COSINES, HALF_BAND, HISTORY_SLOTS, SLOTS, SUBBANDS, VECTOR, WINDOW
from .numba_rows import PART
from .numba_vector import f32, fused, i32, i64, larger, load, multiply_add, pointer, store, zero
from .vector_width import VALUES

SLOTS_AT_ONCE = 6 if VALUES == 32 else 3  # two vectors of sums each stay in registers

_half_band = ir.VectorType(f32, HALF_BAND)


def _mask(places):
    return ir.Constant(ir.VectorType(i32, HALF_BAND), list(places))


def _place(number):
    """Where a number of the transform stands, first those of even number, then the others."""
    return number // 2 + HALF_BAND * (number % 2)


_QUARTERS = (
    [_place(HALF_BAND + i) for i in range(HALF_BAND)],
    [_place((2 * HALF_BAND - i) % (2 * HALF_BAND)) for i in range(HALF_BAND)],  # the first is not used
    [_place(HALF_BAND - i) for i in range(HALF_BAND)],
    [_place(i) for i in range(HALF_BAND)],
)
"""Of the 64 numbers, but for their signs."""


@intrinsic
def transform_slots(typing, tables, samples, folded, vectors):
    """The vectors of ``SLOTS_AT_ONCE`` slots; `folded` is scratch for as many floats as they have samples."""

    def emit(context, builder, signature, arguments):
        tables, samples, folded, vectors = arguments

        def row(address, index):
            return pointer(builder, address, ir.Constant(i64, index), f32, _half_band)

        def at(address, index):
            return builder.load(row(address, index), align=4)

        def spread(index):
            number = builder.load(pointer(builder, folded, ir.Constant(i64, index), f32, f32), align=4)
            first = builder.insert_element(ir.Constant(_half_band, ir.Undefined), number, ir.Constant(i32, 0))
            return builder.shuffle_vector(first, first, _mask([0] * HALF_BAND))

        for slot in range(SLOTS_AT_ONCE):
            low, high = at(samples, SUBBANDS * slot), at(samples, SUBBANDS * slot + HALF_BAND)
            mirrored = builder.shuffle_vector(high, high, _mask(reversed(range(HALF_BAND))))
            builder.store(builder.fadd(low, mirrored), row(folded, SUBBANDS * slot), align=4)
            builder.store(builder.fsub(low, mirrored), row(folded, SUBBANDS * slot + HALF_BAND), align=4)
        zeros = ir.Constant(_half_band, [0.0] * HALF_BAND)
        sums = [[zeros, zeros] for _ in range(SLOTS_AT_ONCE)]
        for k in range(HALF_BAND):
            for odd in (0, 1):
                cosines = at(tables, COSINES + HALF_BAND * (HALF_BAND * odd + k))
                for slot, pair in enumerate(sums):
                    number = spread(SUBBANDS * slot + HALF_BAND * odd + k)
                    pair[odd] = fused(builder, number, cosines, pair[odd])
        for slot, (even, odd) in enumerate(sums):
            for i, places in enumerate(_QUARTERS):
                quarter = builder.shuffle_vector(even, odd, _mask(places))
                builder.store(quarter, row(vectors, VECTOR * slot + HALF_BAND * i), align=4)
        return context.get_dummy_value()

    return types.void(types.int64, types.int64, types.int64, types.int64), emit


@njit(**PART)
def window_three(tables, vectors, out):
    """Samples of three slots, of whose vectors the first is at `vectors`."""
    for lane in range(0, SUBBANDS, VALUES):
        a, b, c = zero(), zero(), zero()
        for i in range(0, 16, 2):
            w = load(tables, WINDOW + SUBBANDS * i + lane)
            at = lane - VECTOR * i
            a = multiply_add(load(vectors, at), w, a)
            b = multiply_add(load(vectors, at + VECTOR), w, b)
            c = multiply_add(load(vectors, at + 2 * VECTOR), w, c)
            w = load(tables, WINDOW + SUBBANDS * (i + 1) + lane)
            at += SUBBANDS - VECTOR
            a = multiply_add(load(vectors, at), w, a)
            b = multiply_add(load(vectors, at + VECTOR), w, b)
            c = multiply_add(load(vectors, at + 2 * VECTOR), w, c)
        store(out, lane, a)
        store(out, lane + SUBBANDS, b)
        store(out, lane + 2 * SUBBANDS, c)


@njit(**PART)
def synthesise(tables, samples, folded, vectors, out):
    """The 576 samples of a granule from those of its subbands; `vectors` has those of earlier slots in front."""
    present = vectors + 4 * VECTOR * HISTORY_SLOTS
    for slot in range(0, SLOTS, SLOTS_AT_ONCE):
        transform_slots(tables, samples + 4 * SUBBANDS * slot, folded, present + 4 * VECTOR * slot)
    for slot in range(0, SLOTS, 3):
        window_three(tables, present + 4 * VECTOR * slot, out + 4 * SUBBANDS * slot)
    for i in range(0, VECTOR * HISTORY_SLOTS, VALUES):
        store(vectors, i, load(vectors, VECTOR * SLOTS + i))


@njit(**PART)
def note_peak(peaks, samples, count):
    """Keep the largest magnitudes, a lane each, of so many samples (a multiple of 576) and of those before."""
    even, odd = load(peaks, 0), zero()
    for i in range(0, count, 2 * VALUES):
        even, odd = larger(even, load(samples, i)), larger(odd, load(samples, i + VALUES))
    store(peaks, 0, larger(even, odd))

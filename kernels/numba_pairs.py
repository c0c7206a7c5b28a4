"""The recurrence over two tokens in one sweep over the state, without a decay in it.

Within a chunk the state is kept divided by the product P of the decays since the chunk's start, as are the rows that
go with it: P is left out of S, and put into r, a (times P) and k, b (divided by P). So a token costs four multiply-adds
an element of the state instead of four and a multiplication, and the state is loaded and stored once in two tokens.
What that takes is s of the second token before the state after the first is known::

    s_2 = S_1 a_2 = S_0 a_2 + s_1 (b_1 . a_2) + v_1 (k_1 . a_2)

S_0 a_2 and S_0 a_1 are summed up in the sweep of the pair before. At the end of a chunk the state is stored with P.
Only chunks whose decays multiply to no less than `LEAST_PRODUCT` are worked on in this way: nothing overflows, and the
errors of rounding are those of the plain form, since both are relative.
"""

from numba import njit

from .forward_layout import ROW, A, B, K, R
from .numba_rows import INLINE, PART
from .numba_sums import sum_lanes
from .numba_vector import broadcast, load, multiply, multiply_add, splat, store, store_scalar, zero
from .vector_width import VALUES, N


@njit(**PART)
def cross(row, dots):
    """Of a pair whose first row this is: b_1 . a_2 and k_1 . a_2."""
    corrections, keys = zero(), zero()
    for j in range(0, N, VALUES):
        a = load(row, ROW + A + j)
        corrections = multiply_add(load(row, B + j), a, corrections)
        keys = multiply_add(load(row, K + j), a, keys)
    store_scalar(dots, 0, sum_lanes(corrections))
    store_scalar(dots, 1, sum_lanes(keys))


@njit(**INLINE)
def apply_pair(S, a, row_size):
    """S times the a of two tokens, for one block of values; the second lies `row_size` behind the first."""
    first = second = first_odd = second_odd = zero()
    for j in range(0, N, 2):  # even and odd keys apart: half as long chains of dependent additions
        x = load(S, j * VALUES)
        first = multiply_add(x, broadcast(a, j), first)
        second = multiply_add(x, broadcast(a, row_size + j), second)
        x = load(S, (j + 1) * VALUES)
        first_odd = multiply_add(x, broadcast(a, j + 1), first_odd)
        second_odd = multiply_add(x, broadcast(a, row_size + j + 1), second_odd)
    one = splat(1.0)
    return multiply_add(first, one, first_odd), multiply_add(second, one, second_odd)


@njit(**INLINE)
def second_s(now, coming, v, dots):
    """s of a pair's second token: `now` is that of the first, `coming` S_0 a_2."""
    x = multiply_add(now, broadcast(dots, 0), coming)
    return multiply_add(load(v, 0), broadcast(dots, 1), x)


@njit(**INLINE)
def sweep_pair(S, row, v, now, now_2, out):
    """Two tokens of one block of values: S r in out, two rows; S updated; S a of the two tokens behind is returned.

    `now` and `now_2` are s of the two tokens.
    """
    value, value_2 = load(v, 0), load(v, ROW)
    y = y_2 = s_3 = s_4 = zero()
    for j in range(N):
        x = multiply_add(now, broadcast(row, B + j), load(S, j * VALUES))
        x = multiply_add(value, broadcast(row, K + j), x)
        y = multiply_add(x, broadcast(row, R + j), y)
        x = multiply_add(now_2, broadcast(row, ROW + B + j), x)
        x = multiply_add(value_2, broadcast(row, ROW + K + j), x)
        store(S, j * VALUES, x)
        y_2 = multiply_add(x, broadcast(row, ROW + R + j), y_2)
        s_3 = multiply_add(x, broadcast(row, 2 * ROW + A + j), s_3)
        s_4 = multiply_add(x, broadcast(row, 3 * ROW + A + j), s_4)
    store(out, 0, y)
    store(out, N, y_2)
    return s_3, s_4


@njit(**INLINE)
def sweep_last_pair(S, row, v, now, now_2, product, out):
    """The last two tokens of a chunk, as `sweep_pair`; S is stored with the product of the decays."""
    value, value_2 = load(v, 0), load(v, ROW)
    y = y_2 = zero()
    for j in range(N):
        x = multiply_add(now, broadcast(row, B + j), load(S, j * VALUES))
        x = multiply_add(value, broadcast(row, K + j), x)
        y = multiply_add(x, broadcast(row, R + j), y)
        x = multiply_add(now_2, broadcast(row, ROW + B + j), x)
        x = multiply_add(value_2, broadcast(row, ROW + K + j), x)
        store(S, j * VALUES, multiply(x, broadcast(product, j)))
        y_2 = multiply_add(x, broadcast(row, ROW + R + j), y_2)
    store(out, 0, y)
    store(out, N, y_2)

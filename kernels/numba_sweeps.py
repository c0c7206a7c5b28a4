"""The sweeps of the backward: each goes once over the state of one token, for one or two blocks of values.

S and G are kept in blocks [block, key, value], SIMD runs over the values. Names as in `numba_backward`; all arguments
are addresses, `row` and `former` those of the rows of a token and of the one before it in the direction's order.
"""

from numba import njit

from .backward_layout import BLOCK_FLOATS, GR, ROW, A, B, D, K
from .numba_rows import INLINE, PART
from .numba_sums import add_eight_sums, add_two_sums
from .numba_vector import (
    broadcast,
    load,
    load_half,
    multiply,
    multiply_add,
    multiply_add_half,
    store,
    zero,
    zero_half,
)
from .vector_width import HALF, VALUES, N


@njit(**PART)
def advance(before, after, row, v, s, s_coming):
    """One token of one block forwards: the state after it, and S a of the coming token, whose row lies behind."""
    value = load(v, 0)
    now = load(s, 0)
    coming = zero()
    for j in range(N):
        x = multiply_add(
            load(before, j * VALUES), broadcast(row, D + j), multiply(value, broadcast(row, K + j))
        )
        x = multiply_add(now, broadcast(row, B + j), x)
        store(after, j * VALUES, x)
        coming = multiply_add(x, broadcast(row, ROW + A + j), coming)
    store(s_coming, 0, coming)


@njit(**PART)
def enter(G, row, dy, dv, ds):
    """The last token of a chunk, one block: G += r dy^T, dv = k G, ds = b G."""
    incoming = load(dy, 0)
    values = zero()
    corrections = zero()
    for j in range(N):
        g = multiply_add(incoming, broadcast(row, GR + j), load(G, j * VALUES))
        store(G, j * VALUES, g)
        values = multiply_add(g, broadcast(row, K + j), values)
        corrections = multiply_add(g, broadcast(row, B + j), corrections)
    store(dv, 0, values)
    store(ds, 0, corrections)


@njit(**PART)
def retreat(G, row, ds, former, dy, dv):
    """One block from a token to the former one: G <- G diag(d) + a ds^T + r dy^T, then dv and ds of the former."""
    gradient = load(ds, 0)
    incoming = load(dy, 0)
    values = zero()
    corrections = zero()
    for j in range(N):
        g = multiply_add(
            load(G, j * VALUES), broadcast(row, D + j), multiply(gradient, broadcast(row, A + j))
        )
        g = multiply_add(incoming, broadcast(former, GR + j), g)
        store(G, j * VALUES, g)
        values = multiply_add(g, broadcast(former, K + j), values)
        corrections = multiply_add(g, broadcast(former, B + j), corrections)
    store(dv, 0, values)
    store(ds, 0, corrections)


@njit(**INLINE)
def _reduce(G, before, v, s, ds, dy, quads, rho, blocks):
    # Two keys at a time: their ten sums are chains of dependent additions, fewer would wait for one another.
    for j in range(0, N, 2):
        dk = db = dd = da = dr = zero_half()
        dk_2 = db_2 = dd_2 = da_2 = dr_2 = zero_half()
        for q in range(2 * blocks):
            place = q // 2 * BLOCK_FLOATS + j * VALUES + q % 2 * HALF
            value, correction = load_half(v, q * HALF), load_half(s, q * HALF)
            gradient, incoming = load_half(ds, q * HALF), load_half(dy, q * HALF)
            g, S = load_half(G, place), load_half(before, place)
            dk = multiply_add_half(g, value, dk)
            db = multiply_add_half(g, correction, db)
            dd = multiply_add_half(g, S, dd)
            da = multiply_add_half(S, gradient, da)
            dr = multiply_add_half(S, incoming, dr)
            g, S = load_half(G, place + VALUES), load_half(before, place + VALUES)
            dk_2 = multiply_add_half(g, value, dk_2)
            db_2 = multiply_add_half(g, correction, db_2)
            dd_2 = multiply_add_half(g, S, dd_2)
            da_2 = multiply_add_half(S, gradient, da_2)
            dr_2 = multiply_add_half(S, incoming, dr_2)
        add_eight_sums(quads, 4 * j, dk, db, dd, da, dk_2, db_2, dd_2, da_2)
        add_two_sums(rho, j, dr, dr_2)


@njit(**PART)
def reduce(G, before, v, s, ds, dy, quads, rho, blocks):
    """The sums over values: dk, db, dd, da of a token, in turns, to quads, and S dy of the former one to rho."""
    if blocks == 2:
        _reduce(G, before, v, s, ds, dy, quads, rho, 2)
    else:
        _reduce(G, before, v, s, ds, dy, quads, rho, 1)


@njit(**PART)
def project(S, dy, rho, blocks):
    """Of the last token of a chunk: S dy to rho."""
    for j in range(0, N, 2):
        dr, dr_2 = zero_half(), zero_half()
        for q in range(2 * blocks):
            place = q // 2 * BLOCK_FLOATS + j * VALUES + q % 2 * HALF
            incoming = load_half(dy, q * HALF)
            dr = multiply_add_half(load_half(S, place), incoming, dr)
            dr_2 = multiply_add_half(load_half(S, place + VALUES), incoming, dr_2)
        add_two_sums(rho, j, dr, dr_2)

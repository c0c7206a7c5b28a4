"""The sweeps of the backward over two tokens at a time, in the scaled form of `numba_pairs`.

S and G are kept twice in the course of a chunk. As [block, key, value], where SIMD runs over the values, they give sums
over keys: s, dv and ds. Transposed, as [value, key], they give sums over values: dr, da, dk, db; by then all of s and
ds is known, so that nothing waits for anything. So no sum over the lanes of a vector is ever taken.

All arguments are addresses; `row` is that of the earlier token in the direction's order.
"""

from numba import njit

from .numba_rows import INLINE, PART
from .numba_sums import sum_lanes, transpose_tile
from .numba_vector import broadcast, load, multiply, multiply_add, splat, store, store_scalar, zero
from .pair_gradients_layout import DA, DB, DK, DS, DV, DY, GR, RHO, ROW, S_A, A, B, K, P, V
from .vector_width import HALF, VALUES, N


@njit(**PART)
def cross(first, second, other, dots):
    """The products of the row vectors at `first` and `second` with that at `other`."""
    x, y = zero(), zero()
    for j in range(0, N, VALUES):
        z = load(other, j)
        x = multiply_add(load(first, j), z, x)
        y = multiply_add(load(second, j), z, y)
    store_scalar(dots, 0, sum_lanes(x))
    store_scalar(dots, 1, sum_lanes(y))


@njit(**INLINE)
def advance_pair(before, after, row, v, now, now_2):
    """States of one block over two tokens; S a of the two tokens behind is returned."""
    value, value_2 = load(row, V + v), load(row, ROW + V + v)
    s_3 = s_4 = zero()
    for j in range(N):
        x = multiply_add(now, broadcast(row, B + j), load(before, j * VALUES))
        x = multiply_add(value, broadcast(row, K + j), x)
        x = multiply_add(now_2, broadcast(row, ROW + B + j), x)
        x = multiply_add(value_2, broadcast(row, ROW + K + j), x)
        store(after, j * VALUES, x)
        s_3 = multiply_add(x, broadcast(row, 2 * ROW + A + j), s_3)
        s_4 = multiply_add(x, broadcast(row, 3 * ROW + A + j), s_4)
    return s_3, s_4


@njit(**INLINE)
def advance_last_pair(before, after, row, v, now, now_2):
    """The last two tokens of a chunk; the state is stored with the product of the decays."""
    value, value_2 = load(row, V + v), load(row, ROW + V + v)
    for j in range(N):
        x = multiply_add(now, broadcast(row, B + j), load(before, j * VALUES))
        x = multiply_add(value, broadcast(row, K + j), x)
        x = multiply_add(now_2, broadcast(row, ROW + B + j), x)
        x = multiply_add(value_2, broadcast(row, ROW + K + j), x)
        store(after, j * VALUES, multiply(x, broadcast(row, ROW + P + j)))


@njit(**INLINE)
def enter_chunk(G, row):
    """G of one block times the product of the chunk's decays; `row` is its last. G b of that token is returned."""
    correction = correction_odd = zero()
    for j in range(0, N, 2):
        x = multiply(load(G, j * VALUES), broadcast(row, P + j))
        store(G, j * VALUES, x)
        correction = multiply_add(x, broadcast(row, B + j), correction)
        x = multiply(load(G, (j + 1) * VALUES), broadcast(row, P + j + 1))
        store(G, (j + 1) * VALUES, x)
        correction_odd = multiply_add(x, broadcast(row, B + j + 1), correction_odd)
    return multiply_add(correction, splat(1.0), correction_odd)


@njit(**INLINE)
def retreat_pair(G, row, v, later, now):
    """Back over two tokens of one block: dv of both to their rows; G b of the two before them is returned.

    `later` is ds of the token behind the pair, `now` that of its second token.
    """
    incoming, incoming_2 = load(row, DY + v), load(row, ROW + DY + v)
    dv = dv_2 = ds = ds_before = zero()
    for j in range(N):
        x = multiply_add(later, broadcast(row, 2 * ROW + A + j), load(G, j * VALUES))
        x = multiply_add(incoming_2, broadcast(row, ROW + GR + j), x)
        dv_2 = multiply_add(x, broadcast(row, ROW + K + j), dv_2)
        x = multiply_add(now, broadcast(row, ROW + A + j), x)
        x = multiply_add(incoming, broadcast(row, GR + j), x)
        store(G, j * VALUES, x)
        dv = multiply_add(x, broadcast(row, K + j), dv)
        ds = multiply_add(x, broadcast(row, B + j), ds)
        ds_before = multiply_add(x, broadcast(row, B - ROW + j), ds_before)
    store(row, DV + v, dv)
    store(row, ROW + DV + v, dv_2)
    return ds, ds_before


@njit(**PART)
def transpose(blocks, target, first_block, last_block):
    """From [block, key, value] to [value, key], some of the blocks."""
    for block in range(first_block, last_block):
        for key in range(0, N, HALF):
            for value in range(0, VALUES, HALF):
                source = blocks + 4 * (block * N * VALUES + key * VALUES + value)
                transpose_tile(source, VALUES, target + 4 * ((block * VALUES + value) * N + key), N)


@njit(**PART)
def project_pair(S, row, low, high):
    """Transposed states over two tokens: S dy after each and S ds before each, for values low to high."""
    for i in range(0, N, VALUES):
        b, k = load(row, B + i), load(row, K + i)
        b_2, k_2 = load(row, ROW + B + i), load(row, ROW + K + i)
        rho = rho_2 = da = da_2 = zero()
        for v in range(low, high):
            x = load(S, v * N + i)
            da = multiply_add(x, broadcast(row, DS + v), da)
            x = multiply_add(b, broadcast(row, S_A + v), x)
            x = multiply_add(k, broadcast(row, V + v), x)
            rho = multiply_add(x, broadcast(row, DY + v), rho)
            da_2 = multiply_add(x, broadcast(row, ROW + DS + v), da_2)
            x = multiply_add(b_2, broadcast(row, ROW + S_A + v), x)
            x = multiply_add(k_2, broadcast(row, ROW + V + v), x)
            rho_2 = multiply_add(x, broadcast(row, ROW + DY + v), rho_2)
            store(S, v * N + i, x)
        store(row, RHO + i, rho)
        store(row, DA + i, da)
        store(row, ROW + RHO + i, rho_2)
        store(row, ROW + DA + i, da_2)


@njit(**PART)
def overlap(G, S, row, low, high, total):
    """Transposed G times the product of the chunk's decays; the sums over values of G S to total."""
    for i in range(0, N, VALUES):
        product = load(row, P + i)
        sums = zero()
        for v in range(low, high):
            x = multiply(load(G, v * N + i), product)
            store(G, v * N + i, x)
            sums = multiply_add(x, load(S, v * N + i), sums)
        store(total, i, sums)


@njit(**PART)
def reflect_pair(G, row, low, high):
    """Transposed G back over two tokens: G v and G s at each, for values low to high."""
    for i in range(0, N, VALUES):
        r, a = load(row, GR + i), load(row, A + i)
        r_2, a_2 = load(row, ROW + GR + i), load(row, ROW + A + i)
        dk = dk_2 = db = db_2 = zero()
        for v in range(low, high):
            x = multiply_add(r_2, broadcast(row, ROW + DY + v), load(G, v * N + i))
            dk_2 = multiply_add(x, broadcast(row, ROW + V + v), dk_2)
            db_2 = multiply_add(x, broadcast(row, ROW + S_A + v), db_2)
            x = multiply_add(a_2, broadcast(row, ROW + DS + v), x)
            x = multiply_add(r, broadcast(row, DY + v), x)
            dk = multiply_add(x, broadcast(row, V + v), dk)
            db = multiply_add(x, broadcast(row, S_A + v), db)
            x = multiply_add(a, broadcast(row, DS + v), x)
            store(G, v * N + i, x)
        store(row, DK + i, dk)
        store(row, DB + i, db)
        store(row, ROW + DK + i, dk_2)
        store(row, ROW + DB + i, db_2)

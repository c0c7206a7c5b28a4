"""Bi-WKV-7 backward of one direction, two tokens at a time, for decays that `numba_pairs` can take out of the state.

The states are run through once; the state before every chunk and all of s are kept. Then, from the last chunk to the
first: G back over the chunk, which gives dv and ds; the states forwards again, transposed, which gives dr and da;
G back again, transposed, which gives dk and db. Names as in `numba_backward`; scaled values are what they are in
`numba_pairs`, and gradients by them are scaled the other way.

The gradient of log d needs no sums of its own. With phi = sum of G * S over values, G and S those of one moment::

    log d: phi_t - b db - k dk, with phi_t of the moment after token t      phi_{t-1} = that + a da + (g r rho)_{t-1}

Such products are the same scaled or not. phi is summed up anew at the end of every chunk.
"""

from numba import njit

from .backward_layout import (
    BLOCK_FLOATS,
    DECAYS,
    GRADIENTS,
    PARTS,
    TENSOR_A,
    TENSOR_B,
    TENSOR_DA,
    TENSOR_DB,
    TENSOR_DK,
    TENSOR_DR,
    TENSOR_DV,
    TENSOR_DW,
    TENSOR_DY,
    TENSOR_K,
    TENSOR_R,
    TENSOR_V,
    TOKENS,
)
from .layout import FLOAT32
from .numba_gradient_rows import fetch_token, settle, settle_gate, share_of
from .numba_pair_gradients import (
    advance_last_pair,
    advance_pair,
    cross,
    enter_chunk,
    overlap,
    project_pair,
    reflect_pair,
    retreat_pair,
    transpose,
)
from .numba_pairs import apply_pair
from .numba_rows import INLINE, PART, clear, copy, fetch, kind_of, place, read, take_row, token_of
from .numba_sums import sum_lanes
from .numba_vector import broadcast, load, multiply, multiply_add, reciprocal, splat, store, zero
from .numba_words import word
from .pair_gradients_layout import (
    DA,
    DB,
    DK,
    DOTS,
    DS,
    DV,
    DY,
    G_BLOCKS,
    G_TRANSPOSED,
    GR,
    INVERSE,
    KEPT,
    LATER,
    LATER_A,
    OVERLAP,
    RHO,
    ROW,
    ROWS,
    S_A,
    S_TRANSPOSED,
    A,
    B,
    E,
    K,
    P,
    R,
    V,
)
from .pairs_layout import PAIRED_CHUNK
from .vector_width import VALUES, N


@njit(**INLINE)
def minus(x, y, z):
    """``z - x * y``."""
    return multiply_add(multiply(splat(-1.0), x), y, z)


@njit(**PART)
def gather(p, table, row, n, t, h):
    """What the states need of token t, scaled; the product of the decays before it is in the row before."""
    copy(table + 4 * (t * DECAYS + 1) * N, row + 4 * E)
    k, b = place(p, TENSOR_K, n, t, h), place(p, TENSOR_B, n, t, h)
    a = place(p, TENSOR_A, n, t, h)
    for j in range(0, N, VALUES):
        before = load(row, P - ROW + j)
        after = multiply(before, load(table, t * DECAYS * N + j))
        inverse = reciprocal(after)
        store(row, P + j, after)
        store(row, INVERSE + j, inverse)
        store(row, K + j, multiply(read(k, j, kind_of(p, TENSOR_K)), inverse))
        store(row, B + j, multiply(read(b, j, kind_of(p, TENSOR_B)), inverse))
        store(row, A + j, multiply(read(a, j, kind_of(p, TENSOR_A)), before))
    take_row(p, TENSOR_V, n, t, h, row + 4 * V)


@njit(**PART)
def gather_more(p, row, n, t, h, g, s):
    """What the gradients need besides."""
    take_row(p, TENSOR_DY, n, t, h, row + 4 * DY)
    copy(s, row + 4 * S_A)
    r = place(p, TENSOR_R, n, t, h)
    share = splat(g)
    for j in range(0, N, VALUES):
        x = multiply(read(r, j, kind_of(p, TENSOR_R)), load(row, P + j))
        store(row, R + j, x)
        store(row, GR + j, multiply(share, x))


@njit(**PART)
def fill_up(row):
    """A token that changes nothing: the last chunk's length is made up with them."""
    clear(row, ROW)
    copy(row + 4 * (P - ROW), row + 4 * P)
    copy(row + 4 * (INVERSE - ROW), row + 4 * INVERSE)


@njit(**PART)
def begin_rows(scratch):
    """The rows around a chunk: products of no decays before it, zeros behind it."""
    rows = scratch + 4 * ROWS
    clear(rows - 4 * ROW, ROW)
    for j in range(0, N, VALUES):
        store(rows, P - ROW + j, splat(1.0))
        store(rows, INVERSE - ROW + j, splat(1.0))
    clear(rows + 4 * PAIRED_CHUNK * ROW, 2 * ROW)


@njit(**PART)
def keep_states(p, scratch, table, n, h, direction, first_block, last_block, all_s):
    """Run the recurrence; keep the state before each chunk and all of s."""
    tokens = word(p, TOKENS)
    rows, dots = scratch + 4 * ROWS, scratch + 4 * DOTS
    clear(scratch + 4 * KEPT, N * N)
    for start in range(0, tokens, PAIRED_CHUNK):
        for i in range(PAIRED_CHUNK):
            row = rows + 4 * i * ROW
            if start + i < tokens:
                gather(p, table, row, n, token_of(start + i, direction, tokens), h)
            else:
                fill_up(row)
        for i in range(0, PAIRED_CHUNK, 2):
            row = rows + 4 * i * ROW
            cross(row + 4 * B, row + 4 * K, row + 4 * (ROW + A), dots + 4 * i)
        for block in range(first_block, last_block):
            v = block * VALUES
            before = scratch + 4 * (KEPT + start // PAIRED_CHUNK * N * N + v * N)
            after = before + 4 * N * N
            now, coming = apply_pair(before, rows + 4 * A, ROW)
            for i in range(0, PAIRED_CHUNK, 2):
                if block == first_block:
                    for u in range(start + PAIRED_CHUNK + i, start + PAIRED_CHUNK + i + 2):
                        fetch_token(
                            p, n, token_of(min(u, tokens - 1), direction, tokens), h, TENSOR_K, TENSOR_B
                        )
                row = rows + 4 * i * ROW
                now_2 = multiply_add(now, broadcast(dots, i), coming)
                now_2 = multiply_add(load(row, V + v), broadcast(dots, i + 1), now_2)
                store(all_s, (start + i) * N + v, now)
                store(all_s, (start + i + 1) * N + v, now_2)
                if i + 2 < PAIRED_CHUNK:
                    now, coming = advance_pair(before, after, row, v, now, now_2)
                else:
                    advance_last_pair(before, after, row, v, now, now_2)
                before = after


@njit(**PART)
def fetch_gradients(p, table, n, t, h, direction):
    """Ask for the places of a token's gradients: nothing reads them before they are written."""
    rounded = kind_of(p, TENSOR_DR) != FLOAT32
    if rounded:
        fetch(table + 4 * (word(p, TOKENS) * DECAYS + t * GRADIENTS) * N, 4 * GRADIENTS * N)
    if direction == 1 or not rounded:
        fetch_token(p, n, t, h, TENSOR_DR, TENSOR_DB)


@njit(**PART)
def differentiate(p, scratch, table, kept, n, h, start, direction, first_block, last_block, out):
    """One chunk of some blocks: gradients by what is scaled, in the rows; meanwhile what comes next is asked for."""
    tokens = word(p, TOKENS)
    rows, dots = scratch + 4 * ROWS, scratch + 4 * DOTS
    last = rows + 4 * (PAIRED_CHUNK - 1) * ROW
    for i in range(0, PAIRED_CHUNK, 2):
        row = rows + 4 * i * ROW
        cross(row + 4 * (2 * ROW + A), row + 4 * (ROW + GR), row + 4 * (ROW + B), dots + 4 * i)
    for block in range(first_block, last_block):
        v = block * VALUES
        G = scratch + 4 * (G_BLOCKS + v * N)
        later = load(scratch, LATER + v)
        coming = enter_chunk(G, last)
        for i in range(PAIRED_CHUNK - 2, -1, -2):
            fetch(
                kept - 4 * N * N + 4 * (v * N + i * BLOCK_FLOATS // PAIRED_CHUNK),
                8 * BLOCK_FLOATS // PAIRED_CHUNK,
            )
            row = rows + 4 * i * ROW
            now = multiply_add(later, broadcast(dots, i), coming)
            now = multiply_add(load(row, ROW + DY + v), broadcast(dots, i + 1), now)
            store(row, ROW + DS + v, now)
            later, coming = retreat_pair(G, row, v, later, now)
            store(row, DS + v, later)
        store(scratch, LATER + v, later)
    low, high = first_block * VALUES, last_block * VALUES
    S, G = scratch + 4 * S_TRANSPOSED, scratch + 4 * G_TRANSPOSED
    transpose(kept, S, first_block, last_block)
    for i in range(0, PAIRED_CHUNK, 2):
        for u in range(start + i, start + i + 2):
            fetch_gradients(p, table, out, token_of(min(u, tokens - 1), direction, tokens), h, direction)
        project_pair(S, rows + 4 * i * ROW, low, high)
    overlap(G, S, last, low, high, scratch + 4 * OVERLAP)
    for i in range(PAIRED_CHUNK - 2, -1, -2):
        for u in range(start - PAIRED_CHUNK + i, start - PAIRED_CHUNK + i + 2):
            t = token_of(max(u, 0), direction, tokens)
            fetch_token(p, n, t, h, TENSOR_DY, TENSOR_R)
            fetch_token(p, n, t, h, TENSOR_K, TENSOR_B)
            fetch(table + 4 * t * DECAYS * N, 4 * DECAYS * N)
        reflect_pair(G, rows + 4 * i * ROW, low, high)


@njit(**PART)
def settle_token(p, scratch, i, met, direction, n, t, h, g):
    """The gradients of the chunk's i-th token to where they belong; phi goes on to the token before."""
    row = scratch + 4 * (ROWS + i * ROW)
    alone, first = word(p, PARTS) > 1, direction == 0
    share = splat(g)
    total = zero()
    for j in range(0, N, VALUES):
        rho, dk, db, da = load(row, RHO + j), load(row, DK + j), load(row, DB + j), load(row, DA + j)
        product, inverse, before = load(row, P + j), load(row, INVERSE + j), load(row, P - ROW + j)
        total = multiply_add(rho, load(row, R + j), total)
        log_d = multiply_add(rho, load(row, GR + j), load(scratch, OVERLAP + j))
        log_d = minus(load(row, B + j), db, log_d)
        log_d = minus(load(row, K + j), dk, log_d)
        store(scratch, OVERLAP + j, multiply_add(load(row, A + j), da, log_d))
        dw = multiply(multiply(log_d, load(row, E + j)), multiply(inverse, before))
        settle(p, TENSOR_DR, met, alone, first, n, t, h, j, multiply(multiply(rho, product), share))
        settle(p, TENSOR_DW, met + 4 * N, alone, first, n, t, h, j, dw)
        settle(p, TENSOR_DK, met + 8 * N, alone, first, n, t, h, j, multiply(dk, inverse))
        settle(p, TENSOR_DV, met + 12 * N, alone, first, n, t, h, j, load(row, DV + j))
        settle(p, TENSOR_DA, met + 16 * N, alone, first, n, t, h, j, multiply(da, before))
        settle(p, TENSOR_DB, met + 20 * N, alone, first, n, t, h, j, multiply(db, inverse))
    settle_gate(p, alone, first, n, t, h, sum_lanes(total))


@njit(**PART)
def run_direction_in_pairs(p, scratch, table, n, h, direction, first_block, last_block, out):
    """One direction of some blocks of one head of sequence n; `out` is the sequence's place in the outputs."""
    tokens = word(p, TOKENS)
    chunks = (tokens + PAIRED_CHUNK - 1) // PAIRED_CHUNK
    rows = scratch + 4 * ROWS
    all_s = scratch + 4 * (KEPT + (chunks + 1) * N * N)
    meeting = table + 4 * tokens * DECAYS * N
    begin_rows(scratch)
    keep_states(p, scratch, table, n, h, direction, first_block, last_block, all_s)
    clear(scratch + 4 * G_BLOCKS, 2 * N * N)
    clear(scratch + 4 * LATER, 2 * N)
    clear(rows, PAIRED_CHUNK * ROW)
    for chunk in range(chunks - 1, -1, -1):
        start = chunk * PAIRED_CHUNK
        length = min(PAIRED_CHUNK, tokens - start)
        for i in range(PAIRED_CHUNK):
            row = rows + 4 * i * ROW
            if i < length:
                t = token_of(start + i, direction, tokens)
                gather(p, table, row, n, t, h)
                g = share_of(p, n, t, h, direction)
                gather_more(p, row, n, t, h, g, all_s + 4 * (start + i) * N)
            else:
                fill_up(row)
        for j in range(0, N, VALUES):
            a = multiply(load(scratch, LATER_A + j), load(rows, (PAIRED_CHUNK - 1) * ROW + P + j))
            store(rows, PAIRED_CHUNK * ROW + A + j, a)
        kept = scratch + 4 * (KEPT + chunk * N * N)
        differentiate(p, scratch, table, kept, n, h, start, direction, first_block, last_block, out)
        copy(rows + 4 * A, scratch + 4 * LATER_A)
        for i in range(length - 1, -1, -1):
            t = token_of(start + i, direction, tokens)
            met = meeting + 4 * t * GRADIENTS * N
            settle_token(p, scratch, i, met, direction, out, t, h, share_of(p, n, t, h, direction))

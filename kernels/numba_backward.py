"""Bi-WKV-7 backward.

For each head and direction: the states are run through once and kept every `CHUNK` tokens; then, from the last chunk to
the first, the states of the chunk are computed again and the gradient G of the state is carried back over them.
Nothing is ever divided by a decay. That takes heads with any decays; those whose decays are all as slow as the model's
go through `numba_backward_pairs`, which does the same with fewer operations.

Per token, with S_before and S the states around it, g the direction's share of the gate, and g dy r^T already in G::

    dk = G v    db = G s    dd = sum of G * S_before over values    da = S_before ds    dv = k G    ds = b G
    dr = g rho with rho = S dy    dgate = r . (rho_forward - rho_backward)    dw = dd * (derivative of d by w)
    G  <- G diag(d) + a ds^T, and then, for the token before: + g dy r^T
"""

from numba import njit

from .backward_layout import (
    BATCH,
    BLOCK_FLOATS,
    DECAYS,
    DS,
    DV,
    DY,
    G_BLOCKS,
    GR,
    GRADIENTS,
    GROUP,
    HEADS,
    KEPT,
    KEPT_FLOATS,
    NEXT_SCRATCH,
    NEXT_TASK,
    NOTHING,
    PARTS,
    QUADS,
    RHO,
    ROW,
    ROWS,
    S_A,
    SCRATCH,
    SCRATCH_BYTES,
    STATES,
    TASKS,
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
    UNUSED,
    A,
    B,
    D,
    E,
    K,
    R,
    V,
)
from .layout import APART, CHUNK
from .numba_backward_pairs import run_direction_in_pairs
from .numba_gradient_rows import fetch_token, settle, settle_gate, share_of, tabulate
from .numba_rows import INLINE, PART, clear, copy, kind_of, place, read, take_row, token_of
from .numba_sums import load_fours, sum_lanes
from .numba_sweeps import advance, enter, project, reduce, retreat
from .numba_tasks import next_task
from .numba_vector import load, multiply, multiply_add, splat, store, zero
from .numba_words import take, word
from .pairs_layout import PAIRED_CHUNK
from .vector_width import BLOCKS, VALUES, N


@njit(**PART)
def gather(p, table, row, n, t, u, h):
    """What the states need: fill a row for token t, and the a of token u, which comes next, in the row behind it."""
    copy(table + 4 * t * DECAYS * N, row + 4 * D)
    copy(table + 4 * (t * DECAYS + 1) * N, row + 4 * E)
    take_row(p, TENSOR_K, n, t, h, row + 4 * K)
    take_row(p, TENSOR_B, n, t, h, row + 4 * B)
    take_row(p, TENSOR_V, n, t, h, row + 4 * V)
    take_row(p, TENSOR_A, n, u, h, row + 4 * (ROW + A))


@njit(**INLINE)
def gather_more(p, row, n, t, h, g):
    """What the gradients need besides."""
    take_row(p, TENSOR_A, n, t, h, row + 4 * A)
    take_row(p, TENSOR_DY, n, t, h, row + 4 * DY)
    r = place(p, TENSOR_R, n, t, h)
    share = splat(g)
    for i in range(0, N, VALUES):
        x = read(r, i, kind_of(p, TENSOR_R))
        store(row, R + i, x)
        store(row, GR + i, multiply(share, x))


@njit(**PART)
def keep_states(p, scratch, table, n, h, direction, first_block, last_block):
    """Run the recurrence and keep the state before each chunk."""
    tokens = word(p, TOKENS)
    rows = scratch + 4 * ROWS
    clear(scratch + 4 * KEPT, KEPT_FLOATS)
    for start in range(0, tokens - CHUNK, CHUNK):
        kept = scratch + 4 * (KEPT + start // CHUNK * KEPT_FLOATS)
        for i in range(CHUNK):  # only the last chunk can be shorter, and its end is not kept
            t, u = token_of(start + i, direction, tokens), token_of(start + i + 1, direction, tokens)
            gather(p, table, rows + 4 * i * ROW, n, t, u, h)
        for block in range(first_block, last_block):
            v = 4 * block * VALUES
            before, s = kept + N * v, kept + 4 * N * N + v
            after, s_coming = before + 4 * KEPT_FLOATS, s + 4 * KEPT_FLOATS
            for i in range(CHUNK):
                if block == first_block:
                    t = token_of(min(start + CHUNK + i, tokens - 1), direction, tokens)
                    fetch_token(p, n, t, h, TENSOR_K, TENSOR_B)
                row = rows + 4 * i * ROW
                advance(before, after, row, row + 4 * V + v, s, s_coming)
                before, s = after, s_coming


@njit(**PART)
def differentiate(scratch, kept, length, block, blocks):
    """One chunk of one group of blocks: states again, then back over them."""
    state_bytes = 4 * GROUP * BLOCK_FLOATS
    s_bytes = 4 * GROUP * VALUES
    rows, states, s, ds = scratch + 4 * ROWS, scratch + 4 * STATES, scratch + 4 * S_A, scratch + 4 * DS
    rho, dv = scratch + 4 * RHO, scratch + 4 * DV
    G = scratch + 4 * (G_BLOCKS + block * BLOCK_FLOATS)
    first = kept + 4 * block * BLOCK_FLOATS
    nothing, unused = scratch + 4 * NOTHING, scratch + 4 * UNUSED
    last = length - 1
    for q in range(blocks):
        v, state, s_now = 4 * (block + q) * VALUES, 4 * q * BLOCK_FLOATS, s + 4 * q * VALUES
        store(s_now, 0, load(kept, N * N + (block + q) * VALUES))
        before = first + state
        for i in range(length):
            row, after = rows + 4 * i * ROW, states + i * state_bytes + state
            advance(before, after, row, row + 4 * V + v, s_now, s_now + s_bytes)
            before, s_now = after, s_now + s_bytes
        row = rows + 4 * last * ROW
        enter(G + state, row, row + 4 * DY + v, dv + 4 * last * N + v, ds + 4 * q * VALUES)
    v = 4 * block * VALUES
    project(states + last * state_bytes, rows + 4 * (last * ROW + DY) + v, rho + 4 * last * N, blocks)
    for i in range(last, -1, -1):
        row = rows + 4 * i * ROW
        quads = scratch + 4 * (QUADS + i * N * 4)
        if i > 0:
            former, before, dy = row - 4 * ROW, states + (i - 1) * state_bytes, row + 4 * (DY - ROW) + v
            reduce(G, before, row + 4 * V + v, s + i * s_bytes, ds, dy, quads, rho + 4 * (i - 1) * N, blocks)
            dv_former = dv + 4 * (i - 1) * N + v
            for q in range(blocks):
                w = 4 * q * VALUES
                retreat(G + N * w, row, ds + w, former, dy + w, dv_former + w)
        else:
            reduce(G, first, row + 4 * V + v, s, ds, nothing, quads, unused, blocks)
            for q in range(blocks):
                w = 4 * q * VALUES
                retreat(G + N * w, row, ds + w, row, nothing, unused)


@njit(**PART)
def settle_token(p, scratch, i, met, direction, n, t, h, g):
    """The gradients of the chunk's i-th token, summed over the blocks, to where they belong."""
    row, rho, quads = (
        scratch + 4 * (ROWS + i * ROW),
        scratch + 4 * (RHO + i * N),
        scratch + 4 * (QUADS + i * N * 4),
    )
    alone, first = word(p, PARTS) > 1, direction == 0
    share = splat(g)
    total = zero()
    for j in range(0, N, VALUES):
        x = load(rho, j)
        total = multiply_add(x, load(row, R + j), total)
        dk, db, dd, da = load_fours(quads, 4 * j)
        settle(p, TENSOR_DR, met, alone, first, n, t, h, j, multiply(x, share))
        settle(p, TENSOR_DW, met + 4 * N, alone, first, n, t, h, j, multiply(dd, load(row, E + j)))
        settle(p, TENSOR_DK, met + 8 * N, alone, first, n, t, h, j, dk)
        settle(p, TENSOR_DV, met + 12 * N, alone, first, n, t, h, j, load(scratch, DV + i * N + j))
        settle(p, TENSOR_DA, met + 16 * N, alone, first, n, t, h, j, da)
        settle(p, TENSOR_DB, met + 20 * N, alone, first, n, t, h, j, db)
    settle_gate(p, alone, first, n, t, h, sum_lanes(total))


@njit(**PART)
def run_direction(p, scratch, table, n, h, direction, first_block, last_block, out):
    """One direction of some blocks of one head of sequence n; `out` is the sequence's place in the outputs."""
    tokens = word(p, TOKENS)
    chunks = (tokens + CHUNK - 1) // CHUNK
    rows = scratch + 4 * ROWS
    meeting = table + 4 * tokens * DECAYS * N
    keep_states(p, scratch, table, n, h, direction, first_block, last_block)
    clear(scratch + 4 * G_BLOCKS, N * N)
    clear(scratch + 4 * NOTHING, GROUP * VALUES)
    clear(scratch + 4 * UNUSED, N)
    for chunk in range(chunks - 1, -1, -1):
        start = chunk * CHUNK
        length = min(CHUNK, tokens - start)
        clear(scratch + 4 * QUADS, length * N * 4)
        clear(scratch + 4 * RHO, length * N)
        clear(scratch + 4 * DV, length * N)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            u = token_of(min(start + i + 1, tokens - 1), direction, tokens)
            gather(p, table, rows + 4 * i * ROW, n, t, u, h)
            # after gather: the token before has put this one's a there already, but the first has none before it
            gather_more(p, rows + 4 * i * ROW, n, t, h, share_of(p, n, t, h, direction))
        for i in range(length):
            fetch_token(p, n, token_of(max(start - 1 - i, 0), direction, tokens), h, TENSOR_DY, TENSOR_B)
        for block in range(first_block, last_block, GROUP):
            blocks = min(GROUP, last_block - block)
            differentiate(scratch, scratch + 4 * (KEPT + chunk * KEPT_FLOATS), length, block, blocks)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            met = meeting + 4 * t * GRADIENTS * N
            settle_token(p, scratch, i, met, direction, out, t, h, share_of(p, n, t, h, direction))


def backward_tasks(parameters):
    """Take tasks until there are none left; as many threads as like may do so at once.

    A task is a part of the directions and blocks of one head of one sequence. Where there is one part, it writes the
    gradients in their tensors' kinds; where there are more, each writes float32 into its own share of tensors
    ``(parts * B, T, H, N)``, to be summed up. In the latter only its own blocks' columns of dv are not 0.
    """
    p = parameters
    parts, heads, batch = word(p, PARTS), word(p, HEADS), word(p, BATCH)
    tasks = word(p, TASKS)
    thread = take(p, NEXT_SCRATCH)
    if thread >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, SCRATCH) + thread * word(p, SCRATCH_BYTES)
    task = next_task(p, NEXT_TASK, tasks, thread)
    while task < tasks:
        part = task % parts
        h = (task // parts) % heads
        n = task // (parts * heads)
        first_unit, last_unit = 2 * BLOCKS * part // parts, 2 * BLOCKS * (part + 1) // parts
        table_floats = word(p, TOKENS) * (DECAYS + GRADIENTS) * N
        table = scratch + word(p, SCRATCH_BYTES) - 4 * (table_floats + APART)
        # With less than a chunk there would be more filling than work; and with one token, whose dw is 0, nothing but
        # the errors of rounding of the differences that dw is taken from.
        paired = tabulate(p, table, n, h) and word(p, TOKENS) >= PAIRED_CHUNK
        for direction in range(2):
            first_block = max(first_unit - direction * BLOCKS, 0)
            last_block = min(last_unit - direction * BLOCKS, BLOCKS)
            if first_block >= last_block:
                continue
            out = part * batch + n
            if paired:
                run_direction_in_pairs(p, scratch, table, n, h, direction, first_block, last_block, out)
            else:
                run_direction(p, scratch, table, n, h, direction, first_block, last_block, out)
        task = next_task(p, NEXT_TASK, tasks, thread)

"""Bi-WKV-7 backward.

For each head and direction: the states are run through once and kept every `CHUNK` tokens; then, from the last chunk to
the first, the states of the chunk are computed again and the gradient G of the state is carried back over them. Nothing is ever
divided by a decay.

As in the forward, S and G are kept as [key, value] with SIMD over values. Per token, with G already holding dy r^T::

    dk = G v    db = G s    dd = sum of G * S_before over values    da = S_before ds    dv = k G    ds = b G
    G  <- G diag(d) + a ds^T, and, of the token before: + r dy^T, dv, ds

so that one sweep over G and S_before does a token and the beginning of the one before it. dr, of a gate not
yet applied (rho), falls out of the second forward run; dgate = r . (rho_forward - rho_backward).
"""

from numba import njit, types

from .numba_rows import CHUNK, PLAIN, TENSOR_WORDS, copy, place, read, write
from .numba_vector import (
    BLOCKS,
    VALUES,
    N,
    add,
    add_quad,
    broadcast,
    exp,
    load,
    load_every_fourth,
    load_scalar,
    multiply,
    multiply_add,
    splat,
    store,
    store_scalar,
    sum_lanes,
    sum_lanes_of_four,
    take,
    word,
    zero,
)

# Words of the parameter block.
NEXT_TASK, NEXT_SCRATCH, TASKS, SCRATCH, SCRATCH_BYTES, BATCH, TOKENS, HEADS, PARTS, KIND, GATE, DGATE = range(12)
TENSORS = range(12, 12 + 13 * TENSOR_WORDS, TENSOR_WORDS)
TENSOR_DY, TENSOR_R, TENSOR_W, TENSOR_K, TENSOR_V, TENSOR_A, TENSOR_B = TENSORS[:7]
TENSOR_DR, TENSOR_DW, TENSOR_DK, TENSOR_DV, TENSOR_DA, TENSOR_DB = TENSORS[7:]
WORDS = TENSORS.stop

# Offsets in the row of a token, in floats. GR is r times the direction's share of the gate, E is the derivative of d by w.
D, K, B, A, GR, R, E, V, DY = range(0, 9 * N, N)
ROW = 9 * N

BLOCK_FLOATS = N * VALUES  # a block of S or of G
KEPT_FLOATS = (N + 1) * N  # a kept state: the blocks of S, each followed by S a of the coming token
GRADIENTS = 6  # dr, dw, dk, dv, da, db

# Offsets in a thread's scratch memory, in floats.
ROWS = 0
G_BLOCKS = ROWS + (CHUNK + 1) * ROW
STATE_LIST = G_BLOCKS + N * N  # of one block: the states after each token of the chunk
S_A = STATE_LIST + CHUNK * BLOCK_FLOATS  # of one block: S a of each token, and of the next
DS = S_A + (CHUNK + 1) * VALUES
NOTHING = DS + VALUES  # zeros
UNUSED = NOTHING + VALUES  # written, never read
QUADS = UNUSED + VALUES  # dk, db, dd, da side by side, per token and key
RHO = QUADS + CHUNK * N * 4
DV = RHO + CHUNK * N
KEPT = DV + CHUNK * N


def scratch_floats(tokens: int) -> int:
    """Scratch memory of a thread: the above, the kept states, and one direction's gradients until the other's are there."""
    return KEPT + -(-tokens // CHUNK) * KEPT_FLOATS + tokens * GRADIENTS * N


SIGNATURE = types.void(types.int64)


@njit(**PLAIN)
def gather_state(p, row, n, t, u, h, kind):  # type: ignore[no-untyped-def]  # numba infers
    """What the states need: fill a row for token t, and the a of token u, which comes next, in the row behind it."""
    copy(place(p, TENSOR_K, n, t, h), row + 4 * K, kind)
    copy(place(p, TENSOR_B, n, t, h), row + 4 * B, kind)
    copy(place(p, TENSOR_V, n, t, h), row + 4 * V, kind)
    copy(place(p, TENSOR_A, n, u, h), row + 4 * (ROW + A), kind)
    w = place(p, TENSOR_W, n, t, h)
    minus = splat(-1.0)
    for i in range(0, N, VALUES):
        rate = exp(read(w, i, kind))
        d = exp(multiply(minus, rate))
        store(row, D + i, d)
        store(row, E + i, multiply(minus, multiply(d, rate)))


@njit(**PLAIN)
def gather_gradient(p, row, n, t, h, g, kind):  # type: ignore[no-untyped-def]
    """What the gradients need besides; g is the direction's share of the gate."""
    copy(place(p, TENSOR_A, n, t, h), row + 4 * A, kind)
    copy(place(p, TENSOR_DY, n, t, h), row + 4 * DY, kind)
    r = place(p, TENSOR_R, n, t, h)
    share = splat(g)
    for i in range(0, N, VALUES):
        x = read(r, i, kind)
        store(row, R + i, x)
        store(row, GR + i, multiply(share, x))


@njit(nogil=True)
def advance(before, after, row, v, s, s_coming):  # type: ignore[no-untyped-def]
    """One token of one block: the state after it, and S a of the coming token."""
    value = load(v, 0)
    now = load(s, 0)
    coming = zero()
    for j in range(N):
        x = multiply_add(load(before, j * VALUES), broadcast(row, D + j), multiply(value, broadcast(row, K + j)))
        x = multiply_add(now, broadcast(row, B + j), x)
        store(after, j * VALUES, x)
        coming = multiply_add(x, broadcast(row, ROW + A + j), coming)
    store(s_coming, 0, coming)


@njit(nogil=True)
def advance_with_rho(before, after, row, v, s, s_coming, dy, rho):  # type: ignore[no-untyped-def]
    """The same, and rho += S dy."""
    value = load(v, 0)
    now = load(s, 0)
    incoming = load(dy, 0)
    coming = zero()
    for j in range(0, N, 4):
        x0 = multiply_add(load(before, j * VALUES), broadcast(row, D + j), multiply(value, broadcast(row, K + j)))
        x0 = multiply_add(now, broadcast(row, B + j), x0)
        store(after, j * VALUES, x0)
        coming = multiply_add(x0, broadcast(row, ROW + A + j), coming)
        j1 = j + 1
        x1 = multiply_add(load(before, j1 * VALUES), broadcast(row, D + j1), multiply(value, broadcast(row, K + j1)))
        x1 = multiply_add(now, broadcast(row, B + j1), x1)
        store(after, j1 * VALUES, x1)
        coming = multiply_add(x1, broadcast(row, ROW + A + j1), coming)
        j2 = j + 2
        x2 = multiply_add(load(before, j2 * VALUES), broadcast(row, D + j2), multiply(value, broadcast(row, K + j2)))
        x2 = multiply_add(now, broadcast(row, B + j2), x2)
        store(after, j2 * VALUES, x2)
        coming = multiply_add(x2, broadcast(row, ROW + A + j2), coming)
        j3 = j + 3
        x3 = multiply_add(load(before, j3 * VALUES), broadcast(row, D + j3), multiply(value, broadcast(row, K + j3)))
        x3 = multiply_add(now, broadcast(row, B + j3), x3)
        store(after, j3 * VALUES, x3)
        coming = multiply_add(x3, broadcast(row, ROW + A + j3), coming)
        sums = sum_lanes_of_four(
            multiply(x0, incoming), multiply(x1, incoming), multiply(x2, incoming), multiply(x3, incoming)
        )
        add_quad(rho, j, sums)
    store(s_coming, 0, coming)


@njit(nogil=True)
def enter(G, row, dy, dv, ds):  # type: ignore[no-untyped-def]
    """The chunk's last token: G += r dy^T, dv = k G, ds = b G."""
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


@njit(nogil=True)
def retreat(G, before, row, v, s, ds, quads, former, dy, dv):  # type: ignore[no-untyped-def]
    """One token of one block backwards, and the beginning of the former token, whose ds takes the place of this one's."""
    value = load(v, 0)
    correction = load(s, 0)
    gradient = load(ds, 0)
    incoming = load(dy, 0)
    values = zero()
    corrections = zero()
    for j in range(N):
        g = load(G, j * VALUES)
        S = load(before, j * VALUES)
        sums = sum_lanes_of_four(multiply(g, value), multiply(g, correction), multiply(g, S), multiply(S, gradient))
        add_quad(quads, 4 * j, sums)
        g = multiply_add(g, broadcast(row, D + j), multiply(gradient, broadcast(row, A + j)))
        g = multiply_add(incoming, broadcast(former, GR + j), g)
        store(G, j * VALUES, g)
        values = multiply_add(g, broadcast(former, K + j), values)
        corrections = multiply_add(g, broadcast(former, B + j), corrections)
    store(dv, 0, values)
    store(ds, 0, corrections)


@njit(**PLAIN)
def clear(address, floats):  # type: ignore[no-untyped-def]
    """Set to 0."""
    for i in range(0, floats, VALUES):
        store(address, i, zero())


@njit(**PLAIN)
def token_of(i, direction, tokens):  # type: ignore[no-untyped-def]
    """Where the i-th token of a direction stands."""
    return i if direction == 0 else tokens - 1 - i


@njit(nogil=True)
def keep_states(p, scratch, n, h, direction, first_block, last_block):  # type: ignore[no-untyped-def]
    """Run the recurrence and keep the state before each chunk."""
    tokens, kind = word(p, TOKENS), word(p, KIND)
    rows = scratch + 4 * ROWS
    clear(scratch + 4 * KEPT, KEPT_FLOATS)
    for start in range(0, tokens - CHUNK, CHUNK):
        kept = scratch + 4 * (KEPT + start // CHUNK * KEPT_FLOATS)
        following = kept + 4 * KEPT_FLOATS
        for i in range(CHUNK):  # only the last chunk can be shorter, and its end is not kept
            t, u = token_of(start + i, direction, tokens), token_of(start + i + 1, direction, tokens)
            gather_state(p, rows + 4 * i * ROW, n, t, u, h, kind)
        for block in range(first_block, last_block):
            offset = 4 * block * (N + 1) * VALUES
            before = kept + offset
            after = following + offset
            for i in range(CHUNK):
                row = rows + 4 * i * ROW
                advance(before, after, row, row + 4 * (V + block * VALUES), before + 4 * BLOCK_FLOATS, after + 4 * BLOCK_FLOATS)
                before = after


@njit(nogil=True)
def differentiate_block(scratch, kept, length, block):  # type: ignore[no-untyped-def]
    """One chunk of one block: states again, then back over them."""
    rows = scratch + 4 * ROWS
    first_value = 4 * block * VALUES
    G = scratch + 4 * (G_BLOCKS + block * BLOCK_FLOATS)
    states = scratch + 4 * STATE_LIST
    s = scratch + 4 * S_A
    ds = scratch + 4 * DS
    first_state = kept + 4 * block * (N + 1) * VALUES
    store(s, 0, load(first_state, BLOCK_FLOATS))
    before = first_state
    for i in range(length):
        row = rows + 4 * i * ROW
        after = states + 4 * i * BLOCK_FLOATS
        s_now = s + 4 * i * VALUES
        dy = row + 4 * DY + first_value
        rho = scratch + 4 * (RHO + i * N)
        advance_with_rho(before, after, row, row + 4 * V + first_value, s_now, s_now + 4 * VALUES, dy, rho)
        before = after
    dv = scratch + 4 * DV + first_value
    last = length - 1
    row = rows + 4 * last * ROW
    enter(G, row, row + 4 * DY + first_value, dv + 4 * last * N, ds)
    for i in range(last, -1, -1):
        row = rows + 4 * i * ROW
        quads = scratch + 4 * (QUADS + i * N * 4)
        v = row + 4 * V + first_value
        s_now = s + 4 * i * VALUES
        if i > 0:
            before = states + 4 * (i - 1) * BLOCK_FLOATS
            former = row - 4 * ROW
            retreat(G, before, row, v, s_now, ds, quads, former, former + 4 * DY + first_value, dv + 4 * (i - 1) * N)
        else:
            nothing = scratch + 4 * NOTHING
            retreat(G, first_state, row, v, s_now, ds, quads, row, nothing, scratch + 4 * UNUSED)


@njit(**PLAIN)
def settle(p, tensor, met, alone, first, n, t, h, i, x, kind):  # type: ignore[no-untyped-def]
    """Leave a gradient for the other direction, or join the two."""
    if alone:
        store(place(p, tensor, n, t, h), i, x)
    elif first:
        store(met, i, x)
    else:
        write(place(p, tensor, n, t, h), i, add(x, load(met, i)), kind)


@njit(nogil=True)
def settle_token(p, scratch, i, met, alone, direction, n, t, h, g, dgate):  # type: ignore[no-untyped-def]
    """The gradients of the chunk's i-th token, summed over the blocks, to where they belong."""
    kind = word(p, KIND)
    row = scratch + 4 * (ROWS + i * ROW)
    rho = scratch + 4 * (RHO + i * N)
    quads = scratch + 4 * (QUADS + i * N * 4)
    first = direction == 0
    share = splat(g)
    total = zero()
    for j in range(0, N, VALUES):
        x = load(rho, j)
        total = multiply_add(x, load(row, R + j), total)
        settle(p, TENSOR_DR, met, alone, first, n, t, h, j, multiply(x, share), kind)
        x = multiply(load_every_fourth(quads, 4 * j + 2), load(row, E + j))
        settle(p, TENSOR_DW, met + 4 * N, alone, first, n, t, h, j, x, kind)
        settle(p, TENSOR_DK, met + 8 * N, alone, first, n, t, h, j, load_every_fourth(quads, 4 * j), kind)
        settle(p, TENSOR_DV, met + 12 * N, alone, first, n, t, h, j, load(scratch, DV + i * N + j), kind)
        settle(p, TENSOR_DA, met + 16 * N, alone, first, n, t, h, j, load_every_fourth(quads, 4 * j + 3), kind)
        settle(p, TENSOR_DB, met + 20 * N, alone, first, n, t, h, j, load_every_fourth(quads, 4 * j + 1), kind)
    dg = sum_lanes(total)
    if alone:
        store_scalar(dgate, 0, dg if first else -dg)
    elif first:
        store_scalar(dgate, 0, dg)
    else:
        store_scalar(dgate, 0, load_scalar(dgate, 0) - dg)


@njit(nogil=True)
def run_direction(p, scratch, n, h, direction, first_block, last_block, batch_index):  # type: ignore[no-untyped-def]
    """One direction of some blocks of one head; batch_index is the sequence's row in the outputs."""
    tokens, heads, parts, kind = word(p, TOKENS), word(p, HEADS), word(p, PARTS), word(p, KIND)
    chunks = (tokens + CHUNK - 1) // CHUNK
    rows = scratch + 4 * ROWS
    meeting = scratch + 4 * (KEPT + chunks * KEPT_FLOATS)
    keep_states(p, scratch, n, h, direction, first_block, last_block)
    clear(scratch + 4 * G_BLOCKS, N * N)
    clear(scratch + 4 * NOTHING, VALUES)
    for chunk in range(chunks - 1, -1, -1):
        start = chunk * CHUNK
        length = min(CHUNK, tokens - start)
        clear(scratch + 4 * QUADS, length * N * 4)
        clear(scratch + 4 * RHO, length * N)
        clear(scratch + 4 * DV, length * N)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            u = token_of(min(start + i + 1, tokens - 1), direction, tokens)
            g = load_scalar(word(p, GATE), (n * tokens + t) * heads + h)
            # the next token's a first: where it is this token's own (at the end), its row is not read
            gather_state(p, rows + 4 * i * ROW, n, t, u, h, kind)
            gather_gradient(p, rows + 4 * i * ROW, n, t, h, g if direction == 0 else 1.0 - g, kind)
        for block in range(first_block, last_block):
            differentiate_block(scratch, scratch + 4 * (KEPT + chunk * KEPT_FLOATS), length, block)
        for i in range(length):
            t = token_of(start + i, direction, tokens)
            g = load_scalar(word(p, GATE), (n * tokens + t) * heads + h)
            met = meeting + 4 * t * GRADIENTS * N
            dgate = word(p, DGATE) + 4 * ((batch_index * tokens + t) * heads + h)
            share = g if direction == 0 else 1.0 - g
            settle_token(p, scratch, i, met, parts > 1, direction, batch_index, t, h, share, dgate)


def backward_tasks(parameters):  # type: ignore[no-untyped-def]
    """Take tasks until there are none left; as many threads as like may do so at once.

    A task is a part of the directions and blocks of one head of one sequence. Where there is one part, it writes the gradients in
    the inputs' kind; where there are more, each writes float32 into its own share of tensors ``(parts * B, T, H, N)``,
    zero on entry, to be summed up.
    """
    p = parameters
    parts, heads, batch = word(p, PARTS), word(p, HEADS), word(p, BATCH)
    tasks = word(p, TASKS)
    task = take(p, NEXT_TASK)
    if task >= tasks:
        return  # there is scratch memory only for threads that have something to do
    scratch = word(p, SCRATCH) + take(p, NEXT_SCRATCH) * word(p, SCRATCH_BYTES)
    while task < tasks:
        part = task % parts
        h = (task // parts) % heads
        n = task // (parts * heads)
        first_unit, last_unit = 2 * BLOCKS * part // parts, 2 * BLOCKS * (part + 1) // parts
        for direction in range(2):
            first_block = max(first_unit - direction * BLOCKS, 0)
            last_block = min(last_unit - direction * BLOCKS, BLOCKS)
            if first_block < last_block:
                run_direction(p, scratch, n, h, direction, first_block, last_block, part * batch + n)
        task = take(p, NEXT_TASK)

"""What every way of computing the backward has in common: decays, where gradients go."""

from numba import njit

from .backward_layout import DECAYS, DGATE, GATE, HEADS, TENSOR_W, TOKENS
from .layout import FLOAT32, TENSOR_WORDS
from .numba_decay import decay
from .numba_rows import INLINE, PART, fetch_row, kind_of, place, take_row, write
from .numba_vector import add, all_at_least, load, load_scalar, store, store_scalar
from .numba_words import word
from .pairs_layout import LEAST_DECAY
from .vector_width import VALUES, N


@njit(**PART)
def tabulate(p, table, n, h):
    """All decays of a head and their derivatives, which both directions need twice; whether the decays are all slow."""
    slow = True
    for t in range(word(p, TOKENS)):
        row = table + 4 * t * DECAYS * N
        take_row(p, TENSOR_W, n, t, h, row)
        for i in range(0, N, 2 * VALUES):
            decay(row, i, i, N + i)
        for i in range(0, N, VALUES):
            slow = slow and all_at_least(load(row, i), LEAST_DECAY)
    return slow


@njit(**PART)
def fetch_token(p, n, t, h, first, last):
    """Ask for a token's rows of the tensors first..last."""
    for tensor in range(first, last + 1, TENSOR_WORDS):
        fetch_row(p, tensor, n, t, h)


@njit(**INLINE)
def settle(p, tensor, met, alone, first, n, t, h, i, x):
    """Leave a gradient for the other direction, in its place or, where that would round it, at `met`; or join both."""
    target = place(p, tensor, n, t, h)
    left = target if alone or kind_of(p, tensor) == FLOAT32 else met
    if alone or first:
        store(left, i, x)
    else:
        write(target, i, add(x, load(left, i)), kind_of(p, tensor))


@njit(**PART)
def settle_gate(p, alone, first, n, t, h, dg):
    """The gradient of the gate by one direction, likewise."""
    place_of = word(p, DGATE) + 4 * ((n * word(p, TOKENS) + t) * word(p, HEADS) + h)
    if alone:
        store_scalar(place_of, 0, dg if first else -dg)
    elif first:
        store_scalar(place_of, 0, dg)
    else:
        store_scalar(place_of, 0, load_scalar(place_of, 0) - dg)


@njit(**INLINE)
def share_of(p, n, t, h, direction):
    """A direction's share of the gate."""
    g = load_scalar(word(p, GATE), (n * word(p, TOKENS) + t) * word(p, HEADS) + h)
    return g if direction == 0 else 1.0 - g

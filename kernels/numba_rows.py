"""Rows of tensors: N channels of one token and head, read and written whatever the strides and the dtype are."""

from numba import njit

from .layout import BFLOAT16
from .numba_bfloat16 import load_bfloat16, store_bfloat16
from .numba_vector import load, store, zero
from .numba_words import prefetch, word
from .vector_width import VALUES, N

PART = {"nogil": True, "no_cpython_wrapper": True, "no_cfunc_wrapper": True}
INLINE = PART | {"forceinline": True}


@njit(**INLINE)
def place(parameters, tensor, n, t, h):
    """Address of the row of sequence n, token t, head h."""
    return (
        word(parameters, tensor)
        + n * word(parameters, tensor + 1)
        + t * word(parameters, tensor + 2)
        + h * word(parameters, tensor + 3)
    )


@njit(**INLINE)
def kind_of(parameters, tensor):
    """`FLOAT32` or `BFLOAT16`."""
    return word(parameters, tensor + 4)


@njit(**INLINE)
def read(source, i, kind):
    """``VALUES`` channels from channel i on."""
    return load_bfloat16(source, i) if kind == BFLOAT16 else load(source, i)


@njit(**INLINE)
def write(target, i, x, kind):
    """``VALUES`` channels from channel i on."""
    if kind == BFLOAT16:
        store_bfloat16(target, i, x)
    else:
        store(target, i, x)


@njit(**PART)
def copy(source, target):
    """One row of float32."""
    for i in range(0, N, VALUES):
        store(target, i, load(source, i))


@njit(**PART)
def take_row(parameters, tensor, n, t, h, target):
    """A tensor's row into float32."""
    source = place(parameters, tensor, n, t, h)
    if kind_of(parameters, tensor) == BFLOAT16:
        for i in range(0, N, VALUES):
            store(target, i, load_bfloat16(source, i))
    else:
        copy(source, target)


@njit(**PART)
def fetch(source, size):
    """Ask for so many bytes, 64 a cache line."""
    for line in range(0, size, 64):
        prefetch(source + line)


@njit(**PART)
def fetch_row(parameters, tensor, n, t, h):
    """Ask for a tensor's row ahead of its use: it lies too far from the one before for the CPU to guess."""
    fetch(place(parameters, tensor, n, t, h), N * (2 if kind_of(parameters, tensor) == BFLOAT16 else 4))


@njit(**PART)
def clear(address, floats):
    """Set to 0."""
    for i in range(0, floats, VALUES):
        store(address, i, zero())


@njit(**INLINE)
def token_of(i, direction, tokens):
    """Where the i-th token of a direction stands."""
    return i if direction == 0 else tokens - 1 - i

"""Inputs of one chunk of tokens, gathered from strided tensors into float32 rows that stay in the first-level cache.

A row holds, for one token and head, r, d, k, b, a and v at the offsets below, so that the sweeps read one stream whatever the
strides and the dtype of the tensors are. The decay is computed here, once for all value blocks.
"""

from numba import njit

from .numba_vector import VALUES, N, exp, load, load_bf16, multiply, prefetch, store, store_bf16, word, zero

CHUNK = 16  # tokens a chunk
R, D, K, B, A, V = 0, N, 2 * N, 3 * N, 4 * N, 5 * N  # offsets in a row, in floats
ROW = 6 * N
FLOAT32, BFLOAT16 = 0, 1  # kinds of tensors

# A tensor is described by four words of the parameter block: address, and strides of batch, token, head in bytes.
TENSOR_WORDS = 4

PLAIN = {"nogil": True, "forceinline": True}


@njit(**PLAIN)
def place(parameters, tensor, n, t, h):  # type: ignore[no-untyped-def]  # numba infers
    """Address of the row of sequence n, token t, head h."""
    return (
        word(parameters, tensor)
        + n * word(parameters, tensor + 1)
        + t * word(parameters, tensor + 2)
        + h * word(parameters, tensor + 3)
    )


@njit(**PLAIN)
def read(source, i, kind):  # type: ignore[no-untyped-def]
    """``VALUES`` channels from channel i on."""
    return load_bf16(source, i) if kind == BFLOAT16 else load(source, i)


@njit(**PLAIN)
def write(target, i, x, kind):  # type: ignore[no-untyped-def]
    """``VALUES`` channels from channel i on."""
    if kind == BFLOAT16:
        store_bf16(target, i, x)
    else:
        store(target, i, x)


@njit(**PLAIN)
def copy(source, target, kind):  # type: ignore[no-untyped-def]
    """One row of N channels into float32."""
    for i in range(0, N, VALUES):
        store(target, i, read(source, i, kind))


@njit(**PLAIN)
def fetch(source, kind):  # type: ignore[no-untyped-def]
    """Ask for one row of N channels, 64 bytes a cache line."""
    for line in range(0, N * (2 if kind == BFLOAT16 else 4), 64):
        prefetch(source + line)

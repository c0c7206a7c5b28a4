"""A kernel for the cache tests; its size does not matter, so it is small."""

from arwkv_kernels.numba_vector import store, zero


def clear_one_vector(address):  # type: ignore[no-untyped-def]  # numba infers
    """Set the floats of one vector to 0."""
    store(address, 0, zero())

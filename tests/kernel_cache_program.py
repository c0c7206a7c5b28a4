"""Run by the cache tests in processes of their own: compiles one small kernel, tells whether the cache had it."""

import ctypes

from numba import types

from arwkv_kernels import numba_cache
from arwkv_kernels.numba_vector import VALUES, store, zero


def clear_one_vector(address):  # type: ignore[no-untyped-def]  # numba infers
    """A kernel; its size does not matter, so it is small."""
    store(address, 0, zero())


def main() -> None:
    """Compile or load, check the result, print the number of cache hits."""
    kernel = numba_cache.kernel(clear_one_vector, types.void(types.int64))
    numbers = (ctypes.c_float * (VALUES + 1))(*[1.0] * (VALUES + 1))
    kernel(ctypes.addressof(numbers))
    assert list(numbers) == [0.0] * VALUES + [1.0]
    print("hits", kernel.compiled.cache_hits)  # type: ignore[attr-defined]  # kept beside the ctypes function


if __name__ == "__main__":
    main()

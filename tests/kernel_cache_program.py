"""Run by the cache tests in processes of their own: gets one small kernel, tells whether numba had to compile it."""

import ctypes
import sys
from pathlib import Path

from arwkv_kernels import numba_cache
from arwkv_kernels.vector_width import VALUES


def main() -> None:
    """Compile or load, check the result, print which of the two it was."""
    sys.path.insert(0, str(Path(__file__).parent))
    kernel = numba_cache.kernel("small_kernel", "clear_one_vector")
    numbers = (ctypes.c_float * (VALUES + 1))(*[1.0] * (VALUES + 1))
    kernel(ctypes.addressof(numbers))
    assert list(numbers) == [0.0] * VALUES + [1.0]
    print("compiled" if "numba" in sys.modules else "loaded")


if __name__ == "__main__":
    main()

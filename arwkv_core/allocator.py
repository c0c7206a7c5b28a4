"""Let the C library keep the memory that is freed, for what is asked for next."""

from __future__ import annotations

import ctypes

M_TRIM_THRESHOLD, M_MMAP_THRESHOLD = -1, -3  # of glibc's <malloc.h>
LARGEST_KEPT_BYTES = 1 << 30
NEVER = 2**31 - 1


def keep_freed_memory(largest: int = LARGEST_KEPT_BYTES, most: int = NEVER) -> bool:
    """Have freed memory used again instead of given back.

    By default glibc asks the kernel for every tensor of some hundred kilobytes anew, and the kernel clears each of
    its pages when it is first written: a training step frees and asks for the same gigabyte again and again, and
    inference does so with what each product gives.

    Parameters
    ----------
    largest : int
        Bytes of the largest piece that is kept; larger ones are given back at once.
    most : int
        Bytes that a pool of the C library keeps at its end, before it gives them back.

    Returns
    -------
    bool
        False where the C library is another one, and nothing was changed.
    """
    try:
        mallopt = ctypes.CDLL(None).mallopt
    except (OSError, AttributeError, TypeError):  # TypeError: Windows has no library of the process itself
        return False
    return bool(mallopt(M_MMAP_THRESHOLD, largest) and mallopt(M_TRIM_THRESHOLD, most))

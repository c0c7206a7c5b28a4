"""Large pieces of memory in pages of 2 MiB: fresh small pages cost more than the arithmetic that fills them."""

import ctypes
import sys
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor

PAGE_BYTES = 2 << 20
_ADVICE = 14  # MADV_HUGEPAGE


@lru_cache(maxsize=1)
def _madvise() -> Any:
    """The C library's function, or None where there is no such thing."""
    if sys.platform != "linux":
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = [ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int]
    function.restype = ctypes.c_int
    return function


def ask_for_huge_pages(address: int, size: int) -> None:
    """Advise the system to back memory that has not been touched with huge pages.

    Only whole huge pages inside ``address .. address + size`` are meant. Where the system has none, or does not want to
    hear of it, nothing happens: it is a matter of speed alone.
    """
    first = -(-address // PAGE_BYTES) * PAGE_BYTES
    last = (address + size) // PAGE_BYTES * PAGE_BYTES
    if first < last and (madvise := _madvise()) is not None:
        madvise(first, last - first, _ADVICE)


def fresh(shape: tuple[int, ...], dtype: torch.dtype) -> Tensor:
    """A tensor in the processor's memory that will be filled, in huge pages as far as it goes."""
    x = torch.empty(shape, dtype=dtype)
    ask_for_huge_pages(x.data_ptr(), x.numel() * x.element_size())
    return x

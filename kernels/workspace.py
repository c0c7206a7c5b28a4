"""Working memory that is lent, taken back and lent again: to get it from the system costs more than to use it."""

import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from .huge_pages import PAGE_BYTES, fresh

MOST_KEPT_BYTES = 128 << 20  # of memory that nobody uses at the moment
SMALLEST_BYTES = 64 << 10
LINE_BYTES = 64

_lock = threading.Lock()
_kept: list[Tensor] = []  # of uint8, the one longest unused first


def _after_fork() -> None:
    """Another thread may have held the lock; and what it was about to do with the list nobody knows."""
    global _lock, _kept
    _lock, _kept = threading.Lock(), []


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


def _take(size: int) -> Tensor:
    """The smallest piece kept that is large enough, if it isn't far too large; otherwise a new one."""
    size = max(size, SMALLEST_BYTES)
    with _lock:
        fitting = [i for i, x in enumerate(_kept) if size <= x.numel() <= 4 * size]
        if fitting:
            return _kept.pop(min(fitting, key=lambda i: _kept[i].numel()))
    with torch.inference_mode(False):  # or nobody outside of that mode could write to it later
        return fresh((size,), torch.uint8)


def _give_back(memory: Tensor) -> None:
    with _lock:
        if memory.numel() <= MOST_KEPT_BYTES:
            _kept.append(memory)
        while sum(x.numel() for x in _kept) > MOST_KEPT_BYTES:
            _kept.pop(0)


@contextmanager
def workspace(floats: int) -> Iterator[Tensor]:
    """Lend memory for as long as the ``with`` statement lasts, to one borrower at a time.

    Parameters
    ----------
    floats : int
        How many float32 are needed.

    Yields
    ------
    Tensor, ``(floats,)``
        float32, with whatever was left in it. It begins a cache line, and a huge page if it is as large as one. Not to
        be used, nor any view of it, after the statement.
    """
    align = PAGE_BYTES if 4 * floats >= PAGE_BYTES else LINE_BYTES
    memory = _take(4 * floats + align)
    begin = -memory.data_ptr() % align
    lent = memory[begin : begin + 4 * floats].view(torch.float32)
    if torch.are_deterministic_algorithms_enabled():
        lent.fill_(torch.nan)  # as torch.empty does
    try:
        yield lent
    finally:
        _give_back(memory)


def free_workspaces() -> None:
    """Give the memory that nobody uses back to the system."""
    with _lock:
        _kept.clear()

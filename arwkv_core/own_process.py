"""Settings of a process that is ours: the command, and the processes that work for it. A library leaves them alone."""

from __future__ import annotations

import gc

from .allocator import keep_freed_memory

KEPT_BYTES = 4 << 20
"""Of the largest result of a product that is asked for again and again; a recording that is heard at once has larger
arrays, which should go when they are done with."""
MOST_KEPT_BYTES = 256 << 20

_COLLECTIONS = 100_000, 50, 100
"""Python looks for dead cycles after so many new objects, not after 700: torch alone makes 200,000, which stay."""


def settle() -> None:
    """Make the process one that loads a model once and then hears recordings."""
    gc.set_threshold(*_COLLECTIONS)
    keep_freed_memory(KEPT_BYTES, MOST_KEPT_BYTES)

"""The processor's cores that this process may use, and a thread's own among them."""

from __future__ import annotations

import contextlib
import os
import sys


def listed_cores() -> list[int]:
    """Their numbers, in order; none where the system doesn't tell."""
    return sorted(os.sched_getaffinity(0)) if hasattr(os, "sched_getaffinity") else []


def core_count() -> int:
    """How many there are: all of the machine's where the system doesn't tell."""
    return len(listed_cores()) or os.cpu_count() or 1


def stay_on(core: int) -> None:
    """Keep this thread on a core, where the system lets it."""
    if sys.platform == "linux":
        with contextlib.suppress(OSError):  # the system may forbid it
            os.sched_setaffinity(0, {core})  # of this thread alone

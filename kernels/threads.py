"""A few worker threads that share out numbered tasks among the CPU's cores.

Numba's own threading layers choose between crashing when called from two threads at once (workqueue) and killing
forked children (GNU OpenMP). The compiled kernels release the GIL, so plain threads do as well.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor

_pool: ThreadPoolExecutor | None = None


def _forget() -> None:
    """Threads do not survive a fork."""
    global _pool
    _pool = None


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_forget)


def share_out(work: Callable[[int, int], None], tasks: int, threads: int) -> None:
    """Call ``work(first, last)`` on contiguous ranges that cover 0..tasks, on up to `threads` threads."""
    global _pool
    shares = min(tasks, threads)
    if shares <= 1:
        work(0, tasks)
        return
    if _pool is None:
        _pool = ThreadPoolExecutor(max(os.cpu_count() or 1, 1), thread_name_prefix="arwkv-kernel")
    bounds = [tasks * i // shares for i in range(shares + 1)]
    futures = [_pool.submit(work, bounds[i], bounds[i + 1]) for i in range(1, shares)]
    work(bounds[0], bounds[1])
    for future in futures:
        future.result()


def run_on(threads: int, work: Callable[[int], None], argument: int) -> None:
    """Call ``work(argument)`` on so many threads at once, this one among them; back when all are done."""
    global _pool
    if threads > 1 and _pool is None:
        _pool = ThreadPoolExecutor(max(os.cpu_count() or 1, 1), thread_name_prefix="arwkv-kernel")
    futures = [_pool.submit(work, argument) for _ in range(threads - 1)] if _pool is not None else []
    work(argument)
    for future in futures:
        future.result()

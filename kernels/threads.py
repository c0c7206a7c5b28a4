"""One piece of native work on several threads at once.

Numba's own threading layers are of no use here: workqueue crashes when two threads call it, GNU OpenMP kills forked
children, and either brings a second pool of threads that fights with torch's for the cores. So the work runs on torch's
own OpenMP team where that can be reached, otherwise on plain Python threads: compiled kernels release the GIL.
"""

import ctypes
import os
from collections import deque
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor
from functools import lru_cache
from pathlib import Path
from typing import Any

import torch

from arwkv_core.interrupts import deferred_interrupts

_pool: ThreadPoolExecutor | None = None
_forked = False


def _after_fork() -> None:
    """Neither Python's threads nor those of GNU OpenMP survive a fork; the latter hang when called again."""
    global _pool, _forked
    _pool = None
    _forked = True


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_after_fork)


@lru_cache(maxsize=1)
def _openmp() -> Any:
    """``GOMP_parallel`` of the OpenMP library that torch has loaded, or None."""
    for name in ("libtorch_cpu.so", "libtorch_cpu.dylib"):
        library = Path(torch.__file__).parent / "lib" / name
        if library.exists():
            try:
                parallel = ctypes.CDLL(str(library)).GOMP_parallel
            except (OSError, AttributeError):
                return None
            parallel.argtypes = [ctypes.c_void_p, ctypes.c_void_p, ctypes.c_uint, ctypes.c_uint]
            parallel.restype = None
            return parallel
    return None


def _on_python_threads(work: Callable[[int], None], argument: int, threads: int) -> None:
    global _pool
    futures = []
    try:
        if _pool is None:
            _pool = ThreadPoolExecutor(os.cpu_count() or 1, thread_name_prefix="arwkv-kernel")
        futures = [_pool.submit(work, argument) for _ in range(threads - 1)]
    except RuntimeError:  # the interpreter shuts down, or no thread can be had: this one does it all
        pass
    work(argument)
    for future in futures:
        if not future.cancel():  # one that has not begun would find nothing left to do
            future.result()


def run_on_threads(work: Any, argument: int, threads: int) -> None:
    """Call ``work(argument)`` on up to `threads` threads at once, this one among them; back when all are done.

    Parameters
    ----------
    work : ctypes function ``void (int64)``
        Must share out its work among however many calls are made, one or more, and return when none is left.
    argument : int
        Address of its parameters.
    threads : int
        Best ``torch.get_num_threads()`` itself: OpenMP keeps a team of the size that it was last asked for.
    """
    if threads <= 1:
        work(argument)
    elif _forked or (parallel := _openmp()) is None:
        _on_python_threads(work, argument, threads)
    else:
        parallel(ctypes.cast(work, ctypes.c_void_p), argument, threads, 0)


def has_team() -> bool:
    """Whether torch's own team of threads can be had. An operation that one of them calls stays on that thread."""
    return not _forked and _openmp() is not None


def call_on_team(tasks: Sequence[Callable[[], None]], threads: int) -> None:
    """Call Python functions side by side on torch's own threads, where each torch operation then takes one.

    The first exception of one is raised again when all that had begun are done; others don't begin then. Signals that
    end the work wait for all: where this thread goes from native code to Python or back, nobody could hear of them.

    Parameters
    ----------
    tasks : sequence of callable
        They must set modes themselves, such as ``torch.inference_mode``: threads don't know of one another's.
    threads : int
        As for `run_on_threads`.
    """
    waiting, done, errors = deque(tasks), deque[bool](), list[BaseException]()

    def work(_: int) -> None:
        try:
            while True:
                try:
                    task = waiting.popleft()
                except IndexError:  # another thread was faster
                    return
                task()
                done.append(True)
        except BaseException as error:  # nobody behind the native call could hear of it
            waiting.clear()
            errors.append(error)

    with deferred_interrupts():
        run_on_threads(ctypes.CFUNCTYPE(None, ctypes.c_int64)(work), 0, threads)
    try:
        if errors:
            raise errors[0]
        if len(done) < len(tasks):
            raise RuntimeError("a signal's handler has raised an exception between two tasks")
    finally:
        errors.clear()  # or they would refer to themselves, by their tracebacks

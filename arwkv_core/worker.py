"""The process that does a batch's work for another one: it opens the task and takes files until there are no more.

What goes through the pipe, as pairs: to the worker the task, then files, then None; from it `READY`, then `PROGRESS`
while it works and `DONE` for each file, or `FATAL` and it ends.
"""

import logging
import os
import pickle
import signal
import sys
import threading
import time
import traceback
from multiprocessing import parent_process
from multiprocessing.connection import Connection, wait
from typing import Any

from .batch import attempt
from .own_process import settle

READY, PROGRESS, DONE, FATAL = "ready", "progress", "done", "fatal"

REPORT_SECONDS = 0.2
"""A recording's progress is told this often at most."""

_THREADS = ("OMP_NUM_THREADS", "MKL_NUM_THREADS", "OPENBLAS_NUM_THREADS", "NUMBA_NUM_THREADS")
"""What torch, its libraries and our kernels read when they are loaded; so this module must load none of them."""


def serve(pipe: Connection, threads: int | None, debug: bool) -> None:
    """Work until the pipe says that there is no more.

    Parameters
    ----------
    pipe : Connection
    threads : int or None
        How many threads the work may take; None leaves that to it.
    debug : bool
        Show log messages.
    """
    if threads is not None:
        os.environ.update(dict.fromkeys(_THREADS, str(threads)))
    # A thread of OpenMP that waits in a loop takes a core from the decoder and from other programs.
    os.environ.setdefault("OMP_WAIT_POLICY", "passive")
    if debug:
        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")
    settle()
    threading.Thread(target=_end_with_parent, daemon=True).start()
    _take_signals()
    os.dup2(2, 1)  # stdout is for the results, which go there from the other process
    try:
        _work(pipe)
    except (EOFError, BrokenPipeError, ConnectionResetError):
        return  # the other process has gone
    except Exception as error:
        pipe.send((FATAL, (_picklable(error), traceback.format_exc())))
    finally:
        signal.signal(
            signal.SIGTERM, signal.SIG_DFL
        )  # nothing to tidy up: Python must not be told while it ends


def _work(pipe: Connection) -> None:
    told = 0.0

    def report(file: str, seconds: float, header_seconds: float | None) -> None:
        nonlocal told
        now = time.monotonic()
        if seconds == 0 or now - told >= REPORT_SECONDS:
            told = now
            pipe.send((PROGRESS, (seconds, header_seconds)))

    work = pipe.recv().open()
    pipe.send((READY, None))
    while (file := pipe.recv()) is not None:
        pipe.send((DONE, attempt(work, file, report)))


def _take_signals() -> None:
    """Leave Ctrl-C, which a terminal sends to all processes, to the other one; tidy up when that one says so."""
    signal.signal(signal.SIGINT, signal.SIG_IGN)
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(128 + signal.SIGTERM))
    if hasattr(signal, "pthread_sigmask"):  # they were held back till here
        signal.pthread_sigmask(signal.SIG_UNBLOCK, {signal.SIGINT, signal.SIGTERM})


def _end_with_parent() -> None:
    """Never go on alone: another run may have taken over by then."""
    parent = parent_process()
    assert parent is not None
    wait([parent.sentinel])
    os._exit(1)


def _picklable(error: Exception) -> Any:
    try:
        pickle.loads(pickle.dumps(error))
    except Exception:  # whatever an exception's own code raises
        return RuntimeError(f"{type(error).__name__}: {error}")
    return error

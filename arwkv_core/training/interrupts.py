"""Have Ctrl-C wait while something is half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Iterator

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def deferred_interrupts() -> Iterator[None]:
    """Let signals that end the work be handled at the end of the block.

    Handlers are exchanged, and not signals blocked: other threads would take them, and Python would call its handler
    in the block all the same. Where a signal has no handler of Python's it does what it did. Python calls handlers in
    the main thread only, so that in others there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    handlers = {number: signal.getsignal(number) for number in SIGNALS}
    handlers = {number: handler for number, handler in handlers.items() if callable(handler)}
    for number in handlers:
        signal.signal(number, lambda number, _: came.append(number))
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for which in came:
        signal.raise_signal(which)

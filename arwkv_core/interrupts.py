"""Have Ctrl-C wait while something is half done."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import Any

Handler = Callable[[int, FrameType | None], Any]

SIGNALS = (signal.SIGINT, signal.SIGTERM)


@contextlib.contextmanager
def deferred_interrupts(*, second_at_once: bool = False) -> Iterator[None]:
    """Let signals that end the work be handled at the end of the block; a second one at once, where that is wanted.

    Handlers are exchanged, and not signals blocked: other threads would take them, and Python would call its handler
    in the block all the same. Where a signal has no handler of Python's it does what it did. Python calls handlers in
    the main thread only, so that in others there is nothing to do.
    """
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    came: list[int] = []
    before = {number: signal.getsignal(number) for number in SIGNALS}
    handlers: dict[int, Handler] = {
        number: handler for number, handler in before.items() if callable(handler)
    }

    def wait(number: int, frame: FrameType | None) -> None:
        if came and second_at_once:
            handlers[number](number, frame)
        came.append(number)

    for number in handlers:
        signal.signal(number, wait)
    try:
        yield
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    for which in came:
        signal.raise_signal(which)

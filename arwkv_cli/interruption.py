"""Ctrl-C and the request to end: what is done stays, and the user is told how to go on."""

import shlex
import signal
import sys
import threading
from collections.abc import Iterator
from contextlib import contextmanager
from types import FrameType


@contextmanager
def interruptible() -> Iterator[None]:
    """Take SIGTERM for Ctrl-C, so that whoever stops a run gets it tidied up.

    Raises
    ------
    KeyboardInterrupt
        Where either signal finds the program.
    """
    if threading.current_thread() is not threading.main_thread():  # no other may handle signals
        yield
        return
    before = {number: signal.getsignal(number) for number in (signal.SIGINT, signal.SIGTERM)}
    # whoever starts a program in the background may have Ctrl-C ignored, and then that is meant
    for number, handler in before.items():
        if handler not in (signal.SIG_IGN, None):
            signal.signal(number, _interrupt)
    try:
        yield
    finally:
        for number, handler in before.items():
            signal.signal(number, signal.SIG_DFL if handler is None else handler)


def save_undisturbed() -> None:
    """Ignore both signals till the end of the block: what is done is being saved, which is quick."""
    if threading.current_thread() is threading.main_thread():
        for number in (signal.SIGINT, signal.SIGTERM):
            signal.signal(number, signal.SIG_IGN)


def _interrupt(number: int, frame: FrameType | None) -> None:
    raise KeyboardInterrupt


def command_to_go_on() -> str:
    """Return the command line that does what this run has not: without --overwrite, which would do all again."""
    return shlex.join(["arwkv", *(argument for argument in sys.argv[1:] if argument != "--overwrite")])

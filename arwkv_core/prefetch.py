"""Run an iterator in a thread, some items ahead of its consumer."""

from __future__ import annotations

import queue
import threading
from collections.abc import Generator, Iterable
from typing import TypeVar

T = TypeVar("T")

_POLL_SECONDS = 0.1  # how often a waiting side looks whether the other is still there
_JOIN_SECONDS = 5.0  # how long an end waits for the item in work; a read from a dead disk may never return


def prefetch(items: Iterable[T], depth: int = 4) -> Generator[T, None, None]:
    """Give the items of an iterable in order, made ahead in a thread.

    Parameters
    ----------
    items : iterable
        Used by the thread alone from the first item on, and closed there if it is a generator.
    depth : int
        Items that are made ahead at most, besides the one in work.

    Yields
    ------
    object
        The items. An exception in `items` is raised here, after the items before it.

    Raises
    ------
    ValueError
        If `depth` is less than 1.

    Notes
    -----
    The thread ends with the generator: when it is exhausted, closed or deleted. Wrap it in
    `contextlib.closing` where the loop may be left by an exception, Ctrl-C among them.
    """
    if depth < 1:
        raise ValueError(f"depth: expected at least 1, found {depth}")
    return _consume(items, depth)


def _consume(items: Iterable[T], depth: int) -> Generator[T, None, None]:
    ready: queue.Queue[tuple[T] | BaseException | None] = queue.Queue(depth)  # None: the end
    stop = threading.Event()
    thread = threading.Thread(target=_produce, args=(items, ready, stop), name="arwkv-prefetch", daemon=True)
    thread.start()
    try:
        while True:
            try:
                entry = ready.get(timeout=_POLL_SECONDS)  # without a timeout, Windows wouldn't hear Ctrl-C
            except queue.Empty:
                continue
            if entry is None:
                return
            if isinstance(entry, BaseException):
                raise entry
            yield entry[0]
    finally:
        stop.set()
        thread.join(_JOIN_SECONDS)


def _produce(
    items: Iterable[T], ready: queue.Queue[tuple[T] | BaseException | None], stop: threading.Event
) -> None:
    def put(entry: tuple[T] | BaseException | None) -> None:
        while not stop.is_set():
            try:
                ready.put(entry, timeout=_POLL_SECONDS)
                return
            except queue.Full:
                continue

    try:
        for item in items:
            put((item,))
            if stop.is_set():
                break
        if isinstance(items, Generator):
            items.close()
        put(None)
    except BaseException as error:  # the consumer's to handle, KeyboardInterrupt and SystemExit too
        put(error)

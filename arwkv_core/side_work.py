"""Work that threads do between two pieces of other work, so that no more threads run than there are cores."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Generator
from concurrent.futures import Future
from typing import Any, TypeVar

T = TypeVar("T")

Run = Callable[[Callable[[], Any]], Any]
"""Calls a function, in whatever thread, and returns what it returns or raises what it raises."""


class SideWork:
    """What waits to be done by the next thread that is free; it goes before what else waits for them."""

    def __init__(self) -> None:
        self._waiting: deque[tuple[Future[Any], Callable[[], Any]]] = deque()

    def do_one(self) -> None:
        """Do what has waited longest, if anything waits. Threads call it before each piece of their own work."""
        try:
            future, work = self._waiting.popleft()
        except IndexError:
            return
        try:
            result = work()
        except BaseException as error:  # whoever asked for it is to hear of it
            future.set_exception(error)
        else:
            future.set_result(result)

    def ask(self, submit: Callable[[Callable[[], None]], Any], work: Callable[[], T]) -> T:
        """Have something done, and wait for it.

        Parameters
        ----------
        submit : callable
            Hands a function to the threads, for the case that they have nothing to do. If it raises
            ``RuntimeError``, since there are none any more, this thread does the work.
        work : callable

        Returns
        -------
        object
            What `work` returns; what it raises is raised.
        """
        future: Future[T] = Future()
        self._waiting.append((future, work))
        try:
            submit(self.do_one)
        except RuntimeError:
            self.do_one()
        return future.result()


def each_by(run: Run, items: Generator[T, None, None]) -> Generator[T, None, None]:
    """Give the items of a generator, each of which is made by a call of `run`."""
    end = object()
    try:
        while (item := run(lambda: next(items, end))) is not end:
            yield item
    finally:
        items.close()

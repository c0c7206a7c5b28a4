"""Let several processes do the work of a batch, and survive the death of any of them."""

import logging
import multiprocessing
import os
import signal
from collections import deque
from collections.abc import Iterator, Sequence
from contextlib import contextmanager, suppress
from multiprocessing.connection import Connection, wait
from multiprocessing.context import SpawnProcess
from typing import Any, Generic

from .batch import BatchProgress, Result, Task
from .cores import core_count
from .errors import ArwkvError
from .results import Failure
from .worker import DONE, FATAL, PROGRESS, READY, serve

LOOK_AHEAD = 64
"""Outcomes per job that wait at most for one before them."""

_FILES_AHEAD = 4

MOST_LOST_STARTS = 3
"""So many processes in a row that die before they could take a file end the run."""

STOP_SECONDS = 5.0
"""How long a process may take to tidy up before it is killed."""


class RemoteError(Exception):
    """The traceback, in another process, of the error whose cause this is."""

    def __str__(self) -> str:
        return f"\n{self.args[0]}"


class _Worker:
    """One process: what it works on, and how it ended."""

    def __init__(self, task: Task[Any], threads: int | None) -> None:
        context = multiprocessing.get_context("spawn")  # forked children inherit threads that stand still
        self.pipe: Connection
        self.pipe, other = context.Pipe()
        debug = logging.getLogger().isEnabledFor(logging.INFO)
        self.process: SpawnProcess = context.Process(target=serve, args=(other, threads, debug), daemon=True)
        self.ready = False
        self.indices: deque[int] = deque()  # of the file that it works on, and of those that wait for it
        with _signals_held_back():  # a Ctrl-C while it loads Python is not for it
            self.process.start()
        other.close()  # the other process alone holds it now: its death closes the pipe
        with suppress(OSError):  # dead already: reading from it will tell
            self.pipe.send(task)

    def give(self, index: int, file: str) -> None:
        self.indices.append(index)
        with suppress(OSError):
            self.pipe.send(file)

    def death(self) -> str:
        """Say how the process, which has closed its pipe, came to its end."""
        self.process.join(STOP_SECONDS)
        code = self.process.exitcode
        return (
            f"was killed (signal {-code})" if code is not None and code < 0 else f"ended (exit code {code})"
        )


def run_in_processes(
    files: Sequence[str],
    task: Task[Result],
    *,
    jobs: int,
    ordered: bool,
    progress: BatchProgress | None,
) -> Iterator[tuple[str, Result | Failure]]:
    """Yield each file with its outcome; see `batch.run_pairs`."""
    pool = _Pool(files, task, jobs, progress)
    try:
        yield from pool.in_order() if ordered else pool.as_they_come()
    finally:
        pool.stop()


def threads_per_job(jobs: int) -> int | None:
    """Return the share of the cores that each of several jobs gets; None for one job, which takes what it likes."""
    return None if jobs == 1 else max(1, usable_cores() // jobs)


def usable_cores() -> int:
    """Return how many cores this process may use: those that the system and ``OMP_NUM_THREADS`` leave it."""
    cores = core_count()
    with suppress(ValueError):
        cores = min(cores, int(os.environ.get("OMP_NUM_THREADS", cores)))
    return max(1, cores)


class _Pool(Generic[Result]):
    """The processes of a batch, and which files they still have to take."""

    def __init__(
        self, files: Sequence[str], task: Task[Result], jobs: int, progress: BatchProgress | None
    ) -> None:
        self.files, self.task, self.progress = files, task, progress
        self.jobs = min(jobs, len(files))
        self.threads = threads_per_job(jobs)
        # a lone process gets some files ahead, which saves waiting where files are short; several would not share
        # them evenly then
        self.ahead = _FILES_AHEAD if self.jobs == 1 else 1
        self.workers: list[_Worker] = []
        self.next = 0  # index of the file that is given out next
        self.returned: deque[int] = deque()  # indices of files that waited for a process that has died
        self.limit = len(files)
        self.lost_starts = 0

    def as_they_come(self) -> Iterator[tuple[str, Result | Failure]]:
        """Yield each outcome as soon as it is there."""
        for index, outcome in self._outcomes():
            yield self.files[index], outcome

    def in_order(self) -> Iterator[tuple[str, Result | Failure]]:
        """Yield the outcomes in the order of the files."""
        held: dict[int, Result | Failure] = {}
        due = 0
        self.limit = LOOK_AHEAD * self.jobs
        try:
            for index, outcome in self._outcomes():
                held[index] = outcome
                while due in held:
                    yield self.files[due], held.pop(due)
                    due += 1
                    self.limit += 1
        except KeyboardInterrupt:
            for index in sorted(held):
                yield self.files[index], held[index]
            raise

    def _outcomes(self) -> Iterator[tuple[int, Result | Failure]]:
        """Keep the processes busy with the files whose index is below the limit."""
        while True:
            while len(self.workers) < min(self.jobs, self._left() + self._busy()):
                self.workers.append(_Worker(self.task, self.threads))
            for worker in self.workers:
                while worker.ready and len(worker.indices) < self.ahead and self._has_next():
                    index = self.returned.popleft() if self.returned else self.next
                    self.next = max(self.next, index + 1)
                    worker.give(index, self.files[index])
            if not self._left() and not self._busy():
                return
            for pipe in wait([worker.pipe for worker in self.workers]):
                worker = next(worker for worker in self.workers if worker.pipe is pipe)
                yield from self._hear(worker)

    def _busy(self) -> int:
        return sum(bool(worker.indices) for worker in self.workers)

    def _left(self) -> int:
        return len(self.files) - self.next + len(self.returned)

    def _has_next(self) -> bool:
        return bool(self.returned) or self.next < min(self.limit, len(self.files))

    def _hear(self, worker: _Worker) -> Iterator[tuple[int, Result | Failure]]:
        """Take one message from a process, or note that it has ended."""
        try:
            kind, content = worker.pipe.recv()
        except (EOFError, OSError):
            yield from self._bury(worker)
            return
        if kind == READY:
            worker.ready = True
            self.lost_starts = 0
        elif kind == FATAL:
            error, text = content
            raise error from RemoteError(text)
        elif kind == PROGRESS and self.progress is not None:
            self.progress(self.files[worker.indices[0]], *content)
        elif kind == DONE:
            yield worker.indices.popleft(), content

    def _bury(self, worker: _Worker) -> Iterator[tuple[int, Failure]]:
        self.workers.remove(worker)
        worker.pipe.close()
        death = worker.death()
        if worker.indices:
            index = worker.indices.popleft()
            self.returned.extend(worker.indices)
            yield index, Failure(self.files[index], f"the process that read it {death}")
        elif not worker.ready:
            self.lost_starts += 1
            if self.lost_starts == MOST_LOST_STARTS:
                raise ArwkvError(
                    f"the process that loaded the model {death}: is there memory for {self.jobs} of them? "
                    "(fewer: --jobs)"
                )

    def stop(self) -> None:
        """End all processes: those that wait leave, those that work are told to, at last they are killed."""
        for worker in self.workers:
            with suppress(OSError):
                worker.pipe.send(None)
            if worker.indices or not worker.ready:
                worker.process.terminate()
        for worker in self.workers:
            worker.process.join(STOP_SECONDS)
            if worker.process.is_alive():
                worker.process.kill()
                worker.process.join()
            worker.pipe.close()
        self.workers = []


@contextmanager
def _signals_held_back() -> Iterator[None]:
    if not hasattr(signal, "pthread_sigmask"):
        yield
        return
    before = signal.pthread_sigmask(signal.SIG_BLOCK, {signal.SIGINT, signal.SIGTERM})
    try:
        yield
    finally:
        signal.pthread_sigmask(signal.SIG_SETMASK, before)

"""A network at work: in fused passes on a CPU, as torch has it elsewhere; several windows side by side."""

from __future__ import annotations

import contextlib
import os
import threading
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from typing import Any, TypeVar

import torch
from torch import Tensor

from arwkv_kernels import select

from .constants import BANDS, FRAMES_PER_STEP
from .cores import listed_cores, stay_on
from .fused_network import Buffers, FusedNetwork
from .model import ARWKV
from .precision import BF16, INT8
from .side_work import SideWork

T = TypeVar("T")
Step = Callable[[Tensor], Tensor]

_FUSED_BACKEND = "numba"

BATCHES_AT_ONCE = 2
"""Batches of windows that are best given at the same time, by threads of the caller: while the last windows of one are
in work, or its scores are made, those of the other keep every core busy."""

LEAST_TO_SHARE = 150_000
"""Tokens × width of a lone window from which on threads share its products: they wait for one another after each."""


class Inference:
    """Runs a network on batches of windows, in a precision.

    On a CPU each window goes through the network by itself, so that its numbers do not depend on its neighbours, and
    threads take windows rather than parts of a product: they need not wait for one another some two hundred times a
    window, least of all for one whose core is decoding.

    Parameters
    ----------
    model : ARWKV
        In evaluation mode, float32.
    precision : {"fp32", "bf16", "int8"}
        As `precision.choose_precision` gives it.
    """

    def __init__(self, model: ARWKV, precision: str) -> None:
        self.model, self.precision = model, precision
        self._fused: FusedNetwork | None = None
        self._own = threading.local()  # a thread's buffers
        self._pool: ThreadPoolExecutor | None = None
        self._layout = (0, 0)  # threads in the pool, and threads that each may use
        self._takes_all_cores = False
        self._side_work = SideWork()
        self._process = os.getpid()
        self._lock = threading.Lock()

    def step_embeddings(self, fbank: Tensor) -> Tensor:
        """As `ARWKV.step_embeddings`: ``(B, 1, frames, 128)`` normalised -> ``(B, steps, C)`` float32."""
        return torch.cat(self.run(fbank, _as_it_is, _as_it_is))

    def run(self, batch: Tensor, prepare: Step, finish: Step) -> list[Tensor]:
        """Give the step embeddings of a batch, with what is to be done before and after, which the threads share too.

        Parameters
        ----------
        batch : Tensor, ``(B, ..., frames, 128)``
        prepare : callable
            Makes of some of its rows what `step_embeddings` takes.
        finish : callable
            Makes something, row by row, of their embeddings ``(rows, steps, C)`` float32.

        Returns
        -------
        list of Tensor
            What `finish` gave for one row or more at a time, in the order of the batch.
        """
        network = self._network(batch.device)
        if network is None:
            fbank = prepare(batch)
            with self.autocast():
                embeddings = self.model.step_embeddings(fbank).float()
            return [finish(embeddings)]

        def work(window: Tensor) -> Tensor:
            self._side_work.do_one()
            with torch.inference_mode():
                return finish(network.step_embeddings(prepare(window), self._buffers()))

        windows = torch.split(batch, 1)
        threads = torch.get_num_threads()
        side_by_side = min(threads, BATCHES_AT_ONCE * len(windows)) if len(windows) > 1 else 1
        each = threads // side_by_side
        if batch.shape[-2] // FRAMES_PER_STEP * BANDS * self.model.arch.width < LEAST_TO_SHARE:
            each = 1
        if side_by_side == 1 and each == threads:
            return [work(window) for window in windows]
        with self._lock:
            pool = self._threads(side_by_side, each, threads)
            found = pool.map(work, windows)
        # windows of another call may lie between these: no thread is idle meanwhile
        return list(found)

    def beside(self, work: Callable[[], T]) -> T:
        """Have something else done by the threads that take windows, as soon as one has finished its window.

        Where they take every core, a thread more would only be switched with them, and each switch empties a cache. In
        all other cases this thread does it.

        Parameters
        ----------
        work : callable
            Should take about as long as a window; its result is returned, and what it raises is raised.
        """
        with self._lock:
            pool = self._pool if self._takes_all_cores and self._process == os.getpid() else None
        return work() if pool is None else self._side_work.ask(pool.submit, work)

    def autocast(self) -> contextlib.AbstractContextManager[Any]:
        """Let torch's own products run in the precision, where the network is not a fused one."""
        if self.precision == BF16:
            return torch.autocast(self.model.pos_embed.device.type, torch.bfloat16)
        return contextlib.nullcontext()

    def _network(self, device: torch.device) -> FusedNetwork | None:
        """The fused network, made at its first use; None where the plain one has to do."""
        if device.type != "cpu":
            return None
        if select(device, torch.float32).name != _FUSED_BACKEND and self.precision != INT8:
            return None
        if self._fused is None:
            self._fused = FusedNetwork(self.model, self.precision)
        return self._fused

    def _buffers(self) -> Buffers:
        """Those of this thread."""
        if not hasattr(self._own, "buffers"):
            self._own.buffers = Buffers()
        buffers: Buffers = self._own.buffers
        return buffers

    def _threads(self, workers: int, each: int, all_threads: int) -> ThreadPoolExecutor:
        """Threads that work on windows; made anew after a fork, which they do not survive, or for another layout."""
        if self._pool is None or self._layout != (workers, each) or self._process != os.getpid():
            if self._pool is not None and self._process == os.getpid():
                self._pool.shutdown()
            self._pool = ThreadPoolExecutor(
                workers,
                thread_name_prefix="arwkv-window",
                initializer=_begin,
                initargs=(each, _cores_for(workers, each)),
            )
            self._layout, self._process = (workers, each), os.getpid()
            self._takes_all_cores = workers == all_threads
            # Each thread sets the number for itself, and for threads to come: those should have the old one.
            barrier = threading.Barrier(workers + 1)
            for _ in range(workers):
                self._pool.submit(barrier.wait)
            barrier.wait()
            torch.set_num_threads(all_threads)
        return self._pool


def _as_it_is(x: Tensor) -> Tensor:
    return x


def _cores_for(workers: int, each: int) -> list[int]:
    """A core for each thread, where they take all that the process may use; else none, and they go where they may.

    Threads that hand Python's lock to one another are woken on the core of the one that wakes them, and two of them
    then share it while another lies idle.
    """
    cores = listed_cores() if each == 1 else []
    return cores if len(cores) == workers else []


def _begin(threads: int, cores: list[int]) -> None:
    """Set up a thread of the pool: how many threads torch may use in it, and its core, which it takes off the list."""
    torch.get_num_threads()  # what a thread asks first sets its number to the last that any thread has set
    torch.set_num_threads(threads)
    if cores:
        stay_on(cores.pop())

"""The processes that train together, as torchrun starts them; one alone where nobody started more."""

from __future__ import annotations

import gc
import os
from collections.abc import Callable, Sequence
from contextlib import AbstractContextManager, nullcontext
from datetime import timedelta
from typing import Any, TypeVar

import torch
from torch import nn

from arwkv_core.device import choose_device
from arwkv_core.errors import ArwkvError, UsageError

Value = TypeVar("Value")

LONGEST_WAIT = timedelta(days=1)
"""What the others wait at most while the first makes log-mels or validates; torchrun ends all if one dies."""


class Processes:
    """The process that runs, among those that train together.

    Each works on its part of every batch; gradients are averaged, so that all hold the same weights. The first alone
    writes files, validates and shows progress.

    Parameters
    ----------
    device : str
        As for `arwkv_core.load`; of several processes on CUDA, each takes a device of its own.

    Attributes
    ----------
    rank, count : int
        Its number, from 0, and how many there are: torchrun's ``RANK`` and ``WORLD_SIZE``.
    device : torch.device

    Raises
    ------
    UsageError
        If the device can't be used, or there are fewer CUDA devices than processes.
    """

    def __init__(self, device: str = "auto") -> None:
        self.rank = int(os.environ.get("RANK", "0"))
        self.count = int(os.environ.get("WORLD_SIZE", "1"))
        self.device = choose_device(device)
        if self.count == 1:
            return
        cuda = self.device.type == "cuda"
        if cuda:
            local = int(os.environ.get("LOCAL_RANK", "0"))
            if local >= torch.cuda.device_count():
                raise UsageError(
                    f"--device {device}: expected a CUDA device for each process, found "
                    f"{torch.cuda.device_count()}: start fewer with --nproc-per-node, or take --device cpu"
                )
            self.device = torch.device("cuda", local)
            torch.cuda.set_device(self.device)
        torch.distributed.init_process_group("nccl" if cuda else "gloo", timeout=LONGEST_WAIT)

    @property
    def first(self) -> bool:
        """Whether it is the one that writes."""
        return self.rank == 0

    def wrapped(self, module: nn.Module) -> nn.Module:
        """A module whose gradients are averaged over the processes; itself where there is one."""
        if self.count == 1:
            return module
        return nn.parallel.DistributedDataParallel(
            module,
            device_ids=[self.device] if self.device.type == "cuda" else None,
            find_unused_parameters=True,  # the first block's value mix, and a head for which a batch has no target
        )

    def unsynchronised(self, module: nn.Module) -> AbstractContextManager[Any]:
        """Let gradients of a wrapped module add up without being averaged yet."""
        no_sync = getattr(module, "no_sync", None)
        return nullcontext() if no_sync is None else no_sync()

    def mean(self, numbers: Sequence[float]) -> list[float]:
        """Average numbers over the processes."""
        if self.count == 1:
            return list(numbers)
        sums = torch.tensor(numbers, dtype=torch.float64, device=self.device)
        torch.distributed.all_reduce(sums)
        return [float(value) / self.count for value in sums]

    def shared(self, value: Any) -> Any:
        """What the first process has; the others wait for it, and their own value is not used."""
        if self.count == 1:
            return value
        held = [value]
        torch.distributed.broadcast_object_list(held, src=0)
        return held[0]

    def in_turn(self, make: Callable[[], Value]) -> Value:
        """Let the first process make something, the others after it: they find files that it has written.

        Raises
        ------
        ArwkvError
            In the others, if the first has failed: it says why.
        """
        if self.first:
            value = make()
            self.shared(None)
            return value
        try:
            self.shared(None)
        except RuntimeError as error:
            raise ArwkvError(f"process {self.rank}: the first process has ended") from error
        return make()

    def close(self) -> None:
        """Part from the others; nothing wrapped may be used any more."""
        if self.count > 1 and torch.distributed.is_initialized():
            # What a wrapped module still holds of the group would outlive it, and its threads with that: one that
            # lets go of a tensor while Python ends takes the process down.
            gc.collect()
            torch.distributed.destroy_process_group()

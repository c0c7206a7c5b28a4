"""Memory for what is needed on the way, used again by one stretch after the other."""

import contextlib
import math
from collections.abc import Callable, Iterator
from typing import TypeVar, cast

import torch
from torch import Tensor

from .workspace import workspace

SLAB_FLOATS = 1 << 22
"""16 MiB from the system at once, most of what is needed: in huge pages, which small pieces can't be."""

LINE_FLOATS = 16

Cut = TypeVar("Cut")


class Scratch:
    """Memory by name: to get it from the system again, page by page, costs more than to compute what is put there.

    Parameters
    ----------
    dtype : torch.dtype
        float32 or float64.
    device : torch.device
    lent : contextlib.ExitStack
        At whose end the memory goes back.
    """

    def __init__(self, dtype: torch.dtype, device: torch.device, lent: contextlib.ExitStack) -> None:
        self._dtype, self._device, self._lent = dtype, device, lent
        self._kept: dict[str, Tensor] = {}
        self._shaped: dict[tuple[str, tuple[int, ...]], Tensor] = {}
        self._cut: dict[str, tuple[object, object]] = {}
        self._slab = torch.empty(0)

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Memory of that name, with whatever was left in it."""
        shaped = self._shaped.get((name, shape))
        if shaped is None:
            shaped = self._shaped[name, shape] = self._named(name, math.prod(shape)).view(shape)
        return shaped

    def _named(self, name: str, size: int) -> Tensor:
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size:
            kept = self._kept[name] = self._memory(size)
        return kept[:size]

    def pieces(self, name: str, cut: Callable[..., Cut], *tensors: Tensor) -> Cut:
        """What ``cut`` makes of tensors: the views of the last time, if these lie where those of that name lay then."""
        place = [(x.data_ptr(), x.shape, x.stride()) for x in tensors]
        last = self._cut.get(name)
        if last is None or last[0] != place:
            last = self._cut[name] = place, cut(*tensors)
        return cast(Cut, last[1])

    def _memory(self, size: int) -> Tensor:
        if self._device.type != "cpu":
            return torch.empty(size, dtype=self._dtype, device=self._device)
        floats = size * self._dtype.itemsize // torch.float32.itemsize
        whole_lines = -(-floats // LINE_FLOATS) * LINE_FLOATS
        if whole_lines > len(self._slab):
            self._slab = self._lent.enter_context(workspace(max(whole_lines, SLAB_FLOATS)))
        memory, self._slab = self._slab[:floats], self._slab[whole_lines:]
        return memory.view(self._dtype)


@contextlib.contextmanager
def scratch_memory(dtype: torch.dtype, device: torch.device) -> Iterator[Scratch]:
    """Scratch memory for as long as the ``with`` statement lasts: no result may be a view of it."""
    with contextlib.ExitStack() as lent:
        yield Scratch(dtype, device, lent)

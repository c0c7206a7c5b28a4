"""Memory for what is needed on the way, used again by one stretch after the other."""

import contextlib
from collections.abc import Iterator
from typing import NamedTuple

import torch
from torch import Tensor

from .workspace import workspace

LINE_FLOATS = 16
"""Each piece begins a cache line."""


class Scratch(NamedTuple):
    """Memory by name: to get it from the system again, page by page, costs more than to compute what is put there.

    Attributes
    ----------
    kept : dict of Tensor
        One-dimensional. What is "free" has no name yet.
    shaped : dict of Tensor
        The same in the shapes that were asked for last.
    cut : dict of list of Tensor
        Pieces of it, by what they are to one who cuts it; until one of them lies elsewhere.
    """

    kept: dict[str, Tensor]
    shaped: dict[str, Tensor]
    cut: dict[str, list[Tensor]]


def memory(scratch: Scratch, name: str, shape: list[int]) -> Tensor:
    """Memory of that name, with whatever was left in it."""
    if name in scratch.shaped:
        last = scratch.shaped[name]
        if list(last.shape) == shape:
            return last
    size = 1
    for extent in shape:
        size *= extent
    kept = scratch.kept
    if name not in kept or kept[name].numel() < size:
        free = kept["free"]
        whole_lines = (size + 15) // 16 * 16  # of 16 floats, LINE_FLOATS
        if size <= free.numel():
            kept[name] = free[:size]
            kept["free"] = free[whole_lines:]
        else:
            kept[name] = torch.empty([size], dtype=free.dtype, device=free.device)
        scratch.cut.clear()
    shaped = kept[name][:size].view(shape)
    scratch.shaped[name] = shaped
    return shaped


def in_turn(scratch: Scratch, name: str, x: Tensor, sequences: int, reverse: bool) -> list[Tensor]:
    """Cut ``x`` ``(n * sequences, ..)`` into n pieces, from the last to the first if in reverse.

    Those of the last time, if as many of that shape were cut under that name then. It stands for memory of one name,
    for where in it ``x`` lies, and for the direction.
    """
    count = x.shape[0] // sequences
    if name in scratch.cut:
        last = scratch.cut[name]
        if len(last) == count and list(last[0].shape[1:]) == list(x.shape[1:]):
            return last
    pieces = list(x.view([count, sequences, x.shape[1], x.shape[2]]).unbind())
    if reverse:
        pieces.reverse()
    scratch.cut[name] = pieces
    return pieces


@contextlib.contextmanager
def scratch_memory(floats: int, dtype: torch.dtype, device: torch.device) -> Iterator[Scratch]:
    """Scratch memory for as long as the ``with`` statement lasts: no result may be a view of it.

    Parameters
    ----------
    floats : int
        How many float32 to have at once on a CPU: in huge pages, which small pieces can't be. For more than these, and
        on other devices, each name gets its memory from torch.
    dtype : torch.dtype
        float32 or float64.
    device : torch.device
    """
    with contextlib.ExitStack() as lent:
        if device.type == "cpu":
            free = lent.enter_context(workspace(floats)).view(dtype)
        else:
            free = torch.empty(0, dtype=dtype, device=device)
        yield Scratch({"free": free}, {}, {})

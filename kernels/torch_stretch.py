"""Stretches of a sequence, in either direction, cut into chunks: the layout in which `torch_chunks` computes."""

import math
from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import CHUNK, split

ELEMENTS_CPU = 2**17
"""Of each input and both directions in a stretch on a CPU: half a megabyte in float32, which stays in the caches."""

ELEMENTS = 2**23
"""The same on other devices, which want more work at once."""


class Scratch:
    """Memory that stretches use one after the other: to get it from the system again costs more than to use it.

    Parameters
    ----------
    like : Tensor
        Whose dtype and device it has.
    """

    def __init__(self, like: Tensor) -> None:
        self._like = like
        self._kept: dict[str, Tensor] = {}

    def __call__(self, name: str, *shape: int) -> Tensor:
        """Memory of that name, with whatever was left in it."""
        size = math.prod(shape)
        kept = self._kept.get(name)
        if kept is None or kept.numel() < size:
            kept = self._kept[name] = self._like.new_empty(size)
        return kept[:size].view(shape)


class Stretch(NamedTuple):
    """Tokens ``start`` up to ``stop`` in the order in which each direction meets them.

    Attributes
    ----------
    start, stop : int
    directions : tuple of bool
        Whether each is reversed, from the last token to the first.
    """

    start: int
    stop: int
    directions: tuple[bool, ...]

    def place(self, tokens: int, reverse: bool) -> slice:
        """Where the stretch lies in a sequence of so many tokens."""
        return slice(tokens - self.stop, tokens - self.start) if reverse else slice(self.start, self.stop)

    def shape(self, x: Tensor) -> tuple[int, int, int, int]:
        """Of ``x`` ``(B, T, H, N)`` cut into chunks: ``(n, M, C, N)``, M over directions, sequences and heads."""
        batch, _, heads, channels = x.shape
        chunks = -(-(self.stop - self.start) // CHUNK)
        return chunks, len(self.directions) * batch * heads, CHUNK, channels

    def gather(self, x: Tensor, out: Tensor, fill: float = 0.0) -> Tensor:
        """Cut ``x`` ``(B, T, H, N)`` into chunks, and return ``out`` ``(n, M, C, N)`` with them.

        What the last chunk lacks is filled.
        """
        batch, tokens, heads, _ = x.shape
        whole, rest = divmod(self.stop - self.start, CHUNK)
        directions = split(out, 1, len(self.directions), batch, heads)
        if rest:
            out[-1].fill_(fill)
        for i, reverse in enumerate(self.directions):
            part = x[:, self.place(tokens, reverse)]
            if reverse:
                part = part.flip(1)
            chunks = split(part[:, : whole * CHUNK], 1, whole, CHUNK)  # (B, whole, C, H, N)
            directions[:whole, i] = chunks.permute(1, 0, 3, 2, 4)
            if rest:
                directions[-1, i, :, :, :rest] = part[:, whole * CHUNK :].transpose(1, 2)
        return out

    def shares(self, gate: Tensor, scratch: Scratch) -> Tensor:
        """Of both directions in y ``(n, M, C, 1)``, from gate ``(B, T, H)``."""
        share = self.gather(gate[..., None], scratch("share", *self.shape(gate[..., None])))
        backwards = share.view(share.shape[0], 2, -1)[:, 1]
        torch.sub(1, backwards, out=backwards)
        return share

    def add_to(self, whole: Tensor, part: Tensor) -> None:
        """Add ``part`` ``(n, M, C, N)`` where it belongs in ``whole`` ``(B, T, H, N)``."""
        batch, tokens, heads, channels = whole.shape
        directions = split(part, 1, len(self.directions), batch, heads)
        for i, reverse in enumerate(self.directions):
            chunks = directions[:, i].permute(1, 0, 3, 2, 4)  # (B, n, C, H, N)
            x = chunks.reshape(batch, -1, heads, channels)[:, : self.stop - self.start]
            whole[:, self.place(tokens, reverse)] += x.flip(1) if reverse else x


def stretches(x: Tensor, directions: tuple[bool, ...]) -> list[Stretch]:
    """A whole sequence like ``x`` ``(B, T, H, N)`` in stretches, all but the last of whole chunks."""
    batch, tokens, heads, channels = x.shape
    most = ELEMENTS_CPU if x.device.type == "cpu" else ELEMENTS
    length = max(most // (len(directions) * batch * heads * channels * CHUNK), 1) * CHUNK
    starts = range(0, tokens, length)
    return [Stretch(start, min(start + length, tokens), directions) for start in starts]

"""Stretches of a sequence, in either direction, cut into chunks: the layout in which `torch_chunks` computes."""

from typing import NamedTuple

import torch
from torch import Tensor

from .torch_chunks import CHUNK, split

ELEMENTS_CPU = 2**18
"""Of each input and both directions in a stretch on a CPU: 1 MB in float32, so that a stretch stays in the caches."""

ELEMENTS = 2**23
"""The same on other devices, which want more work at once."""


class Stretch(NamedTuple):
    """Tokens ``start`` up to ``stop`` in the order in which each direction meets them.

    Attributes
    ----------
    start, stop : int
    directions : tuple of bool
        Whether each is reversed, from the last token to the first.
    dtype : torch.dtype
        In which to compute.
    """

    start: int
    stop: int
    directions: tuple[bool, ...]
    dtype: torch.dtype

    def place(self, tokens: int, reverse: bool) -> slice:
        """Where the stretch lies in a sequence of so many tokens."""
        return slice(tokens - self.stop, tokens - self.start) if reverse else slice(self.start, self.stop)

    def chunked(self, *tensors: Tensor, fill: float = 0.0) -> Tensor:
        """Tensors ``(B, T, H, N)`` side by side, cut into chunks: ``(n, M, C, number of tensors, N)``.

        M runs over directions, sequences and heads. What the last chunk lacks is filled.
        """
        batch, tokens, heads, channels = tensors[0].shape
        whole, rest = divmod(self.stop - self.start, CHUNK)
        shape = (whole + (rest > 0), len(self.directions), batch, heads, CHUNK, len(tensors), channels)
        out = torch.empty(shape, dtype=self.dtype, device=tensors[0].device)
        if rest:
            out[-1].fill_(fill)
        for j, tensor in enumerate(tensors):
            for i, reverse in enumerate(self.directions):
                x = tensor[:, self.place(tokens, reverse)]
                if reverse:
                    x = x.flip(1)
                chunks = split(x[:, : whole * CHUNK], 1, whole, CHUNK)  # (B, whole, C, H, N)
                out[:whole, i, :, :, :, j] = chunks.permute(1, 0, 3, 2, 4)
                if rest:
                    out[-1, i, :, :, :rest, j] = x[:, whole * CHUNK :].transpose(1, 2)
        return out.view(shape[0], -1, *shape[4:])

    def shares(self, gate: Tensor) -> Tensor:
        """Of both directions in y ``(n, M, C, 1)``, from gate ``(B, T, H)``."""
        share = self.chunked(gate[..., None])[:, :, :, 0]
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
    return [Stretch(start, min(start + length, tokens), directions, x.dtype) for start in starts]

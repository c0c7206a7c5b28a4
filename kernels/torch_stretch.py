"""Stretches of a sequence, in either direction, cut into chunks: the layout in which `torch_chunks` computes."""

import math
from collections.abc import Sequence
from functools import cached_property, lru_cache

import torch
from torch import Tensor

from .torch_chunks import CHUNK, SPAN
from .torch_scratch import Scratch

ELEMENTS_CPU = 2**17
"""Of each input and both directions in a stretch on a CPU: half a megabyte in float32, which stays in the caches."""

ELEMENTS = 2**23
"""The same on other devices, which want more work at once."""


class Stretch:
    """Tokens ``start`` up to ``stop`` in the order in which each direction meets them.

    Parameters
    ----------
    whole : torch.Size
        ``(B, T, H, N)`` of the sequences that it is cut from.
    device : torch.device
    start, stop : int
    directions : tuple of bool
        Whether each is reversed, from the last token to the first.

    Attributes
    ----------
    sequences : int
        M: directions, sequences and heads.
    shape : tuple of int
        When cut into chunks, ``(X, C, N)``.
    """

    def __init__(
        self, whole: torch.Size, device: torch.device, start: int, stop: int, directions: tuple[bool, ...]
    ) -> None:
        self._whole, self._device = whole, device
        self._start, self._stop, self._directions = start, stop, directions
        batch, _, heads, channels = whole
        self.sequences = len(directions) * batch * heads
        self.shape = (-(-(stop - start) // CHUNK) * self.sequences, CHUNK, channels)

    def gather(self, x: Tensor, out: Tensor) -> Tensor:
        """Cut contiguous ``x`` ``(B, T, H, N)`` into chunks, and return contiguous ``out`` ``(X, C, N)`` with them.

        What the last chunk lacks is 0.
        """
        rows, flat = x.view(-1, x.shape[-1]), out.view(-1, x.shape[-1])
        if x.dtype == out.dtype:
            torch.index_select(rows, 0, self._rows, out=flat)
        else:
            flat.copy_(rows.index_select(0, self._rows))
        if rest := (self._stop - self._start) % CHUNK:
            out[-self.sequences :, rest:] = 0
        return out

    def shares(self, gate: Tensor) -> Tensor:
        """Of both directions in y ``(X, C, 1)``, from contiguous gate ``(B, T, H)``."""
        share = gate.view(-1).index_select(0, self._rows)
        backwards = self.second_direction(share)
        torch.sub(1, backwards, out=backwards)
        return share.view(-1, CHUNK, 1)

    def second_direction(self, x: Tensor) -> Tensor:
        """A view of that of two, for contiguous ``x`` with one number a token."""
        return x.view(-1, 2, self.sequences // 2 * CHUNK)[:, 1]

    def add_to(
        self,
        wholes: Sequence[Tensor | None],
        parts: Tensor,
        scratch: Scratch,
        shares: Sequence[Tensor] | None = None,
    ) -> None:
        """Add contiguous ``parts`` ``(X, P * C, N)`` where they belong in P tensors ``(B, T, H, N)``, if they do.

        ``shares``, ``(B, T, H, 1)``, are those of each direction, if it is to be multiplied by one.
        """
        batch, tokens, heads, _ = self._whole
        count, channels, length = len(wholes), parts.shape[-1], self._stop - self._start
        rows = rows_of_tokens(length, batch, heads, self._directions, count, self._device)
        shape = (len(self._directions), batch, length, heads, channels)
        ordered = scratch("rate", *shape)
        for whole, places in zip(wholes, rows.view(count, -1).unbind(), strict=True):
            if whole is None:
                continue
            torch.index_select(parts.view(-1, channels), 0, places, out=ordered.view(-1, channels))
            for i, (reverse, part) in enumerate(zip(self._directions, ordered.unbind(), strict=True)):
                start = tokens - self._stop if reverse else self._start
                there = whole[:, start : start + length]
                if shares is not None:  # not by addcmul_, whose bits depend on which direction comes first
                    part *= shares[i][:, start : start + length]
                there += part

    @cached_property
    def _rows(self) -> Tensor:
        """Which row of sequences ``(B * T * H, N)`` belongs to each row of chunks ``(n * M * C, N)``."""
        batch, tokens, heads, _ = self._whole
        first, later = rows_of_chunks(
            self._stop - self._start, tokens, batch, heads, self._directions, self._device
        )
        return torch.add(first, later, alpha=self._start * heads).view(-1)


@lru_cache(maxsize=16)
def rows_of_chunks(
    length: int, tokens: int, batch: int, heads: int, directions: tuple[bool, ...], device: torch.device
) -> tuple[Tensor, Tensor]:
    """Which row of ``(B, T, H)`` belongs to each row of chunks ``(n, directions, B * H * C)``, in the first stretch.

    Where the last chunk has none, it is that of the last token. Beside it, by what rows change for each row by which a
    stretch begins later, ``(directions, 1)``.
    """
    steps = torch.arange(-(-length // CHUNK) * CHUNK, device=device).clamp_(max=length - 1)
    steps = steps.view(-1, 1, 1, 1, CHUNK)
    places = torch.cat([tokens - 1 - steps if reverse else steps for reverse in directions], 1)
    sequences = torch.arange(batch, device=device).view(-1, 1, 1) * tokens
    rows = (places + sequences) * heads + torch.arange(heads, device=device).view(-1, 1)
    later = torch.tensor([-1 if reverse else 1 for reverse in directions], device=device)
    return rows.flatten(2), later.view(-1, 1)


@lru_cache(maxsize=16)
def rows_of_tokens(
    length: int, batch: int, heads: int, directions: tuple[bool, ...], count: int, device: torch.device
) -> Tensor:
    """Which row of chunks ``(n, directions, B, H, P, C)`` belongs to each row of ``(P, directions, B, tokens, H)``.

    Tokens are in their own order, whatever that of the direction.
    """
    shape = (-(-length // CHUNK), len(directions), batch, heads, count, CHUNK)
    rows = torch.arange(math.prod(shape), device=device).view(shape).permute(1, 4, 2, 0, 5, 3)
    rows = rows.reshape(len(directions), count, batch, -1, heads)[:, :, :, :length]
    parts = [part.flip(2) if reverse else part for reverse, part in zip(directions, rows, strict=True)]
    return torch.stack(parts, 1).view(-1)


def stretches(x: Tensor, directions: tuple[bool, ...]) -> list[Stretch]:
    """A whole sequence like ``x`` ``(B, T, H, N)`` in stretches, all but the last of whole spans."""
    batch, tokens, heads, channels = x.shape
    most = ELEMENTS_CPU if x.device.type == "cpu" else ELEMENTS
    span = SPAN * CHUNK
    length = max(most // (len(directions) * batch * heads * channels * span), 1) * span
    starts = range(0, tokens, length)
    return [Stretch(x.shape, x.device, start, min(start + length, tokens), directions) for start in starts]

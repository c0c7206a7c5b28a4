"""Sequences shared out among threads, each of which takes its own all the way by itself."""

from itertools import pairwise
from typing import NamedTuple

import torch
from torch import Tensor

LEAST_ELEMENTS = 2**14
"""Of each input in a part: less is not worth a second thread's while."""


class Part(NamedTuple):
    """Some directions of some heads of some sequences.

    Attributes
    ----------
    directions : tuple of bool
        Whether each is reversed, from the last token to the first.
    sides, batch, heads : tuple of int
        The first, and the one behind the last, of all directions, sequences and heads that there are.
    """

    directions: tuple[bool, ...]
    sides: tuple[int, int]
    batch: tuple[int, int]
    heads: tuple[int, int]

    def of(self, whole: Tensor) -> Tensor:
        """A view of what belongs to it in ``whole``, ``(directions, B, T, H, ..)``."""
        (side, sides), (first, last), (left, right) = self.sides, self.batch, self.heads
        return whole[side:sides, first:last, :, left:right]

    @property
    def sequences(self) -> int:
        """How many, without regard to heads."""
        return self.batch[1] - self.batch[0]

    @property
    def width(self) -> int:
        """How many heads."""
        return self.heads[1] - self.heads[0]

    @property
    def breadth(self) -> int:
        """M: directions, sequences and heads."""
        return len(self.directions) * self.sequences * self.width


def slices(size: int, count: int) -> list[tuple[int, int]]:
    """``size`` things in ``count`` slices, as equal as they can be."""
    ends = [size * i // count for i in range(count + 1)]
    return [*pairwise(ends)]


def parts(shape: torch.Size, directions: tuple[bool, ...], threads: int) -> list[Part]:
    """Sequences ``(B, T, H, N)`` in as many parts as there are threads, or fewer."""
    batch, _, heads, _ = shape
    wanted = min(threads, len(directions) * shape.numel() // LEAST_ELEMENTS)
    if wanted < max(len(directions), 2):
        return [Part(directions, (0, len(directions)), (0, batch), (0, heads))]
    each = wanted // len(directions)
    batches = slices(batch, min(each, batch))
    of_heads = slices(heads, min(max(each // batch, 1), heads))
    return [
        Part((reverse,), (side, side + 1), sequences, width)
        for side, reverse in enumerate(directions)
        for sequences in batches
        for width in of_heads
    ]

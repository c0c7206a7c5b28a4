"""The matrices of a network's blocks as its products take them: those of one shape in a stack, all in one dtype."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence
from functools import cached_property
from typing import NamedTuple

import torch
from torch import Tensor

Parameters = dict[str, Tensor]
"""Of a block, by name."""

PRODUCTS = ("att.receptance.weight", "att.key.weight", "att.value.weight")
OUTPUT, KEY, VALUE = ("att.output.weight",), ("ffn.key.weight",), ("ffn.value.weight",)
LOW_RANKS = "vwag"
"""Value residual, decay, learning rate, output gate: in the order of `arwkv_kernels.grad_attention.Attention`."""

Names = tuple[str, ...]


class LowRank(NamedTuple):
    """Low ranks of one shape, which are multiplied at once: where they stand among a block's, and their weights."""

    letters: str
    first: int
    inner: Names
    outer: Names


def low_ranks(block: Parameters, layer: int) -> list[LowRank]:
    """Those of a block; the first one has no value residual."""
    letters = LOW_RANKS[1:] if layer == 0 else LOW_RANKS
    runs = [
        "".join(run) for _, run in itertools.groupby(letters, lambda letter: block[f"att.{letter}1"].shape)
    ]
    return [
        LowRank(run, letters.index(run), tuple(f"att.{x}1" for x in run), tuple(f"att.{x}2" for x in run))
        for run in runs
    ]


class Matrices:
    """The stacks of all blocks, each ``(matrices, rows, columns)``, in one piece of memory.

    Parameters
    ----------
    blocks : sequence of dict
        Parameters of each block by name.
    dtype : torch.dtype
        Of products.
    """

    def __init__(self, blocks: Sequence[Parameters], dtype: torch.dtype) -> None:
        from arwkv_kernels.grad_stack import stacked

        self._places: list[tuple[int, Names, torch.Size]] = []
        for layer, block in enumerate(blocks):
            lows = low_ranks(block, layer)
            for names in (
                PRODUCTS,
                *(low.inner for low in lows),
                *(low.outer for low in lows),
                OUTPUT,
                KEY,
                VALUE,
            ):
                self._places.append((layer, names, torch.Size((len(names), *block[names[0]].shape))))
        flat = stacked([blocks[layer][name] for layer, names, _ in self._places for name in names], dtype)
        self.dtype, self._flat, self.stacks = dtype, flat, self._cut(flat)

    @cached_property
    def gradients(self) -> dict[tuple[int, Names], Tensor]:
        """Room for the gradient of each stack."""
        self._flat_gradients = torch.empty_like(self._flat)
        return self._cut(self._flat_gradients)

    def _cut(self, flat: Tensor) -> dict[tuple[int, Names], Tensor]:
        sizes = [math.prod(shape) for _, _, shape in self._places]
        pieces = torch.split(flat, sizes)
        return {
            (layer, names): piece.view(shape)
            for (layer, names, shape), piece in zip(self._places, pieces, strict=True)
        }

    def separate_gradients(self) -> dict[tuple[int, str], Tensor]:
        """The gradients in float32, by layer and name, once all are there."""
        cut = self._cut(self._flat_gradients.float())
        return {
            (layer, name): gradient
            for (layer, names), stack in cut.items()
            for name, gradient in zip(names, stack.unbind(), strict=True)
        }

"""What runs through the blocks, forward and back."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

if TYPE_CHECKING:
    from arwkv_kernels.grad_shift import ShiftGradients


class Stream:
    """The residual stream, and what is yet to be added to it: ``x + skip * (out + bias)``."""

    def __init__(self, x: Tensor) -> None:
        self.x = x  # (B, T, C), float32
        self.out: Tensor | None = None  # (B, T, C), in the dtype of products
        self.bias: Tensor | None = None  # (C,)
        self.skip: Tensor | None = None  # (B,)

    def total(self) -> Tensor:
        """The sum, ``(B, T, C)``, in memory of its own."""
        if self.out is None:
            return self.x.clone()
        out = self.out.float() if self.bias is None else self.out.float() + self.bias
        return self.x + (out if self.skip is None else out * self.skip[:, None, None])


class Slopes:
    """The gradients of a `Stream` where the way back has come to, and those of parameters that were found.

    Parameters
    ----------
    stream : Stream
        As it was at the end.
    dtotal : Tensor, ``(B, T, C)``
        The gradient of its `total`, float32.
    """

    def __init__(self, stream: Stream, dtotal: Tensor) -> None:
        self.x = dtotal
        self.out: Tensor | None = None
        self.bias: Tensor | None = None
        self.v_first = torch.zeros_like(dtotal)  # of the value of block 0 by the blocks behind
        self.found: dict[tuple[int, str], Tensor | None] = {}
        if stream.out is None:
            return
        dout = dtotal if stream.skip is None else dtotal * stream.skip[:, None, None]
        self.out = dout.to(stream.out.dtype)
        self.bias = None if stream.bias is None else dout.sum((0, 1))

    def pass_shift(self, back: ShiftGradients, layer: int, norm: str, mix: str) -> None:
        """Go on with what the first pass of a sub-layer gives: the layer's norm and mix are called so."""
        self.x, self.out, self.bias = back.x, back.out, back.bias
        self.found[layer, f"{norm}.weight"] = back.norm_weight
        self.found[layer, f"{norm}.bias"] = back.norm_bias
        self.found[layer, f"{mix}.time_shift.weight"] = back.conv

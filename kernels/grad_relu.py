"""Bias and squared ReLU of the channel mix as one differentiable function on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import grad_layout as at
from .grad_call import Call, Gradients, new, thin, wide


class _SquaredRelu(torch.autograd.Function):
    """See `squared_relu`."""

    @staticmethod
    def forward(ctx: Any, x: Tensor, bias: Tensor) -> Tensor:
        x, bias = x.detach().contiguous(), wide(bias)
        y = new(*x.shape, dtype=x.dtype)
        call = _relu_call({at.RELU_X: x, at.RELU_BIAS: bias, at.RELU_Y: y})
        call.run("numba_grad_relu", "relu", x.dtype, 0)
        ctx.save_for_backward(x, bias)
        return y

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dy: Tensor) -> Gradients:
        x, bias = ctx.saved_tensors
        dx = new(*x.shape, dtype=x.dtype)
        call = _relu_call({at.RELU_X: x, at.RELU_BIAS: bias, at.RELU_DY: thin(dy, x.dtype), at.RELU_DX: dx})
        sums = new(call.tasks, len(bias))
        call.tensors({at.PARTS: sums})
        call.run("numba_grad_relu", "relu_back", x.dtype, 0)
        return dx, sums.sum(0)


def _relu_call(places: dict[int, Tensor]) -> Call:
    width = places[at.RELU_X].shape[-1]
    total = places[at.RELU_X].numel() // width
    call = Call(at.RELU_WORDS, -(-total // at.CHUNK_ROWS), total, width)
    call.tensors(places)
    return call


def squared_relu(x: Tensor, bias: Tensor) -> Tensor:
    """``relu(x + bias) ** 2``, x thin ``(..., width)``, bias ``(width,)``; in the dtype of x."""
    y: Tensor = _SquaredRelu.apply(x, bias)
    return y

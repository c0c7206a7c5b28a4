"""Bias and squared ReLU of the channel mix on CPUs, and their backward."""

from __future__ import annotations

from torch import Tensor

from . import grad_layout as at
from .grad_call import Call, new, thin, wide


class SquaredRelu:
    """The square of ``relu(x + bias)``.

    Parameters
    ----------
    x : Tensor, ``(..., width)``
        Thin.
    bias : Tensor, ``(width,)``

    Attributes
    ----------
    y : Tensor, ``(..., width)``
        In the dtype of x.
    """

    def __init__(self, x: Tensor, bias: Tensor) -> None:
        self._x, self._bias = x.contiguous(), wide(bias)
        self.y = new(*x.shape, dtype=x.dtype)
        call = self._call({at.RELU_Y: self.y})
        call.run("numba_grad_relu", "relu", x.dtype, 0)

    def backward(self, dy: Tensor) -> tuple[Tensor, Tensor]:
        """The gradients of x, thin, and of the bias."""
        x = self._x
        dx = new(*x.shape, dtype=x.dtype)
        call = self._call({at.RELU_DY: thin(dy, x.dtype), at.RELU_DX: dx})
        sums = new(call.tasks, len(self._bias))
        call.tensors({at.PARTS: sums})
        call.run("numba_grad_relu", "relu_back", x.dtype, 0)
        return dx, sums.sum(0)

    def _call(self, places: dict[int, Tensor]) -> Call:
        width = self._x.shape[-1]
        total = self._x.numel() // width
        call = Call(at.RELU_WORDS, -(-total // at.CHUNK_ROWS), total, width)
        call.tensors({at.RELU_X: self._x, at.RELU_BIAS: self._bias} | places)
        return call

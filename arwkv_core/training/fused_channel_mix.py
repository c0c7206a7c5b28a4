"""The channel mix of a block in fused passes and products, and its backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch

from arwkv_core.model import Block

from .fused_weights import KEY, VALUE, Matrices, Parameters

if TYPE_CHECKING:
    from .fused_stream import Slopes, Stream


class ChannelMix:
    """One pass forward over what comes in, which keeps what the way back needs.

    Parameters
    ----------
    layer : int
    block : Block
        For what is no parameter.
    parameters : dict
        Those of the block by name.
    matrices : Matrices
    stream : Stream
        Changed: the sum of what came in, and what the channel mix gives.
    """

    def __init__(
        self, layer: int, block: Block, parameters: Parameters, matrices: Matrices, stream: Stream
    ) -> None:
        from arwkv_kernels import grad_call, grad_relu, grad_shift

        self._layer, self._matrices = layer, matrices
        mixed = grad_call.new(*stream.x.shape, dtype=matrices.dtype)
        self._shift = grad_shift.Shift(
            stream.x,
            stream.out,
            parameters["ln2.weight"],
            parameters["ln2.bias"],
            parameters["ffn.time_shift.weight"],
            parameters["ffn.x_k"].view(1, -1),
            [mixed],
            bias=stream.bias,
            skip=stream.skip,
            epsilon=block.ln2.eps,
        )
        self._mixed = mixed.view(-1, mixed.shape[-1])
        hidden = self._mixed @ matrices.stacks[layer, KEY][0].t()
        self._relu = grad_relu.SquaredRelu(hidden, parameters["ffn.key.bias"])
        out = self._relu.y @ matrices.stacks[layer, VALUE][0].t()
        stream.x, stream.out = self._shift.total, out.view(mixed.shape)
        stream.bias = parameters["ffn.value.bias"]

    def backward(self, slopes: Slopes) -> None:
        """From the gradients of what the stream was then to those of what it was before."""
        layer, stacks, gradients = self._layer, self._matrices.stacks, self._matrices.gradients
        assert slopes.out is not None
        shape = slopes.out.shape
        dout = slopes.out.view(-1, shape[-1])
        slopes.found[layer, "ffn.value.bias"] = slopes.bias
        torch.mm(dout.t(), self._relu.y, out=gradients[layer, VALUE][0])
        dhidden, dbias = self._relu.backward(dout @ stacks[layer, VALUE][0])
        slopes.found[layer, "ffn.key.bias"] = dbias
        torch.mm(dhidden.t(), self._mixed, out=gradients[layer, KEY][0])
        dmixed = (dhidden @ stacks[layer, KEY][0]).view(shape)
        back = self._shift.backward(slopes.x, None, [dmixed])
        slopes.pass_shift(back, layer, "ln2", "ffn")
        slopes.found[layer, "ffn.x_k"] = back.shares.view(1, 1, -1)

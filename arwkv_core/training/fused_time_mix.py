"""The time mix of a block in fused passes and batched products, and its backward."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor

from arwkv_core.model import Block

from .fused_weights import OUTPUT, PRODUCTS, Matrices, Parameters, low_ranks

if TYPE_CHECKING:
    from .fused_stream import Slopes, Stream

SHARES = ("att.x_r", "att.x_w", "att.x_k", "att.x_v", "att.x_a", "att.x_g")
ORDER = ("r", "k", "v", "w", "a", "g")
"""Of the mixes in memory: r, k, v are multiplied by square matrices; v, w, a, g by low ranks."""
VECTORS = ("att.w0", "att.a0", "att.v0", "att.k_k", "att.k_a", "att.r_k", "att.ln_x.weight", "att.ln_x.bias")


class TimeMix:
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
        Changed: the sum of what came in, and what the time mix gives.
    v_first : Tensor or None, ``(B, T, C)``
        Value of block 0, float32; None in block 0.
    """

    def __init__(
        self,
        layer: int,
        block: Block,
        parameters: Parameters,
        matrices: Matrices,
        stream: Stream,
        v_first: Tensor | None,
    ) -> None:
        from arwkv_kernels import grad_attention, grad_call, grad_shift

        self._layer, self._matrices = layer, matrices
        self._lows = low_ranks(parameters, layer)
        batch, tokens, width = stream.x.shape
        dtype = matrices.dtype
        mixed = grad_call.new(len(ORDER), batch, tokens, width, dtype=dtype)
        self._shift = grad_shift.Shift(
            stream.x,
            stream.out,
            parameters["ln1.weight"],
            parameters["ln1.bias"],
            parameters["att.time_shift.weight"],
            torch.cat([parameters[name].view(1, -1) for name in SHARES]),
            [mixed[ORDER.index(name[-1])] for name in SHARES],
            bias=stream.bias,
            skip=stream.skip,
            gate=parameters["att.gate.weight"],
            epsilon=block.ln1.eps,
        )
        rows = mixed.view(len(ORDER), batch * tokens, width)
        self._mixed = rows[:3]
        self._light = rows[3:] if layer == 0 else rows[2:]
        products = torch.bmm(self._mixed, matrices.stacks[layer, PRODUCTS].mT)
        lows = grad_call.new(*self._light.shape, dtype=dtype)
        self._hidden = []
        for low in self._lows:
            here = slice(low.first, low.first + len(low.letters))
            hidden = torch.bmm(self._light[here], matrices.stacks[layer, low.inner])
            for letter, x in zip(low.letters, hidden, strict=True):
                if letter == "w":
                    x.tanh_()
                elif letter == "g":
                    x.sigmoid_()
            torch.bmm(hidden, matrices.stacks[layer, low.outer], out=lows[here])
            self._hidden.append(hidden)
        self._gate = torch.sigmoid(self._shift.logits)
        shape = (batch, tokens, width)
        self._attention = grad_attention.Attention(
            products.view(3, *shape),
            lows.view(-1, *shape),
            self._gate,
            v_first,
            tuple(parameters[name] for name in VECTORS),
            epsilon=block.att.ln_x.eps,
        )
        self.v_first = self._attention.v_first
        out = self._attention.z.view(-1, width) @ matrices.stacks[layer, OUTPUT][0].t()
        stream.x, stream.out, stream.bias = self._shift.total, out.view(shape), None

    def backward(self, slopes: Slopes) -> None:
        """From the gradients of what the stream and ``v_first`` were then to those of what they were before."""
        from arwkv_kernels import grad_call

        layer, stacks, gradients = self._layer, self._matrices.stacks, self._matrices.gradients
        z, dtype = self._attention.z, self._matrices.dtype
        width = z.shape[-1]
        assert slopes.out is not None
        dout = slopes.out.view(-1, width)
        torch.mm(dout.t(), z.view(-1, width), out=gradients[layer, OUTPUT][0])
        found = self._attention.backward((dout @ stacks[layer, OUTPUT][0]).view(z.shape), slopes.v_first)

        dproducts = found.products.view(self._mixed.shape)
        torch.bmm(dproducts.mT, self._mixed, out=gradients[layer, PRODUCTS])
        dmixed = torch.bmm(dproducts, stacks[layer, PRODUCTS])
        dlight = grad_call.new(*self._light.shape, dtype=dtype)
        dlows = found.lows.view(self._light.shape)
        for low, hidden in zip(self._lows, self._hidden, strict=True):
            here = slice(low.first, low.first + len(low.letters))
            torch.bmm(hidden.mT, dlows[here], out=gradients[layer, low.outer])
            dhidden = torch.bmm(dlows[here], stacks[layer, low.outer].mT)
            for letter, d, y in zip(low.letters, dhidden, hidden, strict=True):
                if letter == "w":
                    torch.ops.aten.tanh_backward.grad_input(d, y, grad_input=d)
                elif letter == "g":
                    torch.ops.aten.sigmoid_backward.grad_input(d, y, grad_input=d)
            torch.bmm(self._light[here].mT, dhidden, out=gradients[layer, low.inner])
            torch.bmm(dhidden, stacks[layer, low.inner].mT, out=dlight[here])

        by_letter = dict(zip(ORDER[-len(dlight) :], dlight, strict=True))
        by_letter |= dict(zip(ORDER[:3], dmixed, strict=True))
        again = dlight[0] if layer else torch.zeros_like(dlight[0])  # that of v's second product
        back = self._shift.backward(
            slopes.x,
            torch.ops.aten.sigmoid_backward(found.gate, self._gate),
            [x.view(z.shape) for x in (*(by_letter[name[-1]] for name in SHARES), again)],
        )
        slopes.pass_shift(back, layer, "ln1", "att")
        if found.v_first is not None:
            slopes.v_first = found.v_first
        slopes.found[layer, "att.gate.weight"] = back.gate
        for name, share in zip(SHARES, back.shares, strict=True):
            slopes.found[layer, name] = share.view(1, 1, -1)
        for name, x in zip(VECTORS, found.vectors, strict=True):
            slopes.found[layer, name] = x

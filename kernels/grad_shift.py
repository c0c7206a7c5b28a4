"""Residual sum, layer norm, token shift and mixes on CPUs, and their backward."""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from . import grad_layout as at
from .grad_call import Call, float_bits, new, thin, wide


class ShiftGradients(NamedTuple):
    """What `Shift.backward` gives; None for what was not there."""

    x: Tensor
    out: Tensor | None
    bias: Tensor | None
    norm_weight: Tensor
    norm_bias: Tensor
    conv: Tensor
    shares: Tensor
    gate: Tensor | None


class Shift:
    """Residual sum, layer norm, 2D token shift, and the mixes that the matrix products take.

    Parameters
    ----------
    x : Tensor, ``(B, T, C)``
        The residual stream, float32, time-major over 8 bands.
    out : Tensor or None, ``(B, T, C)``
        What the sub-layer before gives to it, thin.
    norm_weight, norm_bias : Tensor, ``(C,)``
    conv : Tensor, ``(C, 1, 3, 3)``
        Depthwise, over (steps, bands).
    shares : Tensor, ``(6, C)`` with a gate, ``(1, C)`` without
        Of the shift in each mix, as `MIXES` has them.
    mixed : sequence of Tensor, ``(B, T, C)``
        Thin, contiguous; they take the mixes, one for each row of ``shares``.
    bias : Tensor, ``(C,)``, optional
        Added to ``out``.
    skip : Tensor, ``(B,)``, optional
        Factor of ``out + bias`` in each sample: stochastic depth. Not differentiated.
    gate : Tensor, ``(H, 64, 1)``, optional
        Weights of the directions' logits.
    epsilon : float
        Of the norm.

    Attributes
    ----------
    total : Tensor, ``(B, T, C)``
        ``x + skip * (out + bias)``
    logits : Tensor, ``(B, T, H)``
        Of the forward direction; empty without a gate.
    """

    def __init__(
        self,
        x: Tensor,
        out: Tensor | None,
        norm_weight: Tensor,
        norm_bias: Tensor,
        conv: Tensor,
        shares: Tensor,
        mixed: Sequence[Tensor],
        *,
        bias: Tensor | None = None,
        skip: Tensor | None = None,
        gate: Tensor | None = None,
        epsilon: float = 1e-5,
    ) -> None:
        batch, tokens, width = x.shape
        x = wide(x)
        self.total = x if out is None else new(batch, tokens, width)
        self.logits = new(batch, tokens, width // 64 if gate is not None else 0)
        self._dtype, self._mixes = mixed[0].dtype, len(shares)
        self._adds, self._biased = out is not None, bias is not None
        self._conv_shape = conv.shape
        self._gate_shape = None if gate is None else gate.shape
        constants = {
            at.SHIFT_BIAS: torch.zeros(width) if bias is None else wide(bias),
            at.SHIFT_SKIP: torch.ones(batch) if skip is None else wide(skip),
            at.SHIFT_NORM_WEIGHT: wide(norm_weight),
            at.SHIFT_NORM_BIAS: wide(norm_bias),
            at.SHIFT_CONV: wide(conv.view(width, 9).t()),
            at.SHIFT_SHARES: wide(shares),
            at.SHIFT_STATS: new(batch, tokens, 2),
            at.SHIFT_SUM: self.total,
        }
        if gate is not None:
            constants[at.SHIFT_GATE_WEIGHT] = wide(gate)
        steps = tokens // at.BANDS
        self._call = Call(at.SHIFT_WORDS, batch * -(-steps // at.CHUNK_STEPS), batch * tokens, width)
        self._call.number(at.STEPS, steps)
        self._call.number(at.ADDS, int(self._adds))
        self._call.tensors(constants)
        call = self._call.again()
        call.number(at.EPSILON, float_bits(epsilon))
        call.tensors({at.SHIFT_X: x, at.SHIFT_LOGITS: self.logits})
        if out is not None:
            call.tensors({at.SHIFT_OUT: thin(out, self._dtype)})
        call.tensors({at.SHIFT_MIXED + i: each for i, each in enumerate(mixed)})
        name = "shift_one" if gate is None else "shift_six"
        call.run("numba_grad_shift", name, self._dtype, at.shift_forward_floats(width))

    def backward(self, dsum: Tensor, dlogits: Tensor | None, dmixed: Sequence[Tensor]) -> ShiftGradients:
        """From the gradients of what it gave.

        Parameters
        ----------
        dsum : Tensor, ``(B, T, C)``
            Of ``total``, float32.
        dlogits : Tensor or None, ``(B, T, H)``
            float32; None without a gate.
        dmixed : sequence of Tensor, ``(B, T, C)``
            Thin, of the mixes; with a gate a seventh one, which is added to the one of v.
        """
        batch, tokens, width = self.total.shape
        dx = new(batch, tokens, width)
        call = self._call.again()
        parts = new(call.tasks, at.SHIFT_PARTS, width)
        call.tensors({at.SHIFT_DX: dx, at.PARTS: parts, at.SHIFT_DSUM: wide(dsum)})
        if dlogits is not None:
            call.tensors({at.SHIFT_DLOGITS: wide(dlogits)})
        call.tensors({at.SHIFT_DMIXED + i: thin(each, self._dtype) for i, each in enumerate(dmixed)})
        dout = None
        if self._adds:
            dout = new(batch, tokens, width, dtype=self._dtype)
            call.tensors({at.SHIFT_DOUT: dout})
        name = "shift_one_back" if self._gate_shape is None else "shift_six_back"
        call.run("numba_grad_shift_back", name, self._dtype, at.shift_backward_floats(width))
        sums = parts.sum(0)
        return ShiftGradients(
            x=dx,
            out=dout,
            bias=sums[at.PART_BIAS] if self._biased else None,
            norm_weight=sums[at.PART_NORM_WEIGHT],
            norm_bias=sums[at.PART_NORM_BIAS],
            conv=sums[at.PART_CONV : at.PART_CONV + 9].t().reshape(self._conv_shape),
            shares=sums[at.PART_SHARES : at.PART_SHARES + self._mixes],
            gate=None if self._gate_shape is None else sums[at.PART_GATE].view(self._gate_shape),
        )

"""Residual sum, layer norm, token shift and mixes as one differentiable function on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import grad_layout as at
from .grad_call import Call, Gradients, float_bits, new, thin, wide

VALUE = at.MIXES.index("v")


class _Shift(torch.autograd.Function):
    """See `shift`."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        out: Tensor | None,
        bias: Tensor | None,
        skip: Tensor | None,
        norm_weight: Tensor,
        norm_bias: Tensor,
        epsilon: float,
        conv: Tensor,
        shares: Tensor,
        gate: Tensor | None,
        dtype: torch.dtype,
    ) -> tuple[Tensor, ...]:
        batch, tokens, width = x.shape
        mixes = shares.shape[0]
        steps = tokens // at.BANDS
        tasks = batch * -(-steps // at.CHUNK_STEPS)
        x = wide(x)
        total = x if out is None else new(batch, tokens, width)
        mixed = [new(batch, tokens, width, dtype=dtype) for _ in range(mixes)]
        stats = new(batch, tokens, 2)
        logits = new(batch, tokens, width // 64 if gate is not None else 0)
        constants = {
            at.SHIFT_BIAS: torch.zeros(width) if bias is None else wide(bias),
            at.SHIFT_SKIP: torch.ones(batch) if skip is None else wide(skip),
            at.SHIFT_NORM_WEIGHT: wide(norm_weight),
            at.SHIFT_NORM_BIAS: wide(norm_bias),
            at.SHIFT_CONV: wide(conv.view(width, 9).t()),
            at.SHIFT_SHARES: wide(shares),
            at.SHIFT_STATS: stats,
            at.SHIFT_SUM: total,
        }
        if gate is not None:
            constants[at.SHIFT_GATE_WEIGHT] = wide(gate)
        call = Call(at.SHIFT_WORDS, tasks, batch * tokens, width)
        call.number(at.STEPS, steps)
        call.number(at.EPSILON, float_bits(epsilon))
        call.number(at.ADDS, int(out is not None))
        call.tensors(constants | {at.SHIFT_X: x, at.SHIFT_LOGITS: logits})
        if out is not None:
            call.tensors({at.SHIFT_OUT: thin(out, dtype)})
        call.tensors({at.SHIFT_MIXED + i: each for i, each in enumerate(mixed)})
        name = "shift_one" if gate is None else "shift_six"
        call.run("numba_grad_shift", name, dtype, at.shift_forward_floats(width))
        ctx.places = list(constants)
        ctx.save_for_backward(*constants.values())
        ctx.facts = (
            dtype,
            mixes,
            tasks,
            conv.shape,
            out is not None and out.dtype,
            bias is not None,
            gate.shape if gate is not None else None,
        )
        # of its own for autograd where it is handed on as it came
        total = x.view_as(x) if out is None else total
        if gate is None:
            return total, logits, *mixed
        # twice, so that the gradients of its two products are added up where they are read
        return total, logits, *mixed, mixed[VALUE].view_as(mixed[VALUE])

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, *gradients: Tensor) -> Gradients:
        dsum, dlogits, *dmixed = gradients
        dtype, mixes, tasks, conv_shape, adds, biased, gate_shape = ctx.facts
        constants = dict(zip(ctx.places, ctx.saved_tensors, strict=True))
        batch, tokens, width = dsum.shape
        dx = new(batch, tokens, width)
        parts = new(tasks, at.SHIFT_PARTS, width)
        call = Call(at.SHIFT_WORDS, tasks, batch * tokens, width)
        call.number(at.STEPS, tokens // at.BANDS)
        call.number(at.ADDS, int(bool(adds)))
        call.tensors(constants | {at.SHIFT_DX: dx, at.PARTS: parts, at.SHIFT_DSUM: wide(dsum)})
        call.tensors({at.SHIFT_DLOGITS: wide(dlogits)})
        call.tensors({at.SHIFT_DMIXED + i: thin(each, dtype) for i, each in enumerate(dmixed)})
        dout = None
        if adds:
            dout = new(batch, tokens, width, dtype=dtype)
            call.tensors({at.SHIFT_DOUT: dout})
        name = "shift_one_back" if gate_shape is None else "shift_six_back"
        call.run("numba_grad_shift_back", name, dtype, at.shift_backward_floats(width))
        sums = parts.sum(0)
        return (
            dx,
            dout.to(adds) if dout is not None else None,
            sums[at.PART_BIAS] if biased else None,
            None,
            sums[at.PART_NORM_WEIGHT],
            sums[at.PART_NORM_BIAS],
            None,
            sums[at.PART_CONV : at.PART_CONV + 9].t().reshape(conv_shape),
            sums[at.PART_SHARES : at.PART_SHARES + mixes],
            sums[at.PART_GATE].view(gate_shape) if gate_shape is not None else None,
            None,
        )


def shift(
    x: Tensor,
    out: Tensor | None,
    norm_weight: Tensor,
    norm_bias: Tensor,
    conv: Tensor,
    shares: Tensor,
    *,
    bias: Tensor | None = None,
    skip: Tensor | None = None,
    gate: Tensor | None = None,
    epsilon: float = 1e-5,
    dtype: torch.dtype = torch.float32,
) -> tuple[Tensor, Tensor, tuple[Tensor, ...]]:
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
        Of the shift in each mix.
    bias : Tensor, ``(C,)``, optional
        Added to ``out``.
    skip : Tensor, ``(B,)``, optional
        Factor of ``out + bias`` in each sample: stochastic depth. Not differentiated.
    gate : Tensor, ``(H, 64, 1)``, optional
        Weights of the directions' logits.
    epsilon : float
        Of the norm.
    dtype : torch.dtype
        Of the thin tensors.

    Returns
    -------
    total : Tensor, ``(B, T, C)``
        ``x + skip * (out + bias)``
    logits : Tensor, ``(B, T, H)``
        Of the forward direction; empty without a gate.
    mixed : tuple of Tensor, ``(B, T, C)``
        Thin, one for each row of ``shares``, in the order r, w, k, v, a, g; and, with a gate, v once more for the
        second product that takes it.
    """
    found: Any = _Shift.apply(x, out, bias, skip, norm_weight, norm_bias, epsilon, conv, shares, gate, dtype)
    total, logits, *mixed = found
    return total, logits, tuple(mixed)

"""All of the time mix that lies between its matrix products, as one differentiable function on CPUs."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor
from torch.autograd.function import once_differentiable

from . import grad_layout as at
from .grad_call import Call, Gradients, float_bits, new, thin, wide
from .op import bi_wkv7

_THIN_INPUTS = (at.R, at.K_RAW, at.V_RAW, at.LOW_W, at.LOW_A, at.G, at.LOW_V)
_WIDE_INPUTS = (at.W0, at.A0, at.V0, at.K_K, at.K_A, at.R_K, at.GROUP_WEIGHT, at.GROUP_BIAS)


class _Attention(torch.autograd.Function):
    """See `attention`."""

    @staticmethod
    def forward(
        ctx: Any, epsilon: float, gate: Tensor, v_first: Tensor | None, low_v: Tensor | None, *tensors: Tensor
    ) -> tuple[Tensor, Tensor]:
        r, k, v, low_w, low_a, g, *vectors = tensors
        dtype = r.dtype
        batch, tokens, width = r.shape
        heads = (batch, tokens, width // 64, 64)
        first = v_first is None
        products = [r, k, v, low_w, low_a, g] if low_v is None else [r, k, v, low_w, low_a, g, low_v]
        kept = {name: thin(x, dtype) for name, x in zip(_THIN_INPUTS, products, strict=False)}
        kept |= dict(zip(_WIDE_INPUTS, map(wide, vectors), strict=True))
        kept[at.V_FIRST] = new(batch, tokens, width) if v_first is None else wide(v_first)
        kept[at.W] = new(batch, tokens, width)
        for name in (at.K, at.V, at.A, at.B):
            kept[name] = new(batch, tokens, width, dtype=dtype)
        call = _attention_call(kept, first, epsilon)
        call.run("numba_grad_attention", "prepare", dtype, at.ATTENTION_FLOATS)
        gate = wide(gate)
        r, w, k, v, a, b = (kept[name].view(heads) for name in (at.R, at.W, at.K, at.V, at.A, at.B))
        kept[at.Y] = bi_wkv7(r, w, k, v, a, b, gate).view(batch, tokens, width)
        z = new(batch, tokens, width, dtype=dtype)
        call = _attention_call(kept | {at.Z: z}, first, epsilon)
        call.run("numba_grad_attention", "combine", dtype, at.ATTENTION_FLOATS)
        ctx.places, ctx.facts = list(kept), (first, epsilon, [x.shape for x in vectors])
        ctx.save_for_backward(gate, *kept.values())
        return z, kept[at.V_FIRST] if v_first is None else v_first.view_as(v_first)

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dz: Tensor, dv_first: Tensor) -> Gradients:
        gate, *saved = ctx.saved_tensors
        kept: dict[int, Tensor] = dict(zip(ctx.places, saved, strict=True))
        first, epsilon, shapes = ctx.facts
        dtype = kept[at.R].dtype
        batch, tokens, width = dz.shape
        heads = (batch, tokens, width // 64, 64)

        dy, dg, dv_bonus = (new(batch, tokens, width, dtype=dtype) for _ in range(3))
        dbonus = new(batch, tokens, width // 64)
        call = _attention_call(kept, first, epsilon)
        call.tensors({at.DZ: thin(dz, dtype), at.DY: dy, at.DG: dg})
        call.tensors({at.DV_BONUS: dv_bonus, at.DBONUS: dbonus})
        combine_sums = _summed(call, "combine_back", dtype, at.COMBINE_PARTS)
        inputs = [kept[name].view(heads) for name in (at.R, at.W, at.K, at.V, at.A, at.B)]
        *slopes, dgate = torch.ops.arwkv.bi_wkv7_backward(dy.view(heads), *inputs, gate)
        dr, dw, dk, dv, da, db = (x.contiguous() for x in slopes)
        dlow_w = dy  # the recurrence is done with it
        dv_first_out = None if first else new(batch, tokens, width)
        call = _attention_call(kept, first, epsilon)
        call.tensors({at.DR: dr, at.DW: dw, at.DK: dk, at.DV: dv, at.DA: da, at.DB: db})
        call.tensors({at.DV_BONUS: dv_bonus, at.DBONUS: dbonus, at.DV_FIRST: wide(dv_first)})
        # each in the place of a gradient that is read for the last time where it is written
        call.tensors({at.DR_OUT: dr, at.DK_OUT: dk, at.DV_OUT: dv, at.DLOW_A: da, at.DLOW_V: db})
        call.tensors({at.DLOW_W: dlow_w})
        if dv_first_out is not None:
            call.tensors({at.DV_FIRST_OUT: dv_first_out})
        prepare_sums = _summed(call, "prepare_back", dtype, at.PREPARE_PARTS)
        rows: list[Tensor | None] = [*prepare_sums, *combine_sums]
        if first:
            rows[at.PART_V0] = None  # not used there
        flat = (batch, tokens, width)
        return (
            None,
            dgate,
            dv_first_out,
            None if first else db.view(flat),
            dr.view(flat),
            dk.view(flat),
            dv.view(flat),
            dlow_w,
            da.view(flat),
            dg,
            *(None if x is None else x.view(shape) for x, shape in zip(rows, shapes, strict=True)),
        )


def _attention_call(places: dict[int, Tensor], first: bool, epsilon: float) -> Call:
    batch, tokens, width = places[at.R].shape
    total = batch * tokens
    call = Call(at.ATTENTION_WORDS, -(-total // at.CHUNK_ROWS), total, width)
    call.number(at.HEADS, width // 64)
    call.number(at.FIRST, int(first))
    call.number(at.GROUP_EPSILON, float_bits(epsilon))
    call.tensors(places)
    return call


def _summed(call: Call, name: str, dtype: torch.dtype, parts: int) -> Tensor:
    """Run a backward of the attention; the sums over all rows, ``(parts, C)``."""
    sums = new(call.tasks, parts, int(call.words[at.WIDTH]))
    call.tensors({at.PARTS: sums})
    call.run("numba_grad_attention_back", name, dtype, at.ATTENTION_FLOATS)
    return sums.sum(0)


def attention(
    r: Tensor,
    k: Tensor,
    v: Tensor,
    low_w: Tensor,
    low_a: Tensor,
    low_v: Tensor | None,
    g: Tensor,
    gate: Tensor,
    v_first: Tensor | None,
    vectors: tuple[Tensor, ...],
    *,
    epsilon: float,
) -> tuple[Tensor, Tensor]:
    """From the products of the mixes to what the output layer takes, the recurrence included.

    Parameters
    ----------
    r, k, v, low_w, low_a, g : Tensor, ``(B, T, C)``
        Products, thin: receptance, key, value, low ranks of decay and learning rate, output gate.
    low_v : Tensor or None
        Low rank of the value residual; None in block 0, as ``v_first`` is.
    gate : Tensor, ``(B, T, H)``
        Share of the forward direction.
    v_first : Tensor or None, ``(B, T, C)``
        Value of block 0, float32.
    vectors : tuple of Tensor
        w0, a0, v0, k_k, k_a, r_k, and weight and bias of the norm: C channels each.
    epsilon : float
        Of that norm.

    Returns
    -------
    z : Tensor, ``(B, T, C)``
        Thin.
    v_first : Tensor
        For the next block. Each block hands on the last one's, so that its gradients are added up on the way.
    """
    found: Any = _Attention.apply(epsilon, gate, v_first, low_v, r, k, v, low_w, low_a, g, *vectors)
    z, v_first = found
    return z, v_first

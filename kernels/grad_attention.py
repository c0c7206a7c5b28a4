"""All of the time mix that lies between its matrix products on CPUs, and its backward."""

from __future__ import annotations

from typing import NamedTuple

import torch
from torch import Tensor

from . import grad_layout as at
from . import numba_cpu, registry
from .grad_call import Call, float_bits, new, thin, wide

_PRODUCTS = (at.R, at.K_RAW, at.V_RAW)
_LOWS = (at.LOW_V, at.LOW_W, at.LOW_A, at.G)
_VECTORS = (at.W0, at.A0, at.V0, at.K_K, at.K_A, at.R_K, at.GROUP_WEIGHT, at.GROUP_BIAS)
_INPUTS = (at.R, at.W, at.K, at.V, at.A, at.B)


class AttentionGradients(NamedTuple):
    """What `Attention.backward` gives."""

    products: Tensor
    lows: Tensor
    gate: Tensor
    v_first: Tensor | None
    vectors: tuple[Tensor | None, ...]


class Attention:
    """From the products of the mixes to what the output layer takes, the recurrence included.

    Parameters
    ----------
    products : Tensor, ``(3, B, T, C)``
        Receptance, key and value, thin.
    lows : Tensor, ``(4, B, T, C)``, in block 0 ``(3, B, T, C)``
        Low ranks of value residual (not in block 0), decay, learning rate and output gate, thin.
    gate : Tensor, ``(B, T, H)``
        Share of the forward direction, float32.
    v_first : Tensor or None, ``(B, T, C)``
        Value of block 0, float32; None in block 0.
    vectors : tuple of Tensor
        w0, a0, v0, k_k, k_a, r_k, and weight and bias of the norm: C channels each.
    epsilon : float
        Of that norm.

    Attributes
    ----------
    z : Tensor, ``(B, T, C)``
        Thin.
    v_first : Tensor, ``(B, T, C)``
        For the blocks that follow.
    """

    def __init__(
        self,
        products: Tensor,
        lows: Tensor,
        gate: Tensor,
        v_first: Tensor | None,
        vectors: tuple[Tensor, ...],
        *,
        epsilon: float,
    ) -> None:
        dtype = products.dtype
        _, batch, tokens, width = products.shape
        self._first, self._gate = v_first is None, wide(gate)
        self._shapes = [x.shape for x in vectors]
        self.v_first = new(batch, tokens, width) if v_first is None else v_first
        kept = dict(zip(_PRODUCTS, products, strict=True))
        kept |= dict(zip(_LOWS[-len(lows) :], lows, strict=True))
        kept |= dict(zip(_VECTORS, map(wide, vectors), strict=True))
        kept |= {at.V_FIRST: self.v_first, at.W: new(batch, tokens, width)}
        for name in (at.K, at.V, at.A, at.B):
            kept[name] = new(batch, tokens, width, dtype=dtype)
        total = batch * tokens
        call = Call(at.ATTENTION_WORDS, -(-total // at.CHUNK_ROWS), total, width)
        call.number(at.HEADS, width // 64)
        call.number(at.FIRST, int(self._first))
        call.number(at.GROUP_EPSILON, float_bits(epsilon))
        call.tensors(kept)
        call.run("numba_grad_attention", "prepare", dtype, at.ATTENTION_FLOATS)
        self._inputs = [kept[name].view(batch, tokens, width // 64, 64) for name in _INPUTS]
        backend = registry.select(products.device, dtype)
        y = backend.forward(*self._inputs, self._gate)
        self.z = new(batch, tokens, width, dtype=dtype)
        self._call = call.again()
        self._call.tensors({at.Y: y, at.Z: self.z})
        call = self._call.again()
        call.run("numba_grad_attention", "combine", dtype, at.ATTENTION_FLOATS)

    def backward(self, dz: Tensor, dv_first: Tensor) -> AttentionGradients:
        """From the gradients of z and, float32, of what the blocks behind make of ``v_first``.

        All of this block's share of ``v_first`` is in what it returns, so that gradients are added up on the way.
        """
        dtype = self.z.dtype
        batch, tokens, width = self.z.shape
        heads = (batch, tokens, width // 64, 64)
        products = new(3, batch, tokens, width, dtype=dtype)
        lows = new(3 if self._first else 4, batch, tokens, width, dtype=dtype)
        dlow_w, dlow_a, dg = lows[-3:]
        dv_bonus = new(batch, tokens, width, dtype=dtype)
        dbonus = new(batch, tokens, width // 64)
        dy = dlow_w  # it is read for the last time before that is written
        call = self._call.again()
        call.tensors({at.DZ: thin(dz, dtype), at.DY: dy, at.DG: dg})
        call.tensors({at.DV_BONUS: dv_bonus, at.DBONUS: dbonus})
        combine_sums = _summed(call, "combine_back", dtype, at.COMBINE_PARTS)
        # likewise, gradients of the recurrence lie where those of the products are written
        db = new(batch, tokens, width, dtype=dtype) if self._first else lows[0]
        dw = new(batch, tokens, width)
        slopes = [x.view(heads) for x in (products[0], dw, products[1], products[2], dlow_a, db)]
        dgate = _recur_back(dy.view(heads), self._inputs, self._gate, slopes)
        dv_first_out = None if self._first else new(batch, tokens, width)
        dr, dk, dv = products
        call = self._call.again()
        call.tensors({at.DR: dr, at.DW: dw, at.DK: dk, at.DV: dv, at.DA: dlow_a, at.DB: db})
        call.tensors({at.DV_BONUS: dv_bonus, at.DBONUS: dbonus, at.DV_FIRST: wide(dv_first)})
        call.tensors({at.DR_OUT: dr, at.DK_OUT: dk, at.DV_OUT: dv, at.DLOW_A: dlow_a, at.DLOW_V: db})
        call.tensors({at.DLOW_W: dlow_w})
        if dv_first_out is not None:
            call.tensors({at.DV_FIRST_OUT: dv_first_out})
        prepare_sums = _summed(call, "prepare_back", dtype, at.PREPARE_PARTS)
        rows: list[Tensor | None] = [*prepare_sums, *combine_sums]
        if self._first:
            rows[at.PART_V0] = None  # not used there
        vectors = tuple(
            None if x is None else x.view(shape) for x, shape in zip(rows, self._shapes, strict=True)
        )
        return AttentionGradients(products, lows, dgate, dv_first_out, vectors)


def _recur_back(dy: Tensor, inputs: list[Tensor], gate: Tensor, slopes: list[Tensor]) -> Tensor:
    """Backward of the recurrence into tensors that are there, ``(B, T, H, 64)``; the gradient of the gate."""
    backend = registry.select(dy.device, inputs[3].dtype)
    if backend.name == "numba":
        return numba_cpu.backward_into(slopes, dy, *inputs, gate)
    *found, dgate = backend.backward(dy, *inputs, gate)
    for slope, x in zip(slopes, found, strict=True):
        slope.copy_(x)
    return dgate


def _summed(call: Call, name: str, dtype: torch.dtype, parts: int) -> Tensor:
    """Run a backward of the attention; the sums over all rows, ``(parts, C)``."""
    sums = new(call.tasks, parts, call.width)
    call.tensors({at.PARTS: sums})
    call.run("numba_grad_attention_back", name, dtype, at.ATTENTION_FLOATS)
    return sums.sum(0)

"""The network for inference on a CPU: matrix products by oneDNN, everything between them in three fused passes a block.

`ARWKV` in `model.py` is the reference: the same weights, the same mathematics. Here the activations are gone over
three times a block instead of some forty, buffers are used again instead of being faulted in anew, and the products
run in the precision that was asked for.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import cast

import torch
from torch import Tensor

from arwkv_kernels.block import MixWeights, ShiftWeights, row_floats, shift, time_mix

from .constants import BANDS, PATCH
from .model import ARWKV, Block, ChannelMix, TimeMix
from .products import After, Product, make_product

MIXES = ("r", "k", "v", "w", "a", "g")


@dataclass(frozen=True)
class _FusedBlock:
    """Weights of a block as passes and products take them."""

    time_shift: ShiftWeights
    receptance: Product
    key: Product
    value: Product
    decay: tuple[Product, Product]
    rate: tuple[Product, Product]
    residual: tuple[Product, Product]
    gate: tuple[Product, Product]
    mix: MixWeights
    output: Product
    channel_shift: ShiftWeights
    expand: Product
    contract: Product


class Buffers:
    """Memory that is kept from call to call: fresh pages cost more than what is written to them."""

    def __init__(self) -> None:
        self._held: dict[str, Tensor] = {}

    def take(self, name: str, shape: tuple[int, ...], dtype: torch.dtype = torch.float32) -> Tensor:
        """The buffer of that name, with whatever it holds."""
        size = math.prod(shape)
        held = self._held.get(name)
        if held is None or len(held) < size or held.dtype != dtype:
            held = self._held[name] = torch.empty(size, dtype=dtype)
        return held[:size].view(shape)


class FusedNetwork:
    """A network that gives what `ARWKV.tokens` and `ARWKV.step_embeddings` give, faster.

    Parameters
    ----------
    model : ARWKV
        In evaluation mode, float32, on the CPU. Its weights are copied, in the precision's own layout.
    precision : {"fp32", "bf16", "int8"}
        Of the matrix products; everything else is float32.

    Notes
    -----
    Several threads may use it at once, each with buffers of its own.
    """

    def __init__(self, model: ARWKV, precision: str) -> None:
        self.model = model
        self.precision = precision
        self.dtype = torch.bfloat16 if precision == "bf16" else torch.float32
        with torch.no_grad():
            self.blocks = [self._fuse(cast(Block, block)) for block in model.blocks]
            self.patches = make_product(model.emb.weight.flatten(1), model.emb.bias, "fp32")

    def step_embeddings(self, fbank: Tensor, buffers: Buffers) -> Tensor:
        """As `ARWKV.step_embeddings`: ``(B, 1, frames, 128)`` normalised -> ``(B, steps, C)``."""
        return self.model.ln_out(self.tokens(fbank, buffers).mean(2))

    def tokens(self, fbank: Tensor, buffers: Buffers) -> Tensor:
        """As `ARWKV.tokens`: ``(B, 1, frames, 128)`` normalised -> ``(B, steps, 8, C)``, in one of the buffers."""
        x = self._embed(fbank, buffers)
        B, steps, bands, C = shape = x.shape
        other = buffers.take("residual", shape)
        mixes = buffers.take("mixes", (len(MIXES), *shape), self.dtype)
        gate = buffers.take("gate", (B, steps, bands, C // 64))
        rows = buffers.take("rows", (row_floats(B, steps * bands, C),))
        mixed = buffers.take("mixed", (B, steps * bands, C), self.dtype)
        v_first: Tensor | None = None
        pending: Tensor | None = None
        for block in self.blocks:
            shift(x, pending, block.time_shift, other, mixes, gate)
            if pending is not None:
                x, other = other, x
            r, k, v, w, a, g = mixes.view(len(MIXES), -1, C)
            value = block.value(v)
            products = (
                block.receptance(r),
                block.key(k),
                value,
                block.decay[1](block.decay[0](w)),
                block.rate[1](block.rate[0](a)),
                value if v_first is None else block.residual[1](block.residual[0](v)),
                block.gate[1](block.gate[0](g)),
            )
            time_mix(products, v_first, gate, block.mix, rows, mixed)
            v_first = value if v_first is None else v_first
            shift(x, block.output(mixed.view(-1, C)), block.channel_shift, other, mixes[:1], None)
            x, other = other, x
            hidden = block.expand(mixes[0].view(-1, C))
            pending = block.contract(hidden.mul_(hidden))
        assert pending is not None, "a network has at least one block"
        return x.add_(pending.view(shape))

    def _embed(self, fbank: Tensor, buffers: Buffers) -> Tensor:
        """As `ARWKV.patches`, but ``(B, steps, 8, C)`` in a buffer."""
        self.model.check_input(fbank)
        B, _, frames, _ = fbank.shape
        patches = fbank.view(B, frames // PATCH, PATCH, BANDS, PATCH).transpose(2, 3)
        products = self.patches(patches.reshape(-1, PATCH * PATCH)).view(B, frames // PATCH, BANDS, -1)
        x = buffers.take("tokens", products.shape)
        return torch.add(products, self.model.pos_embed.view(1, -1, BANDS, products.shape[-1]), out=x)

    def _fuse(self, block: Block) -> _FusedBlock:
        att: TimeMix = block.att
        ffn: ChannelMix = block.ffn

        def product(weight: Tensor, bias: Tensor | None = None, after: After = "none") -> Product:
            return make_product(weight, bias, self.precision, after)

        def low_rank(letter: str, between: After = "none") -> tuple[Product, Product]:
            into, out_of = getattr(att, f"{letter}1"), getattr(att, f"{letter}2")
            return product(into.T, after=between), product(out_of.T)

        vectors = (att.w0, att.a0, att.v0, att.k_k, att.k_a, att.r_k, att.ln_x.weight, att.ln_x.bias)
        return _FusedBlock(
            time_shift=_shift_weights(
                block.ln1, att, [getattr(att, f"x_{name}") for name in MIXES], att.gate.weight
            ),
            receptance=product(att.receptance.weight),
            key=product(att.key.weight),
            value=product(att.value.weight),
            decay=low_rank("w", "tanh"),
            rate=low_rank("a"),
            residual=low_rank("v"),
            gate=low_rank("g", "sigmoid"),
            mix=MixWeights(*(_vector(x) for x in vectors)),
            output=product(att.output.weight),
            channel_shift=_shift_weights(block.ln2, ffn, [ffn.x_k], None),
            expand=product(ffn.key.weight, ffn.key.bias, "relu"),
            contract=product(ffn.value.weight, ffn.value.bias),
        )


def _shift_weights(
    norm: torch.nn.LayerNorm, layer: TimeMix | ChannelMix, shares: list[Tensor], gate: Tensor | None
) -> ShiftWeights:
    taps = layer.time_shift.weight[:, 0].flatten(1).T.clone(memory_format=torch.contiguous_format)  # (9, C)
    taps[4] -= 1  # xx is the convolution minus x
    return ShiftWeights(
        norm_weight=_vector(norm.weight),
        norm_bias=_vector(norm.bias),
        taps=taps,
        shares=torch.stack([_vector(x) for x in shares]),
        gate=None if gate is None else _vector(gate),
    )


def _vector(x: Tensor) -> Tensor:
    return x.detach().float().flatten().clone()

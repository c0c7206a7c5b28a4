"""First values of an untrained A-RWKV, as the published training code sets them."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import Tensor, nn

from .architecture import HEAD_SIZE

if TYPE_CHECKING:
    from .model import ARWKV, Block


def _orthogonal_(weight: Tensor, gain: float) -> None:
    rows, cols = weight.shape
    nn.init.orthogonal_(weight, gain=gain * (max(1.0, rows / cols) ** 0.5))


@torch.no_grad()
def initialise_(model: ARWKV) -> None:
    """Set every parameter of a model in place (draws from torch's global generator).

    A model on the meta device, about to be given its weights, is left alone: drawing there takes seconds.
    """
    if model.pos_embed.is_meta:
        return
    nn.init.trunc_normal_(model.pos_embed, std=0.02)
    nn.init.trunc_normal_(model.emb.weight, std=0.02)
    nn.init.zeros_(model.emb.bias)  # type: ignore[arg-type]  # Conv2d types its bias as optional
    _orthogonal_(model.head.weight, 0.5)
    if model.arch.head_bias:
        nn.init.zeros_(model.head.bias)
    for layer, block in enumerate(model.blocks):
        _initialise_block_(block, layer, len(model.blocks))  # type: ignore[arg-type]  # ModuleList is untyped


def _initialise_block_(block: Block, layer: int, depth: int) -> None:
    att, ffn = block.att, block.ffn
    C = att.output.weight.shape[0]
    c = torch.arange(C, dtype=torch.float64)
    p = c / C
    lin = c / (C - 1) - 0.5
    u = 1 - layer / depth
    q = layer / max(depth - 1, 1)
    s = ((c % HEAD_SIZE) - (HEAD_SIZE - 1) / 2) / ((HEAD_SIZE - 1) / 2)  # -1 .. 1 inside each head
    z = s * s.abs()

    def put(parameter: Tensor, values: Tensor) -> None:
        parameter.copy_(values.view_as(parameter))

    for name, power in (("r", 0.2), ("g", 0.2), ("w", 0.9), ("a", 0.9), ("k", 0.7), ("v", 0.7)):
        put(getattr(att, f"x_{name}"), 1 - p ** (power * u))
    put(ffn.x_k, 1 - p ** (u**4))
    put(att.w0, -6 + 6 * (c / (C - 1)) ** (1 + q**0.3) + 0.5 + 2.5 * z)
    put(att.a0, -0.19 + 0.3 * z + 0.4 * lin)
    put(att.v0, 0.73 - 0.4 * lin)
    put(att.k_k, 0.71 - 0.1 * lin)
    nn.init.constant_(att.k_a, 1.02)
    nn.init.constant_(att.r_k, -0.04)
    for letter in "wavg":
        nn.init.zeros_(getattr(att, f"{letter}1"))
        _orthogonal_(getattr(att, f"{letter}2"), 0.1)

    bound = C**-0.5
    nn.init.uniform_(att.receptance.weight, -0.5 * bound, 0.5 * bound)
    nn.init.uniform_(att.value.weight, -0.5 * bound, 0.5 * bound)
    nn.init.uniform_(att.key.weight, -0.05 * bound, 0.05 * bound)
    nn.init.uniform_(ffn.key.weight, -0.5 * bound, 0.5 * bound)
    nn.init.zeros_(att.output.weight)
    nn.init.zeros_(ffn.value.weight)
    nn.init.zeros_(ffn.key.bias)
    nn.init.zeros_(ffn.value.bias)
    for sub_layer in (att, ffn):
        nn.init.trunc_normal_(sub_layer.time_shift.weight, std=1e-4)
    put(att.ln_x.weight, torch.full((C,), ((1 + layer) / depth) ** 0.7))

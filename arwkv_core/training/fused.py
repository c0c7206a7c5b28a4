"""The network's blocks for training on CPUs: matrix products, and between them one pass over memory each.

`ARWKV.tokens` is the plain form of the same mathematics and runs on every device; there, a step spends most of its
time in element-wise operations, each of which reads and writes the whole batch.
"""

from __future__ import annotations

from functools import cache
from typing import Any
from weakref import WeakKeyDictionary

import torch
from torch import Tensor, nn
from torch.autograd.function import once_differentiable

from arwkv_core.constants import BANDS
from arwkv_core.model import ARWKV, Block

from .compiled import compiles
from .fused_channel_mix import ChannelMix
from .fused_stream import Slopes, Stream
from .fused_time_mix import TimeMix
from .fused_weights import Matrices


@cache
def can_fuse(dtype: torch.dtype) -> bool:
    """Whether the passes run on this machine with products in a dtype; if not, why is logged once."""

    def prepare() -> None:
        from arwkv_kernels import grad_call

        grad_call.prepare(dtype)

    return compiles(prepare, "fused passes")


def training_tokens(network: ARWKV, fbank: Tensor) -> Tensor:
    """Run all blocks as `ARWKV.tokens` does, in fused passes where the device is a CPU.

    Parameters
    ----------
    network : ARWKV
        Parameters in float32.
    fbank : Tensor
        Normalised log-mels ``(B, 1, frames, 128)``.

    Returns
    -------
    Tensor
        ``(B, steps, 8, C)``
    """
    dtype = product_dtype()
    fits = network.pos_embed.dtype == torch.float32 and dtype in (torch.float32, torch.bfloat16)
    if fbank.device.type == "cpu" and fits and can_fuse(dtype):
        return fused_tokens(network, fbank)
    return network.tokens(fbank)


def fused_tokens(network: ARWKV, fbank: Tensor) -> Tensor:
    """`ARWKV.tokens` in fused passes; parameters and input on a CPU."""
    x = network.patches(fbank).float()
    names, parameters = [], []
    for modules in _modules(network):
        there = [
            (f"{path}{name}", x)
            for path, module in modules
            for name, x in module._parameters.items()
            if x is not None
        ]
        names.append([name for name, _ in there])
        parameters += [parameter for _, parameter in there]
    found: Any = _Blocks.apply(x, list(network.blocks), names, product_dtype(), *parameters)
    tokens: Tensor = found
    return tokens.view(tokens.shape[0], -1, BANDS, tokens.shape[2])


_known: WeakKeyDictionary[ARWKV, list[list[tuple[str, nn.Module]]]] = WeakKeyDictionary()


def _modules(network: ARWKV) -> list[list[tuple[str, nn.Module]]]:
    """All modules of each block, and what the names of their parameters begin with: torch takes long to find them."""
    if network not in _known:
        _known[network] = [
            [(f"{path}." if path else "", module) for path, module in block.named_modules()]
            for block in network.blocks
        ]
    return _known[network]


def product_dtype() -> torch.dtype:
    """Dtype in which matrix products on a CPU are computed here, under autocast or not."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


class _Blocks(torch.autograd.Function):
    """All blocks as one function: hundreds of small ones would take as long for torch to keep account of."""

    @staticmethod
    def forward(
        ctx: Any,
        x: Tensor,
        blocks: list[Block],
        names: list[list[str]],
        dtype: torch.dtype,
        *parameters: Tensor,
    ) -> Tensor:
        rest = iter(parameters)
        by_name = [dict(zip(each, rest, strict=False)) for each in names]
        stream, mixes = Stream(x), []
        v_first: Tensor | None = None
        with torch.autocast("cpu", enabled=False):
            matrices = Matrices(by_name, dtype)
            for layer, block in enumerate(blocks):
                time_mix = TimeMix(layer, block, by_name[layer], matrices, stream, v_first)
                v_first = time_mix.v_first
                stream.skip = _skip(block, len(x))
                channel_mix = ChannelMix(layer, block, by_name[layer], matrices, stream)
                stream.skip = _skip(block, len(x))
                if any(ctx.needs_input_grad):
                    mixes += [time_mix, channel_mix]
            total = stream.total()
        ctx.mixes, ctx.stream, ctx.matrices, ctx.names = mixes, stream, matrices, names
        return total

    @staticmethod
    @once_differentiable
    def backward(ctx: Any, dtotal: Tensor) -> tuple[Tensor | None, ...]:
        if ctx.stream is None:
            raise RuntimeError("the way back can be gone once: what it needs has been given up on the way")
        slopes, matrices = Slopes(ctx.stream, dtotal.contiguous()), ctx.matrices
        ctx.stream = ctx.matrices = None
        while ctx.mixes:
            ctx.mixes.pop().backward(slopes)
        found = slopes.found | matrices.separate_gradients()
        gradients = [found.get((layer, name)) for layer, each in enumerate(ctx.names) for name in each]
        return slopes.x, None, None, None, *gradients


def _skip(block: Block, batch: int) -> Tensor | None:
    """Factor of each sample: 0 or the reciprocal of the share that is kept. Drawn as `Block` draws."""
    if not block.training or block.drop_path == 0:
        return None
    keep = 1 - block.drop_path
    return (torch.rand(batch, 1, 1) < keep).flatten() / keep

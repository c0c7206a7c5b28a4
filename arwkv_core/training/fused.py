"""The network's blocks for training on CPUs: matrix products, and between them one pass over memory each.

`ARWKV.tokens` is the plain form of the same mathematics and runs on every device; there, a step spends most of its
time in element-wise operations, each of which reads and writes the whole batch.
"""

from __future__ import annotations

import logging
from functools import cache

import torch
from torch import Tensor
from torch.nn import functional as F

from arwkv_core.constants import BANDS
from arwkv_core.model import ARWKV, Block

logger = logging.getLogger("arwkv.training")


@cache
def can_fuse(dtype: torch.dtype) -> bool:
    """Whether the passes run on this machine with products in a dtype; if not, why is logged once."""
    try:
        from arwkv_kernels import grad_call

        grad_call.prepare(dtype)
    except ImportError as error:
        reason = f"numba can't be imported ({error})"
    except Exception as error:  # whatever a compiler may raise: the plain path is slower, but right
        reason = f"they can't be compiled ({type(error).__name__}: {str(error).strip().splitlines()[-1]})"
    else:
        return True
    logger.warning("training without fused passes, which would be faster: %s", reason)
    return False


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
    dtype = product_dtype()
    x = network.patches(fbank).float()
    stream = _Stream(x, None, None, None)
    v_first: Tensor | None = None
    for block in network.blocks:
        assert isinstance(block, Block)
        v_first = _time_mix(block, stream, v_first, dtype)
        _channel_mix(block, stream, dtype)
    x = stream.total()
    return x.view(x.shape[0], -1, BANDS, x.shape[2])


def product_dtype() -> torch.dtype:
    """Dtype in which matrix products on a CPU are computed here, under autocast or not."""
    return torch.get_autocast_dtype("cpu") if torch.is_autocast_enabled("cpu") else torch.float32


class _Stream:
    """The residual stream, and what is yet to be added to it: ``x + skip * (out + bias)``."""

    def __init__(self, x: Tensor, out: Tensor | None, bias: Tensor | None, skip: Tensor | None) -> None:
        self.x, self.out, self.bias, self.skip = x, out, bias, skip

    def total(self) -> Tensor:
        if self.out is None:
            return self.x
        out = self.out.float() if self.bias is None else self.out.float() + self.bias
        return self.x + (out if self.skip is None else out * self.skip[:, None, None])


def _skip(block: Block, batch: int) -> Tensor | None:
    """Factor of each sample: 0 or the reciprocal of the share that is kept. Drawn as `Block` draws."""
    if not block.training or block.drop_path == 0:
        return None
    keep = 1 - block.drop_path
    return (torch.rand(batch, 1, 1) < keep).flatten() / keep


def _time_mix(block: Block, stream: _Stream, v_first: Tensor | None, dtype: torch.dtype) -> Tensor:
    from arwkv_kernels.grad_attention import attention
    from arwkv_kernels.grad_shift import shift

    att, norm = block.att, block.ln1
    shares = torch.cat([x.view(1, -1) for x in (att.x_r, att.x_w, att.x_k, att.x_v, att.x_a, att.x_g)])
    stream.x, logits, mixed = shift(
        stream.x,
        stream.out,
        norm.weight,
        norm.bias,
        att.time_shift.weight,
        shares,
        bias=stream.bias,
        skip=stream.skip,
        gate=att.gate.weight,
        epsilon=norm.eps,
        dtype=dtype,
    )
    r, w, k, v, a, g, v_again = mixed
    z, v_first = attention(
        att.receptance(r),
        att.key(k),
        att.value(v),
        torch.tanh(w @ att.w1) @ att.w2,
        (a @ att.a1) @ att.a2,
        None if v_first is None else (v_again @ att.v1) @ att.v2,
        torch.sigmoid(g @ att.g1) @ att.g2,
        torch.sigmoid(logits),
        v_first,
        (att.w0, att.a0, att.v0, att.k_k, att.k_a, att.r_k, att.ln_x.weight, att.ln_x.bias),
        epsilon=att.ln_x.eps,
    )
    stream.out, stream.bias, stream.skip = att.output(z), None, _skip(block, z.shape[0])
    return v_first


def _channel_mix(block: Block, stream: _Stream, dtype: torch.dtype) -> None:
    from arwkv_kernels.grad_relu import squared_relu
    from arwkv_kernels.grad_shift import shift

    ffn, norm = block.ffn, block.ln2
    stream.x, _, (mixed,) = shift(
        stream.x,
        stream.out,
        norm.weight,
        norm.bias,
        ffn.time_shift.weight,
        ffn.x_k.view(1, -1),
        bias=stream.bias,
        skip=stream.skip,
        epsilon=norm.eps,
        dtype=dtype,
    )
    y = squared_relu(F.linear(mixed, ffn.key.weight), ffn.key.bias)
    stream.out = F.linear(y, ffn.value.weight)
    stream.bias, stream.skip = ffn.value.bias, _skip(block, y.shape[0])

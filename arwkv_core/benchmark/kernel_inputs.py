"""Sequences for the kernel, made up as the model makes them, and what it must give for them."""

from __future__ import annotations

import torch
from torch import Tensor

from arwkv_kernels import bi_wkv7, reference

from .correctness import require_close

NAMES = ("r", "w", "k", "v", "a", "b", "gate")
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
"""Largest error relative to the largest value, as the kernel's tests have it."""

OWN_TOKENS = 1_024
"""Random tokens of a long sequence, which repeats them: drawing 262,144 of them would take longer than all else."""

CHECKED_TOKENS = 128
"""At each end of a long sequence, and in the short one whose gradients are checked."""


def kernel_inputs(batch: int, tokens: int, heads: int, dtype: torch.dtype = torch.float32) -> list[Tensor]:
    """r, w, k, v, a, b ``(B, T, H, 64)`` and the gate ``(B, T, H)``, distributed as in the model.

    The gate lets the first tokens see the forward direction alone and the last ones the backward direction, so that
    the ends of a sequence of any length can be checked by themselves.
    """
    random = torch.Generator().manual_seed(tokens + heads)
    own = min(tokens, OWN_TOKENS)
    r, w, k, v, direction, rate = (torch.randn((batch, own, heads, 64), generator=random) for _ in range(6))
    direction, rate = torch.nn.functional.normalize(direction, dim=-1), torch.sigmoid(rate)
    w = -torch.nn.functional.softplus(3 * w) - 0.5
    repeats = (1, -(-tokens // own), 1, 1)
    tensors = [x.to(dtype).repeat(repeats)[:, :tokens] for x in (r, w, k, v, -direction, direction * rate)]
    gate = torch.sigmoid(torch.randn((batch, tokens, heads), generator=random))
    end = min(CHECKED_TOKENS, tokens // 2)
    gate[:, :end], gate[:, tokens - end :] = 1, 0
    return [*tensors, gate.to(dtype)]


def check_gradients(
    heads: int, dtype: torch.dtype, *, batch: int = 2, tokens: int = CHECKED_TOKENS, device: str = "cpu"
) -> None:
    """Hold values and gradients of short sequences against the plain loop in float64.

    Raises
    ------
    WrongOutput
        If one is off; names it.
    """
    leaves = [x.to(device).requires_grad_() for x in kernel_inputs(batch, tokens, heads, dtype)]
    dy = torch.randn(leaves[0].shape, generator=torch.Generator().manual_seed(1)).to(device, dtype)
    y = bi_wkv7(*leaves)
    gradients = torch.autograd.grad(y, leaves, dy)
    exact = [x.detach().double() for x in leaves]
    wanted = (reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(dy.double(), *exact))
    names = ("y", *(f"the gradient of {name}" for name in NAMES))
    for name, found, expected in zip(names, (y.detach(), *gradients), wanted, strict=True):
        require_close(f"Bi-WKV-7, {dtype}: {name}", found, expected, TOLERANCE[dtype])


def check_ends(inputs: list[Tensor], y: Tensor) -> None:
    """Hold both ends of a result, whose inputs are those of `kernel_inputs`, against the plain loop in float64.

    Raises
    ------
    WrongOutput
        If one is off, or a value between them is not finite.
    """
    tokens = y.shape[1]
    end = min(CHECKED_TOKENS, tokens // 2)
    name = f"Bi-WKV-7, {y.dtype}, {tokens} tokens"
    for place, part in (("first", slice(0, end)), ("last", slice(tokens - end, tokens))):
        exact = [x[:, part].double() for x in inputs]
        require_close(f"{name}: the {place} {end}", y[:, part], reference.bi_wkv7(*exact), TOLERANCE[y.dtype])
    if not bool(torch.isfinite(y.sum())):  # a sum needs no memory of its own
        require_close(name, y, y, 0)

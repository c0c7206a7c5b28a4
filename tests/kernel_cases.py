"""Inputs for the kernel tests, and the float64 results that they are held against."""

from functools import lru_cache

import torch
from torch import Tensor

from arwkv_kernels import reference

NAMES = ("r", "w", "k", "v", "a", "b", "gate")

# Largest error relative to the largest value, as the specification of the golden file has it.
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2, torch.float16: 2e-2, torch.float64: 1e-10}

DECAYS = {
    "trained": None,  # as the model makes them: below -0.5, mostly slow
    "fastest of the model": -0.5,
    "none": -60.0,  # exp(-exp(w)) is 1 in float32
    "total": 30.0,  # exp(-exp(w)) is 0: the state forgets everything
    "overflow": 300.0,  # exp(w) is infinite in float32
}


@lru_cache(maxsize=64)
def inputs(batch: int, tokens: int, heads: int, decay: str = "trained") -> tuple[Tensor, ...]:
    """r, w, k, v, a, b, gate in float32, distributed as in the model; a and b keep the state bounded."""
    random = torch.Generator().manual_seed(1000 * tokens + 10 * heads + batch)
    shape = (batch, tokens, heads, 64)

    def normal() -> Tensor:
        return torch.randn(shape, generator=random)

    w = -torch.nn.functional.softplus(3 * normal()) - 0.5
    if DECAYS[decay] is not None:
        w = torch.full(shape, DECAYS[decay])
    direction = torch.nn.functional.normalize(normal(), dim=-1)
    rate = torch.sigmoid(normal())
    gate = torch.sigmoid(2 * torch.randn(shape[:3], generator=random))
    return normal(), w, normal(), normal(), -direction, direction * rate, gate


@lru_cache(maxsize=64)
def incoming(batch: int, tokens: int, heads: int) -> Tensor:
    """A gradient of y."""
    random = torch.Generator().manual_seed(tokens)
    return torch.randn((batch, tokens, heads, 64), generator=random)


def in_dtype(tensors: tuple[Tensor, ...], dtype: torch.dtype) -> tuple[Tensor, ...]:
    """The tensors rounded to dtype."""
    return tuple(x.to(dtype) for x in tensors)


@lru_cache(maxsize=64)
def expected(
    batch: int, tokens: int, heads: int, decay: str, dtype: torch.dtype
) -> tuple[Tensor, tuple[Tensor, ...]]:
    """y and the seven gradients in float64, of the inputs as dtype holds them."""
    exact = in_dtype(in_dtype(inputs(batch, tokens, heads, decay), dtype), torch.float64)
    dy = incoming(batch, tokens, heads).to(dtype).double()
    return reference.bi_wkv7(*exact), reference.bi_wkv7_backward(dy, *exact)


def assert_close(name: str, found: Tensor, wanted: Tensor, tolerance: float) -> None:
    """Fail, naming the tensor, if the largest error exceeds ``tolerance`` times the largest value."""
    assert found.shape == wanted.shape, f"{name}: shape {tuple(found.shape)}, expected {tuple(wanted.shape)}"
    assert found.isfinite().all(), f"{name}: {(~found.isfinite()).sum()} of {found.numel()} values not finite"
    error = (found.double() - wanted.double()).abs().max().item()
    largest = wanted.double().abs().max().item()
    assert error <= tolerance * largest + 1e-30, (
        f"{name}: off by {error:.3g}, where the largest value is {largest:.3g}"
    )

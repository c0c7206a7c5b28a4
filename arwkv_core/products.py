"""Matrix products with constant weights, laid out once for the library that computes them."""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

Product = Callable[[Tensor], Tensor]
"""``(rows, columns)`` -> ``(rows, outputs)``, in the same dtype."""


def make_product(weight: Tensor, bias: Tensor | None, precision: str, *, relu: bool = False) -> Product:
    """Make ``x @ weight.T + bias``, after which, on demand, what is below 0 becomes 0.

    Parameters
    ----------
    weight : Tensor, ``(outputs, columns)``
    bias : Tensor, ``(outputs,)``, optional
    precision : {"fp32", "bf16", "int8"}
        bf16 takes and gives bfloat16, the others float32. int8 rounds the weights, and for each call what comes in,
        to 255 levels.
    relu : bool

    Returns
    -------
    Product
    """
    weight = weight.detach().float().contiguous()
    bias = None if bias is None else bias.detach().float()
    if precision == "int8":
        return _quantised(weight, bias, relu)
    if precision == "bf16":
        weight, bias = weight.bfloat16(), None if bias is None else bias.bfloat16()
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types for it
        return _packed(weight, bias, relu)

    def plain(x: Tensor) -> Tensor:
        y = torch.nn.functional.linear(x, weight, bias)
        return y.relu_() if relu else y

    return plain


def _packed(weight: Tensor, bias: Tensor | None, relu: bool) -> Product:
    """By oneDNN: for float32 more than twice as fast as torch's own choice where that is MKL on a CPU by AMD."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight)
    after = "relu" if relu else "none"
    run = torch.ops.mkldnn._linear_pointwise.default

    def product(x: Tensor) -> Tensor:
        y: Tensor = run(x, packed, bias, after, [], "")
        return y

    return product


def _quantised(weight: Tensor, bias: Tensor | None, relu: bool) -> Product:
    scale = (weight.abs().amax(1) / 127).clamp(min=1e-12).double()
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    packed = torch.ops.quantized.linear_prepack(
        torch.quantize_per_channel(weight, scale, zeros, 0, torch.qint8), bias
    )
    run = torch.ops.quantized.linear_relu_dynamic if relu else torch.ops.quantized.linear_dynamic

    def product(x: Tensor) -> Tensor:
        y: Tensor = run(x, packed, True)
        return y

    return product

"""Matrix products with constant weights, laid out once for the library that computes them."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Literal

import torch
from torch import Tensor

from .errors import UsageError

Product = Callable[[Tensor], Tensor]
"""``(rows, columns)`` -> ``(rows, outputs)``, in the same dtype."""

After = Literal["none", "relu", "tanh", "sigmoid"]
"""What is done to each number of a product, before it goes to memory where the library can do so."""

_IN_PLACE: dict[After, Callable[[Tensor], Tensor]] = {
    "none": lambda x: x,
    "relu": torch.relu_,
    "tanh": torch.tanh_,
    "sigmoid": torch.sigmoid_,
}


def make_product(weight: Tensor, bias: Tensor | None, precision: str, after: After = "none") -> Product:
    """Make ``after(x @ weight.T + bias)``.

    Parameters
    ----------
    weight : Tensor, ``(outputs, columns)``
    bias : Tensor, ``(outputs,)``, optional
    precision : {"fp32", "bf16", "int8"}
        bf16 takes and gives bfloat16, the others float32. int8 rounds the weights, and for each call what comes in,
        to 255 levels.
    after : {"none", "relu", "tanh", "sigmoid"}

    Returns
    -------
    Product
    """
    weight = weight.detach().float().contiguous()
    bias = None if bias is None else bias.detach().float()
    if precision == "int8":
        return _quantised(weight, bias, after)
    if precision == "bf16":
        weight, bias = weight.bfloat16(), None if bias is None else bias.bfloat16()
    if torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch has no types for it
        return _packed(weight, bias, after)

    def plain(x: Tensor) -> Tensor:
        return _IN_PLACE[after](torch.nn.functional.linear(x, weight, bias))

    return plain


def _packed(weight: Tensor, bias: Tensor | None, after: After) -> Product:
    """By oneDNN: for float32 more than twice as fast as torch's own choice where that is MKL on a CPU by AMD."""
    packed = torch.ops.mkldnn._reorder_linear_weight(weight)
    run = torch.ops.mkldnn._linear_pointwise.default

    def product(x: Tensor) -> Tensor:
        y: Tensor = run(x, packed, bias, after, [], "")
        return y

    return product


def _quantised(weight: Tensor, bias: Tensor | None, after: After) -> Product:
    scale = (weight.abs().amax(1) / 127).clamp(min=1e-12).double()
    zeros = torch.zeros(len(weight), dtype=torch.int64)
    if not hasattr(torch, "quantize_per_channel"):
        raise UsageError(
            f"--precision int8: torch {torch.__version__} has no quantised products; take bf16 or fp32"
        )
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)  # that torch will have another way some day
        quantised = torch.quantize_per_channel(weight, scale, zeros, 0, torch.qint8)
        packed = torch.ops.quantized.linear_prepack(quantised, bias)
    run = torch.ops.quantized.linear_dynamic.default

    def product(x: Tensor) -> Tensor:
        return _IN_PLACE[after](run(x, packed, True))

    return product

"""Which precisions are measured, and loading a model in one of them."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import torch
from torch import Tensor

from arwkv_core.precision import BF16, FP32, INT8, choose_precision
from arwkv_core.products import make_product
from arwkv_core.tagger import Tagger, load

MEASURED = (FP32, BF16, INT8)
"""What there is besides ``auto``."""


def resolved_precisions(asked: tuple[str, ...]) -> list[str]:
    """The precisions that were asked for, each once; ``auto`` as what it picks here."""
    return list(dict.fromkeys(choose(name)[0] if name == "auto" else name for name in asked))


def choose(asked: str = "auto") -> tuple[str, str]:
    """What a model on the CPU computes in where ``asked`` is asked for, and why."""
    return choose_precision(torch.device("cpu"), asked)


def load_on_cpu(model: str | Path, precision: str) -> Tagger:
    """Load a model for the CPU in a precision."""
    return load(model, "cpu", precision)


def product(weight: Tensor, precision: str) -> Callable[[Tensor], Tensor]:
    """The model's way to multiply by constant weights."""
    return make_product(weight, None, precision)

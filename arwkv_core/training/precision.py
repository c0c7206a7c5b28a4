"""Where a training computes in bfloat16."""

from __future__ import annotations

import contextlib
from typing import Any

import torch

from arwkv_core.precision import bfloat16_is_fast


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """Run in bfloat16 where asked, or, with ``auto``, where the device computes in it."""
    if takes_bfloat16(device, precision):
        return torch.autocast(device.type, torch.bfloat16)
    return contextlib.nullcontext()


def takes_bfloat16(device: torch.device, precision: str) -> bool:
    """Whether ``optimiser.precision`` means bfloat16 on a device.

    A CPU without bfloat16 arithmetic emulates it, tens to hundreds of times slower than float32: ``auto`` goes by
    the device.
    """
    return bfloat16_is_fast(device) if precision == "auto" else precision == "bfloat16"

"""In which number format matrix products are computed, and why."""

from __future__ import annotations

import logging

import torch

from .errors import UsageError

logger = logging.getLogger("arwkv.precision")

AUTO, FP32, BF16, INT8 = "auto", "fp32", "bf16", "int8"

PRECISIONS = (AUTO, FP32, BF16, INT8)
"""What ``--precision`` takes. All else than matrix products is float32 in each of them."""


def choose_precision(device: torch.device, asked: str = AUTO) -> tuple[str, str]:
    """Turn what the user asked for into a precision that works on a device; the choice and its reason are logged.

    Parameters
    ----------
    device : torch.device
    asked : {"auto", "fp32", "bf16", "int8"}
        auto takes bf16 on CPUs with instructions for it, else fp32: elsewhere bf16 is slower, and int8 less exact.

    Returns
    -------
    precision : {"fp32", "bf16", "int8"}
    reason : str

    Raises
    ------
    UsageError
        If there is no such precision, or none on this device.
    """
    if asked not in PRECISIONS:
        raise UsageError(
            f"--precision: expected {', '.join(PRECISIONS[:-1])} or {PRECISIONS[-1]}, found {asked}"
        )
    if asked == INT8 and device.type != "cpu":
        raise UsageError(f"--precision int8: runs on the CPU only, not on {device}; bf16 or --device cpu")
    if asked != AUTO:
        chosen, reason = asked, "asked for"
    elif device.type != "cpu":
        chosen, reason = FP32, f"on {device}, bf16 only where it is asked for"
    elif bfloat16_is_fast(device):
        chosen, reason = BF16, "the CPU has instructions for bfloat16"
    else:
        chosen, reason = FP32, "the CPU has no instructions for bfloat16"
    logger.info("precision %s on %s: %s", chosen, device, reason)
    return chosen, reason


def bfloat16_is_fast(device: torch.device) -> bool:
    """Whether the device has instructions for bfloat16 products.

    A CPU without them emulates them, tens to hundreds of times slower than float32.
    """
    if device.type == "cuda":
        return torch.cuda.is_bf16_supported(including_emulation=False)
    if device.type != "cpu":
        return False
    probes = (
        getattr(torch.cpu, name, None) for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported")
    )
    return any(probe() for probe in probes if probe is not None)

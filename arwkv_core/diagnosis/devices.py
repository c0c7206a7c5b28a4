"""Which devices there are, which one is chosen, and what a model computes in there."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from typing import Any

from .check import Check

SECTION = "devices"

ROWS, WIDTH = 496, 768
"""Of the timed product: the tokens of a window by the widest model."""

ROUNDS = 5

SLOWER = 0.7
"""Of float32's speed: what is below that can't be the disturbance of a busy machine alone."""


def check_devices() -> Iterator[Check]:
    """Name the devices and the one that ``--device auto`` takes."""
    import torch

    from arwkv_core.device import fastest_device

    count = torch.cuda.device_count() if torch.cuda.is_available() else 0
    for index in range(count):
        properties = torch.cuda.get_device_properties(index)
        found = f"{properties.name}, {properties.total_memory / 1e9:.1f} GB"
        yield Check(SECTION, f"cuda:{index}", found)
    chosen, reason = fastest_device()
    yield Check(SECTION, "chosen by auto", f"{chosen}: {reason}")


def check_precision() -> Iterator[Check]:
    """Name the precision that ``--precision auto`` takes on the CPU, and time a product in each."""
    from arwkv_core.benchmark.precisions import choose

    chosen, reason = choose()
    yield Check(SECTION, "precision chosen by auto", f"{chosen}: {reason}")
    rates = product_rates()
    shares = [f"{name} {rate / rates['fp32']:.1f} ×" for name, rate in rates.items() if name != "fp32"]
    found = (
        f"against fp32: {', '.join(shares)} ({ROWS} × {WIDTH} by {WIDTH} × {WIDTH}, fp32 "
        f"{rates['fp32'] / 1e9:.0f} GFLOP/s)"
    )
    slow = rates[chosen] < SLOWER * rates["fp32"]
    way_out = "use --precision fp32, and please report it with this output" if slow else ""
    yield Check(SECTION, "a matrix product", found, not slow, way_out)


def product_rates() -> dict[str, float]:
    """Operations a second of one product with constant weights, by precision; as the model makes it."""
    import torch

    from arwkv_core.benchmark.precisions import MEASURED, product

    x, weight = torch.randn(ROWS, WIDTH), torch.randn(WIDTH, WIDTH)
    operations = 2 * ROWS * WIDTH * WIDTH
    return {
        precision: operations
        / _best_seconds(product(weight, precision), x.bfloat16() if precision == "bf16" else x)
        for precision in MEASURED
    }


def _best_seconds(run: Callable[[Any], Any], x: Any) -> float:
    run(x)
    seconds = []
    for _ in range(ROUNDS):
        start = time.perf_counter()
        run(x)
        seconds.append(time.perf_counter() - start)
    return min(seconds)

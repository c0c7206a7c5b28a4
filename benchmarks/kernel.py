"""Time of Bi-WKV-7 forward and backward in ns a head-step: one token, one head, one direction, on one thread.

    python benchmarks/kernel.py [--backend NAME] [--threads N] [--dtype float32|bfloat16] [--repeats N]

Each shape's values and gradients are first held against the plain float64 reference (over a shorter recording where it
is long); no time is printed for a result that is off.
"""

import argparse
import os
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from arwkv_kernels import bi_wkv7, reference, select

SHAPES = {  # what it stands for: sequences, tokens, heads
    "training, T shape, batch 8": (8, 496, 3),
    "one window, T shape": (1, 496, 3),
    "one window, B shape": (1, 496, 12),
    "one head": (1, 496, 1),
    "5 min 28 s, S shape": (1, 16384, 6),
}
NAMES = ("r", "w", "k", "v", "a", "b", "gate")
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
MOST_TOKENS_TO_CHECK = 128


def inputs(batch: int, tokens: int, heads: int, dtype: torch.dtype) -> list[Tensor]:
    """Random inputs, distributed as in the model, in the layout that it has them in: ``(B, T, H, 64)``."""
    random = torch.Generator().manual_seed(0)
    r, w, k, v, direction, rate = (
        torch.randn((batch, tokens, heads, 64), generator=random) for _ in range(6)
    )
    direction, rate = torch.nn.functional.normalize(direction, dim=-1), torch.sigmoid(rate)
    w = -torch.nn.functional.softplus(3 * w) - 0.5
    gate = torch.sigmoid(torch.randn((batch, tokens, heads), generator=random))
    return [x.to(dtype) for x in (r, w, k, v, -direction, direction * rate, gate)]


def check(batch: int, tokens: int, heads: int, dtype: torch.dtype) -> None:
    """Stop the program, naming the tensor, if values or gradients are off."""
    leaves = [
        x.requires_grad_() for x in inputs(min(batch, 2), min(tokens, MOST_TOKENS_TO_CHECK), heads, dtype)
    ]
    dy = torch.randn(leaves[0].shape, generator=torch.Generator().manual_seed(1)).to(dtype)
    y = bi_wkv7(*leaves)
    y.backward(dy)
    exact = [x.detach().double() for x in leaves]
    expected = (reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(dy.double(), *exact))
    found = (y.detach(), *(x.grad for x in leaves))
    for name, x, z in zip(("y", *(f"d{name}" for name in NAMES)), found, expected, strict=True):
        error = ((x.double() - z).abs().max() / z.abs().max()).item()
        if not error <= TOLERANCE[dtype]:
            raise SystemExit(f"{name} is off by {error:.2g} of its largest value: nothing is timed")


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median wall time, after one run that is not counted."""
    run()
    times = []
    for _ in range(repeats):
        start = time.perf_counter()
        run()
        times.append(time.perf_counter() - start)
    return statistics.median(times)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", help="force a backend instead of the one that arwkv would choose")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=15)
    options = parser.parse_args()
    if options.backend:
        os.environ["ARWKV_BACKEND"] = options.backend
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    backend = select(torch.device("cpu"), dtype).name
    print(
        f"{backend}, {options.dtype}, {options.threads} threads, torch {torch.__version__}, {platform.machine()}"
    )
    print(
        f"{'':28}{'B':>3}{'T':>7}{'H':>4}{'forward ns':>12}{'backward ns':>13}{'ratio':>7}{'forward ms':>12}"
    )
    for title, (batch, tokens, heads) in SHAPES.items():
        check(batch, tokens, heads, dtype)
        tensors = inputs(batch, tokens, heads, dtype)
        dy = torch.ones_like(tensors[0])
        with torch.no_grad():
            forward = median_seconds(lambda x=tensors: bi_wkv7(*x), options.repeats)
            backward = median_seconds(
                lambda dy=dy, x=tensors: torch.ops.arwkv.bi_wkv7_backward(dy, *x), options.repeats
            )
        steps = batch * tokens * heads * 2 / options.threads
        print(
            f"{title:28}{batch:3}{tokens:7}{heads:4}{forward / steps * 1e9:12.0f}{backward / steps * 1e9:13.0f}"
            f"{backward / forward:7.1f}{forward * 1e3:12.2f}"
        )


if __name__ == "__main__":
    main()

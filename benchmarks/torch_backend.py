"""The backend ``torch`` beside the plain loop, its stand-in where there was no compiled kernel.

    python benchmarks/torch_backend.py [--tokens 4096] [--heads 1 3 6 12] [--threads N] [--repeats N]
                                       [--dtype float32|bfloat16]

Values and gradients of all tokens are first held against those of the loop in float64; no time is printed for a result
that is off. Both then run in turns in the same process, after one run each that is not counted. Medians: of the clock's
seconds, and of the processor's seconds over all threads, which say more where others use the machine as well.
"""

import argparse
import platform
import statistics
import time
from collections.abc import Callable

import torch
from torch import Tensor

from arwkv_core.benchmark.correctness import require_close
from arwkv_core.benchmark.forced_backend import forced_backend
from arwkv_core.benchmark.kernel_inputs import NAMES, TOLERANCE, kernel_inputs
from arwkv_kernels import bi_wkv7, reference

BACKENDS = ("reference", "torch")


def values(inputs: list[Tensor]) -> Tensor:
    with torch.no_grad():
        return bi_wkv7(*inputs)


def values_and_gradients(inputs: list[Tensor], dy: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().requires_grad_() for x in inputs]
    y = bi_wkv7(*leaves)
    return (y.detach(), *torch.autograd.grad(y, leaves, dy))


def check(inputs: list[Tensor], dy: Tensor) -> None:
    """Stop, naming the tensor, if a value or a gradient is off."""
    exact = [x.double() for x in inputs]
    wanted = (reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(dy.double(), *exact))
    with forced_backend("torch"):
        found = values_and_gradients(inputs, dy)
    for name, x, z in zip(("y", *(f"d{name}" for name in NAMES)), found, wanted, strict=True):
        require_close(name, x, z, TOLERANCE[dy.dtype])


def seconds(run: Callable[[], object]) -> tuple[float, float]:
    """Of the clock and of the processor."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def in_turns(run: Callable[[], object], repeats: int) -> dict[str, tuple[float, float]]:
    """Median seconds of each backend."""
    found: dict[str, list[tuple[float, float]]] = {name: [] for name in BACKENDS}
    for _ in range(1 + repeats):
        for name in BACKENDS:
            with forced_backend(name):
                found[name].append(seconds(run))
    return {
        name: tuple(statistics.median(column) for column in zip(*runs[1:], strict=True))
        for name, runs in found.items()
    }


def report(title: str, tokens: int, heads: int, medians: dict[str, tuple[float, float]]) -> None:
    (slow, slow_work), (fast, fast_work) = (medians[name] for name in BACKENDS)
    print(
        f"{title:20}{tokens:8}{heads:4}{slow * 1e3:12.1f}{fast * 1e3:10.2f}{slow / fast:8.1f}"
        f"{slow_work * 1e3:14.1f}{fast_work * 1e3:10.2f}{slow_work / fast_work:8.1f}",
        flush=True,
    )


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--tokens", type=int, default=4096)
    parser.add_argument("--heads", type=int, nargs="+", default=[1, 3, 6, 12])
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--repeats", type=int, default=5)
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    options = parser.parse_args()
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    print(f"{options.dtype}, {options.threads} threads, torch {torch.__version__}, {platform.machine()}")
    print(f"{'':20}{'tokens':>8}{'H':>4}{'loop ms':>12}{'torch ms':>10}{'times':>8}{'of all threads':>14}")
    for heads in options.heads:
        inputs = kernel_inputs(1, options.tokens, heads, dtype)
        dy = torch.randn(inputs[0].shape, generator=torch.Generator().manual_seed(1)).to(dtype)
        check(inputs, dy)
        forward = in_turns(lambda inputs=inputs: values(inputs), options.repeats)
        report("forward", options.tokens, heads, forward)
        both = in_turns(lambda inputs=inputs, dy=dy: values_and_gradients(inputs, dy), options.repeats)
        report("forward, backward", options.tokens, heads, both)


if __name__ == "__main__":
    main()

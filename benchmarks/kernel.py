"""Bi-WKV-7 forward and backward, beside softmax attention, beside the peak of this machine, and over the length.

    python benchmarks/kernel.py [--backend NAME] [--threads N] [--dtype float32|bfloat16] [--repeats N] [--shapes-only]

A head-step is one token, one head, one direction, on one thread. Each shape's values and gradients are first held
against the plain float64 reference (a long recording's over excerpts); no time is printed for a result that is off.
Times are medians after one run that is not counted.
"""

import argparse
import os
import platform
import statistics
import threading
import time
from collections.abc import Callable

import torch
from numba import cfunc, types
from torch import Tensor

from arwkv_kernels import bi_wkv7, reference, select
from arwkv_kernels.numba_vector import load_half, multiply_add_half, store_half
from arwkv_kernels.vector_width import HALF

SHAPES = {  # what it stands for: sequences, tokens, heads
    "training, T shape, batch 8": (8, 496, 3),
    "one window, T shape": (1, 496, 3),
    "one window, B shape": (1, 496, 12),
    "one head": (1, 496, 1),
    "5 min 28 s, S shape": (1, 16384, 6),
}
ATTENTION = (1, 16384, 6)
LENGTHS = (1024, 4096, 16384, 65536, 262144)
HEADS_OVER_LENGTHS = 6
MULTIPLY_ADDS = 5 * 64 * 64  # of a head-step in the plain form: three for the state, one for y, one for S a
SPINS = 5_000_000
NAMES = ("r", "w", "k", "v", "a", "b", "gate")
TOLERANCE = {torch.float32: 2e-5, torch.bfloat16: 2e-2}
MOST_TOKENS_TO_CHECK = 128
EXCERPT_MARGIN = 150  # tokens after which the fastest decays of the model have forgotten everything
SLOWEST_TO_EXCERPT = -0.5  # the log-log decay of those


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


def error_of(found: Tensor, expected: Tensor) -> float:
    """Largest error relative to the largest value."""
    return ((found.double() - expected.double()).abs().max() / expected.abs().max()).item()


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
        refuse(name, error_of(x, z), dtype)
    if tokens > MOST_TOKENS_TO_CHECK:
        check_excerpts(tokens, heads, dtype)


def check_excerpts(tokens: int, heads: int, dtype: torch.dtype) -> None:
    """The values of a long recording whose decays are so fast that excerpts of it tell what is right."""
    tensors = inputs(1, tokens, heads, dtype)
    tensors[1] = torch.full_like(tensors[1], SLOWEST_TO_EXCERPT)
    with torch.no_grad():
        y = bi_wkv7(*tensors)
    kept = 20
    for start in (0, tokens // 2 - kept // 2, tokens - kept):
        first, last = max(start - EXCERPT_MARGIN, 0), min(start + kept + EXCERPT_MARGIN, tokens)
        expected = reference.bi_wkv7(*(x[:, first:last].double() for x in tensors))
        error = error_of(y[:, start : start + kept], expected[:, start - first :][:, :kept])
        refuse(f"y from token {start} of {tokens}", error, dtype)


def refuse(name: str, error: float, dtype: torch.dtype) -> None:
    """Stop the program if the error is not within the bounds."""
    if not error <= TOLERANCE[dtype]:
        raise SystemExit(f"{name} is off by {error:.2g} of its largest value: nothing is timed")


def seconds(run: Callable[[], object]) -> float:
    """Wall time of one run."""
    start = time.perf_counter()
    run()
    return time.perf_counter() - start


def median_seconds(run: Callable[[], object], repeats: int) -> float:
    """Median wall time, after one run that is not counted."""
    run()
    return statistics.median(seconds(run) for _ in range(repeats))


def spin(address):  # type: ignore[no-untyped-def]  # numba infers
    """Twelve independent chains of full vectors: they keep every unit busy, and nothing is loaded meanwhile."""
    x = load_half(address, 12 * HALF)
    # from memory: chains that begin with the same would be seen to be one
    a, b, c = load_half(address, 0), load_half(address, HALF), load_half(address, 2 * HALF)
    d, e, f = load_half(address, 3 * HALF), load_half(address, 4 * HALF), load_half(address, 5 * HALF)
    g, h, i = load_half(address, 6 * HALF), load_half(address, 7 * HALF), load_half(address, 8 * HALF)
    j, k, m = load_half(address, 9 * HALF), load_half(address, 10 * HALF), load_half(address, 11 * HALF)
    for _ in range(SPINS):
        a, b, c = multiply_add_half(x, x, a), multiply_add_half(x, x, b), multiply_add_half(x, x, c)
        d, e, f = multiply_add_half(x, x, d), multiply_add_half(x, x, e), multiply_add_half(x, x, f)
        g, h, i = multiply_add_half(x, x, g), multiply_add_half(x, x, h), multiply_add_half(x, x, i)
        j, k, m = multiply_add_half(x, x, j), multiply_add_half(x, x, k), multiply_add_half(x, x, m)
    # stored, so that none of it can be left out
    for n, y in enumerate((a, b, c, d, e, f, g, h, i, j, k, m)):
        store_half(address, n * HALF, y)


def peak_multiply_adds(threads: int, repeats: int) -> float:
    """Fused multiply-adds of float32 a second and thread, all threads at once."""
    compiled = cfunc(types.void(types.int64))(spin).ctypes
    numbers = [torch.zeros(13 * HALF) for _ in range(threads)]

    def all_threads() -> None:
        workers = [threading.Thread(target=compiled, args=(x.data_ptr(),)) for x in numbers]
        for worker in workers:
            worker.start()
        for worker in workers:
            worker.join()

    return 12 * SPINS * HALF / median_seconds(all_threads, repeats)


def forward_seconds(batch: int, tokens: int, heads: int, dtype: torch.dtype, repeats: int) -> float:
    """Median time of `bi_wkv7`."""
    tensors = inputs(batch, tokens, heads, dtype)
    with torch.no_grad():
        return median_seconds(lambda: bi_wkv7(*tensors), repeats)


def backward_seconds(batch: int, tokens: int, heads: int, dtype: torch.dtype, repeats: int) -> float:
    """Median time of its gradients."""
    tensors = inputs(batch, tokens, heads, dtype)
    dy = torch.ones_like(tensors[0])
    return median_seconds(lambda: torch.ops.arwkv.bi_wkv7_backward(dy, *tensors), repeats)


def attention_seconds(batch: int, tokens: int, heads: int, dtype: torch.dtype, repeats: int) -> float:
    """Median time of torch's attention over as many tokens and heads."""
    random = torch.Generator().manual_seed(0)
    q, k, v = (torch.randn((batch, heads, tokens, 64), generator=random).to(dtype) for _ in range(3))
    with torch.no_grad():
        return median_seconds(lambda: torch.nn.functional.scaled_dot_product_attention(q, k, v), repeats)


def print_shapes(dtype: torch.dtype, threads: int, repeats: int, peak: float) -> None:
    """Forward and backward of every shape."""
    print(
        f"{'':28}{'B':>3}{'T':>7}{'H':>4}{'forward ns':>12}{'of peak':>9}{'backward ns':>13}{'ratio':>7}"
        f"{'forward ms':>12}"
    )
    for title, shape in SHAPES.items():
        check(*shape, dtype)
        forward = forward_seconds(*shape, dtype, repeats)
        backward = backward_seconds(*shape, dtype, repeats)
        batch, tokens, heads = shape
        step = threads / (batch * tokens * heads * 2)
        share = MULTIPLY_ADDS / peak / (forward * step)
        print(
            f"{title:28}{batch:3}{tokens:7}{heads:4}{forward * step * 1e9:12.0f}{share:9.0%}"
            f"{backward * step * 1e9:13.0f}{backward / forward:7.1f}{forward * 1e3:12.2f}"
        )


def print_attention(dtype: torch.dtype, repeats: int) -> None:
    """The recurrence beside softmax attention, which has no direction either."""
    check(*ATTENTION, dtype)
    ours, theirs = forward_seconds(*ATTENTION, dtype, repeats), attention_seconds(*ATTENTION, dtype, repeats)
    batch, tokens, heads = ATTENTION
    print(
        f"\n{batch} x {tokens} tokens, {heads} heads: attention {theirs * 1e3:.0f} ms, Bi-WKV-7 {ours * 1e3:.1f} ms, "
        f"{theirs / ours:.0f} times faster"
    )


def print_lengths(dtype: torch.dtype, repeats: int, lengths: tuple[int, ...]) -> None:
    """Time a token over the length of the sequence."""
    print(f"\n{'tokens':>8}{'ns a token':>12}   ({HEADS_OVER_LENGTHS} heads, forward)")
    costs = []
    for tokens in lengths:
        check(1, tokens, HEADS_OVER_LENGTHS, dtype)
        costs.append(forward_seconds(1, tokens, HEADS_OVER_LENGTHS, dtype, repeats) / tokens)
        print(f"{tokens:8}{costs[-1] * 1e9:12.0f}")
    print(f"the dearest token costs {max(costs) / min(costs) - 1:.0%} more than the cheapest")


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--backend", help="force a backend instead of the one that arwkv would choose")
    parser.add_argument("--threads", type=int, default=torch.get_num_threads())
    parser.add_argument("--dtype", choices=["float32", "bfloat16"], default="float32")
    parser.add_argument("--repeats", type=int, default=7)
    parser.add_argument("--shapes-only", action="store_true", help="leave out attention and lengths")
    options = parser.parse_args()
    if options.backend:
        os.environ["ARWKV_BACKEND"] = options.backend
    torch.set_num_threads(options.threads)
    dtype = getattr(torch, options.dtype)
    backend = select(torch.device("cpu"), dtype).name
    print(
        f"{backend}, {options.dtype}, {options.threads} threads, torch {torch.__version__}, {platform.machine()}"
    )
    peak = peak_multiply_adds(options.threads, options.repeats)
    print(
        f"peak: {peak / 1e9:.0f} multiply-adds a ns and thread: {MULTIPLY_ADDS / peak * 1e9:.0f} ns a head-step"
    )
    print_shapes(dtype, options.threads, options.repeats, peak)
    if not options.shapes_only:
        print_attention(dtype, options.repeats)
        print_lengths(dtype, options.repeats, LENGTHS)


if __name__ == "__main__":
    main()

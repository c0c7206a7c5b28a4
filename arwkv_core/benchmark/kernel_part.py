"""Bi-WKV-7: against attention, against what the processor can do, over the length, and its backward."""

from __future__ import annotations

from collections.abc import Iterator
from functools import partial

import torch
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from arwkv_core.allocator import keep_freed_memory
from arwkv_kernels import bi_wkv7, select

from .core_distance import round_trip_seconds
from .fma_peak import ROUNDS, fused_multiply_adds_a_second
from .kernel_inputs import check_ends, check_gradients, kernel_inputs
from .memory import available_bytes
from .outcome import NotRun, Outcome, row
from .precisions import resolved_precisions
from .settings import Settings
from .targets import TOKENS
from .timing import ratios, repeated, side_by_side

HEADS = 6
HEAD_SIZE = 64

FMAS_A_HEAD_STEP = 5 * HEAD_SIZE * HEAD_SIZE
"""Of one token, head and direction, as the recurrence is written: S·a, the decay, s·b, v·k and S·r."""

CALLS = 8
"""Of the kernel in a round: a fifth of a second, of which no single disturbance is most."""

ROUNDS_MORE = 4
"""Times as many rounds where they are short: what disturbs the machine may last for as long as five of them."""

FACTORS = (1 / 16, 1 / 4, 1, 4, 16)
"""Lengths over which the cost of a token is compared, by ``--tokens``: 1,024 to 262,144."""

TRAINING_BATCH = (8, 496, 3)
"""Sequences, tokens, heads of a training step of the T shape."""

ARRAYS = 10
"""Of tokens × width in float32 that a run holds at most: six inputs, the result, and the kernel's own."""

DTYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


def measure_kernel(settings: Settings) -> Iterator[Outcome]:
    """Measure the kernel; see `FACTORS` and `TRAINING_BATCH` for the shapes.

    Raises
    ------
    WrongOutput
        If a result is off.
    """
    keep_freed_memory()  # else the longest results are measured with the time that the system takes to clear them
    dtypes = [DTYPES[name] for name in resolved_precisions(settings.precision) if name in DTYPES]
    for dtype in dict.fromkeys([torch.float32, *dtypes]):
        check_gradients(HEADS, dtype)
        yield from _against_attention(settings, dtype)
    yield from _linearity(settings)
    yield from _backward(settings)
    yield from _core_distance(settings)


def _against_attention(settings: Settings, dtype: torch.dtype) -> Iterator[Outcome]:
    threads, tokens = torch.get_num_threads(), settings.tokens
    inputs = kernel_inputs(1, tokens, HEADS, dtype)
    with torch.no_grad():
        check_ends(inputs, bi_wkv7(*inputs))
        query, key, value = (x.transpose(1, 2).contiguous() for x in (inputs[0], inputs[2], inputs[3]))
        rates: list[float] = []
        seconds = side_by_side(
            {
                "kernel": repeated(partial(bi_wkv7, *inputs), CALLS),
                "attention": lambda: scaled_dot_product_attention(query, key, value),
                "peak": lambda: rates.append(fused_multiply_adds_a_second(threads, CALLS * ROUNDS)),
            },
            settings.repeats,
        )
    head_steps = 2 * HEADS * tokens
    kernel, place = [t / CALLS for t in seconds["kernel"]], f"{HEADS} heads × {HEAD_SIZE}, {tokens:,} tokens"
    name = str(dtype).removeprefix("torch.")
    backend = select(torch.device("cpu"), dtype).name
    suffix = "" if dtype is torch.float32 else f".{name}"
    yield row(
        f"kernel.forward{suffix}", f"Bi-WKV-7, {place}, {name}", "ms", [1e3 * t for t in kernel], note=backend
    )
    yield row(
        f"kernel.attention{suffix}",
        f"torch's attention (SDPA), {place}, {name}",
        "ms",
        [1e3 * t for t in seconds["attention"]],
    )
    yield row(
        f"kernel.against_sdpa{suffix}",
        f"Bi-WKV-7 against torch's attention, {name}",
        "× as fast",
        ratios(seconds["attention"], kernel),
        as_asked=tokens == TOKENS,
        note=place,
    )
    if dtype is torch.float32:
        peaks = rates[1:]  # the first was the run that is not counted
        yield row(
            "kernel.peak",
            "what the processor can do: fused multiply-adds of float32",
            "10⁹/s",
            [rate / 1e9 for rate in peaks],
            note=f"{threads} threads",
        )
        yield row(
            "kernel.share_of_peak",
            "Bi-WKV-7, share of that",
            "%",
            [100 * head_steps * FMAS_A_HEAD_STEP / t / rate for t, rate in zip(kernel, peaks, strict=True)],
            as_asked=tokens == TOKENS,
            note=f"{place}, {FMAS_A_HEAD_STEP:,} a head, token and direction",
        )


def _linearity(settings: Settings) -> Iterator[Outcome]:
    lengths = [round(settings.tokens * factor) for factor in FACTORS]
    what = (
        f"Bi-WKV-7, cost of a token between {lengths[0]:,} and {lengths[-1]:,} tokens: dearest over cheapest"
    )
    needed = ARRAYS * lengths[-1] * HEADS * HEAD_SIZE * 4
    free = available_bytes()
    if free is not None and needed > free:
        reason = (
            f"needs {needed / 1e9:.1f} GB of memory, of which {free / 1e9:.1f} GB are free; fewer: --tokens"
        )
        yield NotRun("kernel.linearity", what, reason)
        return
    actions = {}
    with torch.no_grad():
        for tokens in lengths:
            inputs = kernel_inputs(1, tokens, HEADS)
            check_ends(inputs, bi_wkv7(*inputs))
            # a short sequence is run several times: all take as long as the middle one at least
            actions[str(tokens)] = repeated(partial(bi_wkv7, *inputs), max(1, settings.tokens // tokens))
        seconds = side_by_side(actions, ROUNDS_MORE * settings.repeats, warm=False)
    costs = []  # of a token, by the median round: a round's dearest over its cheapest has the noise of both
    for tokens in lengths:
        cost = row(
            f"kernel.token_{tokens}",
            f"Bi-WKV-7, {tokens:,} tokens, a token",
            "µs",
            [1e6 * t / max(tokens, settings.tokens) for t in seconds[str(tokens)]],
        )
        costs.append(cost.median)
        yield cost
    yield row(
        "kernel.linearity",
        what,
        "% more",
        [100 * (max(costs) / min(costs) - 1)],
        as_asked=settings.tokens == TOKENS,
        note="of the medians",
    )


def _backward(settings: Settings) -> Iterator[Outcome]:
    shapes = {"training": TRAINING_BATCH, "long": (1, settings.tokens, HEADS)}
    for name, (batch, tokens, heads) in shapes.items():
        leaves = [x.requires_grad_() for x in kernel_inputs(batch, tokens, heads)]
        dy = torch.ones_like(leaves[0])
        made: list[Tensor] = []

        def forward(leaves: list[Tensor] = leaves, made: list[Tensor] = made) -> None:
            made[:] = [bi_wkv7(*leaves)]

        def backward(leaves: list[Tensor] = leaves, made: list[Tensor] = made, dy: Tensor = dy) -> None:
            torch.autograd.grad(made[0], leaves, dy)

        seconds = side_by_side({"forward": forward, "backward": backward}, ROUNDS_MORE * settings.repeats)
        yield row(
            "kernel.backward" if name == "training" else f"kernel.backward_{name}",
            f"Bi-WKV-7, backward of {batch} × {tokens:,} tokens, {heads} heads",
            "forwards",
            ratios(seconds["backward"], seconds["forward"]),
            note=f"forward {1e3 * sorted(seconds['forward'])[len(seconds['forward']) // 2]:.1f} ms",
        )


def _core_distance(settings: Settings) -> Iterator[Outcome]:
    found = [round_trip_seconds() for _ in range(settings.repeats)]
    known = [1e9 * seconds for seconds in found if seconds is not None]
    if known:
        yield row(
            "kernel.core_round_trip",
            "a number from one core to another and back",
            "ns",
            known,
            note="where virtual cores lie can change from minute to minute",
        )

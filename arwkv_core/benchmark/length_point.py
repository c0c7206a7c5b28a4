"""One point of the curves of ``length_curve``, in a process of its own.

``python -m arwkv_core.benchmark.length_point arwkv|ast MODEL SECONDS PRECISION REPEATS`` prints JSON: the median time
of a run, and the memory at its height above that of the loaded model.
"""

from __future__ import annotations

import json
import statistics
import sys
import time
from collections.abc import Callable

import torch

from arwkv_core.constants import HOP_SECONDS, N_MELS

from .memory import peak_bytes, reset_peak, resident_bytes
from .peers import ast
from .precisions import load_on_cpu
from .recordings import log_mels

WARMING_SECONDS = 5.0
"""Of sound in the first run, in which kernels are loaded."""

LONG_FOR_AST = 30.0
"""Seconds of sound from which a first run of AST, which hears all of it, would cost more than it is worth."""

LONG_ENOUGH = 3.0
"""Seconds of runs after which no more of them are made."""

Hear = Callable[[float], object]


def arwkv_of(model: str, precision: str) -> Hear:
    """Let a model of ours hear so many seconds of log-mels at once."""
    tagger = load_on_cpu(model, precision)

    def hear(seconds: float) -> object:
        frames = round(seconds / HOP_SECONDS)
        blocks = (log_mels(1, min(1_000, frames - start), start)[0] for start in range(0, frames, 1_000))
        return sum(len(rows) for rows in tagger.stream_scores(blocks))

    return hear


def ast_of(seconds: float, precision: str) -> Hear:
    """Let AST hear so many seconds at once; it is built for that length, since its positions are learnt."""
    frames = round(seconds / HOP_SECONDS)
    dtype = torch.bfloat16 if precision == "bf16" else torch.float32
    network = ast.build(frames).to(dtype)

    def hear(_: float) -> object:
        with torch.inference_mode():
            return network(torch.zeros(1, frames, N_MELS, dtype=dtype))

    return hear


def main() -> None:
    """Measure what the command line names."""
    kind, model, length, precision, repeats = sys.argv[1:]
    seconds = float(length)
    hear = ast_of(seconds, precision) if kind == "ast" else arwkv_of(model, precision)
    if kind == "arwkv" or seconds <= LONG_FOR_AST:
        hear(min(seconds, WARMING_SECONDS))
    resident = resident_bytes()
    reset_peak()
    times: list[float] = []
    while len(times) < int(repeats) and sum(times) < LONG_ENOUGH:
        start = time.perf_counter()
        hear(seconds)
        times.append(time.perf_counter() - start)
    peak = peak_bytes()
    height = None if peak is None or resident is None else max(0, peak - resident)
    print(json.dumps({"seconds": statistics.median(times), "bytes": height}))  # noqa: T201  # its output is its answer


if __name__ == "__main__":
    main()

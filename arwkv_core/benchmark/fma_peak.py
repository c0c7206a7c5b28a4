"""How many fused multiply-adds a second the processor can do at all, measured.

A loop of nothing but fused multiply-adds of float32 vectors, whose chains are too many for one to wait for another, on
every thread at once. It is LLVM code of its own: numba's loop vectoriser would not keep the chains in registers.
"""

from __future__ import annotations

import ctypes
import threading
import time
from collections.abc import Callable
from functools import lru_cache
from typing import Any

from arwkv_core.cores import listed_cores, stay_on

from .llvm_function import compiled, lanes

CHAINS = 12
"""At once: more than latency times units of today's cores (4 × 2), with their factors they fit 16 registers."""

ROUNDS = 20_000_000
"""Of the loop: some tens of milliseconds, beside which the start of threads doesn't count."""


def _code(width: int) -> str:
    """A function ``(rounds, factor, summand) -> sum`` that runs all chains for so many rounds."""
    vector = f"<{width} x float>"
    chains = range(CHAINS)

    def splat(name: str, value: str) -> str:
        return (
            f"%{name}1 = insertelement {vector} undef, float %{value}, i32 0\n"
            f"%{name} = shufflevector {vector} %{name}1, {vector} undef, <{width} x i32> zeroinitializer\n"
        )

    phis = "\n".join(f"%x{i} = phi {vector} [ %start{i}, %entry ], [ %y{i}, %loop ]" for i in chains)
    steps = "\n".join(
        f"%y{i} = call {vector} @llvm.fma.v{width}f32({vector} %x{i}, {vector} %f, {vector} %s)"
        for i in chains
    )
    starts = "\n".join(
        f"%start{i} = insertelement {vector} %s, float {float(i)}, i32 {i % width}" for i in chains
    )
    sums = "\n".join(f"%sum{i + 1} = fadd {vector} {f'%sum{i}' if i else '%s'}, %y{i}" for i in chains)
    return (
        f"declare {vector} @llvm.fma.v{width}f32({vector}, {vector}, {vector})\n"
        f"define float @chains(i64 %rounds, float %factor, float %summand) {{\n"
        f"entry:\n{splat('f', 'factor')}{splat('s', 'summand')}{starts}\nbr label %loop\n"
        f"loop:\n%i = phi i64 [ 0, %entry ], [ %next, %loop ]\n{phis}\n{steps}\n"
        f"%next = add i64 %i, 1\n%more = icmp ult i64 %next, %rounds\n"
        f"br i1 %more, label %loop, label %done\n"
        f"done:\n{sums}\n%result = extractelement {vector} %sum{CHAINS}, i32 0\nret float %result\n}}\n"
    )


@lru_cache(maxsize=1)
def _chains() -> tuple[Callable[[int, float, float], float], Any]:
    """The compiled function, and the engine that keeps it alive."""
    engine = compiled(_code(lanes()))
    signature = ctypes.CFUNCTYPE(ctypes.c_float, ctypes.c_int64, ctypes.c_float, ctypes.c_float)
    return signature(engine.get_function_address("chains")), engine


def fused_multiply_adds_a_second(threads: int, rounds: int = ROUNDS) -> float:
    """Measure once: float32 fused multiply-adds of all threads together, a second.

    Each thread has a core of its own where there are enough: threads that wait for one another are often woken on the
    same core, and the system takes longer than this to move one of them.

    Parameters
    ----------
    threads : int
        That run at once.
    rounds : int
    """
    run, _ = _chains()
    gate = threading.Barrier(threads + 1)

    cores = listed_cores()

    def work(number: int) -> None:
        if len(cores) >= threads:
            stay_on(cores[number])
        gate.wait()
        run(rounds, 0.5, 1.0)  # every chain tends to 2: no overflow, no denormal numbers

    workers = [threading.Thread(target=work, args=(number,)) for number in range(threads)]
    for worker in workers:
        worker.start()
    gate.wait()
    start = time.perf_counter()
    for worker in workers:
        worker.join()
    return threads * rounds * CHAINS * lanes() / (time.perf_counter() - start)

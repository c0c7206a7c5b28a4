"""How long a number takes from one core to another and back.

Virtual machines are moved: two cores that shared a cache a minute ago may lie in different parts of the processor now,
and what threads hand to one another, or wait for, then takes several times as long.
"""

from __future__ import annotations

import ctypes
import threading
import time
from functools import lru_cache
from typing import Any

from arwkv_core.cores import listed_cores, stay_on

from .llvm_function import compiled

ROUNDS = 2000
FIRST_ROUNDS = 20
TOO_SLOW_SECONDS = 1e-4
"""A round between cores takes less by far: so long it takes where two threads share one."""

_CODE = """
define void @bounce(i64* %place, i64 %turn, i64 %rounds) {
entry:
  %end = add i64 %rounds, %rounds
  br label %loop
loop:
  %mine = phi i64 [ %turn, %entry ], [ %again, %answer ]
  %more = icmp ult i64 %mine, %end
  br i1 %more, label %wait, label %done
wait:
  %found = load atomic i64, i64* %place acquire, align 8
  %here = icmp eq i64 %found, %mine
  br i1 %here, label %answer, label %wait
answer:
  %next = add i64 %mine, 1
  store atomic i64 %next, i64* %place release, align 8
  %again = add i64 %mine, 2
  br label %loop
done:
  ret void
}
"""


@lru_cache(maxsize=1)
def _bounce() -> tuple[Any, Any]:
    """``bounce(place, turn, rounds)``: add 1 to a number as often as it is even or, with a turn of 1, odd."""
    engine = compiled(_CODE)
    signature = ctypes.CFUNCTYPE(None, ctypes.c_void_p, ctypes.c_int64, ctypes.c_int64)
    return signature(engine.get_function_address("bounce")), engine


def round_trip_seconds(rounds: int = ROUNDS) -> float | None:
    """Measure once, on the first and the last core that this process may use.

    Parameters
    ----------
    rounds : int

    Returns
    -------
    float or None
        None where there is one core only, or the system does not let threads have one each.
    """
    cores = listed_cores()
    if len(cores) < 2:
        return None
    if _seconds(cores[0], cores[-1], FIRST_ROUNDS) > TOO_SLOW_SECONDS:
        return None
    return _seconds(cores[0], cores[-1], rounds)


def _seconds(one: int, other: int, rounds: int) -> float:
    """Of a round."""
    run, _ = _bounce()
    memory = ctypes.create_string_buffer(256)
    address = ctypes.addressof(memory)
    place = address + -address % 128  # a line of the cache, and its neighbour, alone
    gate = threading.Barrier(2)
    took: list[float] = []

    def work(core: int, turn: int) -> None:
        stay_on(core)
        gate.wait()
        start = time.perf_counter()
        run(place, turn, rounds)
        took.append(time.perf_counter() - start)

    threads = [threading.Thread(target=work, args=args) for args in ((one, 0), (other, 1))]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    return min(took) / rounds

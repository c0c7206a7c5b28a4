"""Bi-WKV-7, the recurrence of A-RWKV: one operator, several backends.

``bi_wkv7(r, w, k, v, a, b, gate)`` is what the model calls, ``wkv7_sweep(r, w, k, v, a, b, state)`` what it calls where
its input is too long to be held at once; `backends` and `register` are for those who look at or add a backend, `survey`
tells which of them runs where, and `build` compiles the CUDA kernels ahead of their use. Torch is imported when one of
them is first used, numba at the first call on a CPU.
"""

import importlib
from typing import Any

_HOME = {  # public name -> module that defines it
    "Backend": "registry",
    "BackendError": "registry",
    "backends": "registry",
    "bi_wkv7": "op",
    "build": "cuda_build",
    "register": "registry",
    "select": "registry",
    "survey": "backend_survey",
    "wkv7_sweep": "sweep_op",
}

__all__ = list(_HOME)


def __getattr__(name: str) -> Any:
    if name not in _HOME:
        raise AttributeError(f"module {__name__!r} has no attribute {name!r}")
    value = getattr(importlib.import_module(f"{__name__}.{_HOME[name]}"), name)
    globals()[name] = value
    return value


def __dir__() -> list[str]:
    return sorted(__all__)

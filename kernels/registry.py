"""Which backend computes Bi-WKV-7 on which device, and why."""

import logging
import os
from collections.abc import Callable
from dataclasses import dataclass
from functools import cache

import torch
from torch import Tensor

from arwkv_core.errors import UsageError

from .reference import Gradients

logger = logging.getLogger("arwkv.kernels")

ORDER = ("cuda", "numba", "torch", "reference")  # fastest first; names not yet registered are passed over
SLOWEST = ORDER[-1]  # hundreds of times slower: whoever gets it should hear why
ENVIRONMENT_VARIABLE = "ARWKV_BACKEND"

Sweep = Callable[..., tuple[Tensor, Tensor]]


class BackendError(UsageError, RuntimeError):
    """The forced backend is unknown or can't run here; the command line prints it as one line."""


@dataclass(frozen=True)
class Backend:
    """One implementation of the operator.

    Attributes
    ----------
    name : str
    unavailable : callable
        ``unavailable(device, dtype)`` gives None where the backend can run, otherwise the reason why not. It may
        import and probe; its answer is kept for the life of the process.
    forward : callable
        ``forward(r, w, k, v, a, b, gate) -> y``, in the dtype of v; tensors of one device, of any strides, of
        float32, bfloat16 and float16 in any mixture, or all of float64.
    backward : callable
        ``backward(dy, r, w, k, v, a, b, gate)`` gives the seven gradients, each in the dtype of its tensor.
    sweep : callable, optional
        ``sweep(r, w, k, v, a, b, state, reverse) -> y, state``, tensors as for `forward`, the state in float32 (in
        float64 with float64) and not changed. A backend without it is passed over where the operator is
        ``wkv7_sweep``.
    """

    name: str
    unavailable: Callable[[torch.device, torch.dtype], str | None]
    forward: Callable[..., Tensor]
    backward: Callable[..., Gradients]
    sweep: Sweep | None = None

    def obstacle(self, device: torch.device, dtype: torch.dtype, sweep: bool) -> str | None:
        """Why it can't run here, or can't run the sweep; None where it can."""
        if sweep and self.sweep is None:
            return "has no sweep in one direction (wkv7_sweep), which long contexts need"
        return self.unavailable(device, dtype)


_backends: dict[str, Backend] = {}


def register(backend: Backend) -> None:
    """Add a backend, or replace the one of that name. Names outside `ORDER` are tried last, in order of arrival."""
    _backends[backend.name] = backend
    _choose.cache_clear()


def backends() -> list[Backend]:
    """All registered backends in the order in which they are tried."""
    known = [_backends[name] for name in ORDER if name in _backends]
    return known + [backend for name, backend in _backends.items() if name not in ORDER]


def select(device: torch.device, dtype: torch.dtype, *, sweep: bool = False) -> Backend:
    """The backend for tensors of this device, of which v has this dtype; with ``sweep`` one that has a sweep.

    Raises
    ------
    BackendError
        If ``ARWKV_BACKEND`` names a backend that is unknown or can't run here, or if no backend can.
    """
    return _choose(device.type, device.index, dtype, os.environ.get(ENVIRONMENT_VARIABLE, ""), sweep)


@cache
def _choose(kind: str, index: int | None, dtype: torch.dtype, forced: str, sweep: bool) -> Backend:
    operator = "WKV-7 in one direction" if sweep else "Bi-WKV-7"
    device = torch.device(kind, index) if index is not None else torch.device(kind)
    way_out = f"unset {ENVIRONMENT_VARIABLE} to let arwkv choose"
    if forced and forced not in _backends:
        names = ", ".join(backend.name for backend in backends())
        raise BackendError(
            f"{ENVIRONMENT_VARIABLE}={forced}: no such backend; there are {names}; or {way_out}"
        )
    if forced:
        reason = _backends[forced].obstacle(device, dtype, sweep)
        if reason is not None:
            raise BackendError(
                f"{ENVIRONMENT_VARIABLE}={forced} can't run {dtype} on {device}: {reason}; {way_out}"
            )
        logger.info("%s for %s on %s: %s (%s)", operator, dtype, device, forced, ENVIRONMENT_VARIABLE)
        return _backends[forced]
    passed_over: list[str] = []
    for backend in backends():
        reason = backend.obstacle(device, dtype, sweep)
        if reason is None:
            because = "; ".join(passed_over) or "first choice"
            level = logging.WARNING if backend.name == SLOWEST and passed_over else logging.INFO
            logger.log(level, "%s for %s on %s: %s (%s)", operator, dtype, device, backend.name, because)
            return backend
        passed_over.append(f"{backend.name}: {reason}")
    raise BackendError(f"no backend runs {operator} for {dtype} on {device}: " + "; ".join(passed_over))

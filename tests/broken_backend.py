"""A backend of the kernel whose output is off, as a fixture's helper."""

from collections.abc import Iterator
from contextlib import contextmanager

import pytest
import torch
from torch import Tensor

from arwkv_kernels import Backend, bi_wkv7, registry


def _forward(*inputs: Tensor) -> Tensor:
    return torch.ones_like(inputs[3])


def _backward(dy: Tensor, *inputs: Tensor) -> tuple[Tensor, ...]:
    return tuple(torch.ones_like(x) for x in inputs)


@contextmanager
def broken_backend(monkeypatch: pytest.MonkeyPatch) -> Iterator[str]:
    """Let a backend that gives ones compute, for the time of a block; its name."""
    assert bi_wkv7 is not None  # the other backends are registered with it
    name = "broken"
    before = dict(registry._backends)
    registry.register(Backend(name, lambda device, dtype: None, _forward, _backward))  # type: ignore[arg-type]
    monkeypatch.setenv(registry.ENVIRONMENT_VARIABLE, name)
    try:
        yield name
    finally:
        monkeypatch.delenv(registry.ENVIRONMENT_VARIABLE)
        registry._backends.clear()
        registry._backends.update(before)
        registry._choose.cache_clear()

"""Which backend is chosen, what is said about it, and what ``ARWKV_BACKEND`` does."""

import logging
import os
from collections.abc import Iterator
from pathlib import Path

import kernel_cases as cases
import pytest
import torch
from conftest import RunArwkv

from arwkv_kernels import Backend, BackendError, backends, bi_wkv7, op, register, registry, select  # noqa: F401

CPU = torch.device("cpu")


@pytest.fixture(autouse=True)
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Leave no backend and no choice behind."""
    monkeypatch.setattr(registry, "_backends", dict(registry._backends))
    monkeypatch.delenv("ARWKV_BACKEND", raising=False)
    registry._choose.cache_clear()
    yield
    registry._choose.cache_clear()


def backend(name: str, reason: str | None = None) -> Backend:
    (plain,) = (one for one in backends() if one.name == "reference")
    return Backend(name, lambda device, dtype: reason, plain.forward, plain.backward)


def test_order_is_that_of_speed() -> None:
    for name in ("other", "torch", "cuda"):
        register(backend(name))
    names = [one.name for one in backends()]
    assert names == ["cuda", "numba", "torch", "reference", "other"]


def test_the_first_that_can_run_is_taken_and_the_reason_logged_once(caplog: pytest.LogCaptureFixture) -> None:
    register(backend("cuda", "no such device"))
    register(backend("numba", "the CPU is too old"))
    with caplog.at_level(logging.INFO, "arwkv.kernels"):
        assert select(CPU, torch.float32).name == "torch"
        assert select(CPU, torch.float32).name == "torch"
    (record,) = caplog.records
    assert record.levelno == logging.INFO
    assert "cuda: no such device; numba: the CPU is too old" in record.getMessage()


def test_the_slow_loop_is_taken_with_a_warning(caplog: pytest.LogCaptureFixture) -> None:
    for name in ("numba", "torch"):
        register(backend(name, "out of order"))
    with caplog.at_level(logging.INFO, "arwkv.kernels"):
        assert select(CPU, torch.float32).name == "reference"
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert "numba: out of order; torch: out of order" in record.getMessage()


def test_double_precision_is_not_for_numba() -> None:
    assert select(CPU, torch.float64).name == "torch"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16, torch.float64], ids=str)
@pytest.mark.parametrize("kind", ["cuda", "mps", "xpu", "cpu"])
def test_plain_torch_runs_everywhere(kind: str, dtype: torch.dtype) -> None:
    (plain,) = (one for one in backends() if one.name == "torch")
    without = kind == "mps" and dtype == torch.float64
    assert plain.obstacle(torch.device(kind), dtype, True) == ("mps has no float64" if without else None)


def test_forced_backend_is_taken(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "reference")
    assert select(CPU, torch.float32).name == "reference"


def test_unknown_backend_is_an_error_that_lists_the_known(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "abacus")
    with pytest.raises(
        BackendError, match=r"ARWKV_BACKEND=abacus: no such backend; there are cuda, numba, .*unset"
    ):
        bi_wkv7(*cases.inputs(1, 2, 1))


def test_forced_backend_that_cannot_run_is_an_error_with_the_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    register(backend("cuda", "the driver is too old"))
    monkeypatch.setenv("ARWKV_BACKEND", "cuda")
    with pytest.raises(BackendError, match=r"cuda can't run .*: the driver is too old; unset ARWKV_BACKEND"):
        bi_wkv7(*cases.inputs(1, 2, 1))


def test_no_backend_at_all_is_an_error_with_every_reason() -> None:
    register(backend("numba", "not installed"))
    register(backend("torch", "too new"))
    register(backend("reference", "out of patience"))
    with pytest.raises(
        BackendError, match="numba: not installed; torch: too new; reference: out of patience"
    ):
        select(CPU, torch.float32)


def test_a_registered_backend_computes() -> None:
    calls = []
    plain = backend("cuda")

    def forward(*inputs: torch.Tensor) -> torch.Tensor:
        calls.append(len(inputs))
        return plain.forward(*inputs)

    register(Backend("cuda", lambda device, dtype: None, forward, plain.backward))
    bi_wkv7(*cases.inputs(1, 2, 1))
    assert calls == [7]


def test_the_command_line_says_it_in_one_line(run_arwkv: RunArwkv, examples: Path) -> None:
    environment = os.environ | {"ARWKV_BACKEND": "abacus"}
    done = run_arwkv("tag", examples / "rain.wav", env=environment)
    assert done.returncode in (1, 2), done.stderr
    assert "ARWKV_BACKEND=abacus: no such backend" in done.stderr
    assert "Traceback" not in done.stderr

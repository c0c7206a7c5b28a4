"""One direction in stretches: any cut gives what the whole gives, and two directions make Bi-WKV-7."""

import os
import subprocess
import sys
from collections.abc import Iterator
from itertools import pairwise
from pathlib import Path

import kernel_cases as cases
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from arwkv_kernels import Backend, BackendError, backends, bi_wkv7, reference, register, registry, wkv7_sweep

CPU = torch.device("cpu")
TOKENS = 53


@pytest.fixture(params=["numba", "torch", "reference"])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    name: str = request.param
    if name == "numba":
        pytest.importorskip("numba")
    monkeypatch.setenv("ARWKV_BACKEND", name)
    return name


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_backends", dict(registry._backends))
    monkeypatch.delenv("ARWKV_BACKEND", raising=False)
    registry._choose.cache_clear()
    yield
    registry._choose.cache_clear()


@pytest.fixture
def threads() -> Iterator[None]:
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def in_stretches(
    inputs: tuple[Tensor, ...], cuts: list[int], reverse: bool, state: Tensor | None = None
) -> tuple[Tensor, Tensor]:
    edges = [0, *sorted(set(cuts)), inputs[0].shape[1]]
    stretches = list(pairwise(edges))
    found = []
    for start, end in reversed(stretches) if reverse else stretches:
        y, state = wkv7_sweep(*(x[:, start:end] for x in inputs), state, reverse)
        found.append(y)
    assert state is not None
    return torch.cat(found[::-1] if reverse else found, 1), state


@pytest.mark.usefixtures("backend")
@settings(max_examples=15)
@given(
    cuts=st.lists(st.integers(1, TOKENS - 1), max_size=8),
    reverse=st.booleans(),
    heads=st.integers(1, 3),
    decay=st.sampled_from(["trained", "none", "total"]),
)
def test_stretches_of_any_length_give_the_whole(
    cuts: list[int], reverse: bool, heads: int, decay: str
) -> None:
    *inputs, _ = cases.inputs(2, TOKENS, heads, decay)
    y, state = wkv7_sweep(*inputs, reverse=reverse)
    y_cut, state_cut = in_stretches(inputs, cuts, reverse)
    cases.assert_close("y", y_cut, y, 1e-6)
    cases.assert_close("state", state_cut, state, 1e-6)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 49])
@pytest.mark.parametrize("reverse", [False, True])
def test_values_are_those_of_the_reference_from_any_state(
    tokens: int, dtype: torch.dtype, reverse: bool
) -> None:
    *inputs, _ = cases.in_dtype(cases.inputs(2, tokens, 3), dtype)
    state = torch.randn((2, 3, 64, 64), generator=torch.Generator().manual_seed(tokens))
    kept = state.clone()
    y, after = wkv7_sweep(*inputs, state, reverse)
    exact, state_exact = reference.wkv7_sweep(*(x.double() for x in (*inputs, state)), reverse)
    assert torch.equal(state, kept)
    assert (y.dtype, after.dtype) == (dtype, torch.float32)
    cases.assert_close("y", y, exact, cases.TOLERANCE[dtype])
    cases.assert_close("state", after, state_exact, 2e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("decay", [*cases.DECAYS])
def test_both_directions_fused_are_the_operator_of_the_model(decay: str) -> None:
    *inputs, gate = cases.inputs(2, TOKENS, 2, decay)
    forward, _ = in_stretches(inputs, [16, 17], False)
    backward, _ = in_stretches(inputs, [8, 40], True)
    fused = gate[..., None] * forward + (1 - gate[..., None]) * backward
    cases.assert_close("y", fused, bi_wkv7(*inputs, gate), 1e-5)


@pytest.mark.usefixtures("threads")
@pytest.mark.parametrize(("batch", "heads"), [(1, 1), (2, 3)])
def test_any_number_of_threads_gives_the_same_bits(
    batch: int, heads: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("ARWKV_BACKEND", "numba")
    *inputs, _ = cases.inputs(batch, 33, heads)
    torch.set_num_threads(1)
    alone = wkv7_sweep(*inputs, reverse=True)
    for count in (2, 3, 40):
        torch.set_num_threads(count)
        for x, z in zip(wkv7_sweep(*inputs, reverse=True), alone, strict=True):
            assert torch.equal(x, z), f"differs on {count} threads"


@pytest.mark.usefixtures("backend")
def test_tensors_of_any_strides() -> None:
    *inputs, _ = cases.inputs(2, 17, 3)
    state = torch.randn(2, 3, 64, 64)
    strided = [x.transpose(1, 2).contiguous().transpose(1, 2) for x in inputs[:3]]
    strided += [x.transpose(2, 3).contiguous().transpose(2, 3) for x in inputs[3:]]
    found = wkv7_sweep(*strided, state.transpose(2, 3).contiguous().transpose(2, 3))
    for name, x, z in zip(("y", "state"), found, wkv7_sweep(*inputs, state), strict=True):
        cases.assert_close(name, x, z, 1e-6)


def test_double_precision() -> None:
    *inputs, _ = cases.in_dtype(cases.inputs(1, 9, 1), torch.float64)
    y, state = wkv7_sweep(*inputs)
    assert y.dtype == state.dtype == torch.float64
    cases.assert_close("y", y, reference.wkv7(*inputs), 1e-12)


def test_opcheck() -> None:
    *inputs, _ = cases.inputs(1, 5, 2)
    torch.library.opcheck(torch.ops.arwkv.wkv7_sweep.default, [*inputs, torch.zeros(1, 2, 64, 64), True])


def test_gradients_are_refused_and_not_zero() -> None:
    *inputs, _ = (x.clone().requires_grad_() for x in cases.inputs(1, 5, 1))
    y, _ = wkv7_sweep(*inputs)
    with pytest.raises(RuntimeError, match="wkv7_sweep"):
        y.sum().backward()


@pytest.mark.parametrize(
    ("state", "error", "message"),
    [
        (torch.zeros(1, 2, 64, 32), ValueError, r"state: expected shape \(1, 2, 64, 64\), found"),
        (torch.zeros(2, 2, 64, 64), ValueError, r"state: expected shape \(1, 2, 64, 64\), found"),
        (torch.zeros(1, 2, 64, 64, dtype=torch.bfloat16), TypeError, "state: expected dtype torch.float32"),
        (torch.zeros(1, 2, 64, 64, device="meta"), ValueError, "state: expected on device cpu, as r is"),
    ],
)
def test_a_state_that_does_not_fit_is_refused(state: Tensor, error: type[Exception], message: str) -> None:
    *inputs, _ = cases.inputs(1, 5, 2)
    with pytest.raises(error, match=message):
        wkv7_sweep(*inputs, state)
    with pytest.raises(ValueError, match="k: expected shape"):
        wkv7_sweep(*inputs[:2], inputs[2][:, :4], *inputs[3:])


@pytest.mark.usefixtures("own_registry")
def test_a_backend_without_a_sweep_is_passed_over_or_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    (plain,) = (one for one in backends() if one.name == "reference")
    register(Backend("cuda", lambda device, dtype: None, plain.forward, plain.backward))
    *inputs, gate = cases.inputs(1, 3, 1)
    assert registry.select(CPU, torch.float32).name == "cuda"
    assert registry.select(CPU, torch.float32, sweep=True).name != "cuda"
    wkv7_sweep(*inputs)
    monkeypatch.setenv("ARWKV_BACKEND", "cuda")
    bi_wkv7(*inputs, gate)
    with pytest.raises(BackendError, match=r"cuda can't run .*: has no sweep in one direction.*unset"):
        wkv7_sweep(*inputs)


@pytest.mark.parametrize("lanes", ["8", "32"])
def test_vectors_of_any_width(lanes: str) -> None:
    pytest.importorskip("numba")
    program = """
import sys
sys.path.insert(0, sys.argv[1])
import kernel_cases as cases
import torch
from arwkv_kernels import reference, wkv7_sweep

for threads in (1, 16):  # whole heads, and heads cut into as many parts as can be
    torch.set_num_threads(threads)
    *inputs, _ = cases.inputs(1, 35, 2)
    state = torch.randn(1, 2, 64, 64)
    for reverse in (False, True):
        found = wkv7_sweep(*inputs, state, reverse)
        exact = reference.wkv7_sweep(*(x.double() for x in (*inputs, state)), reverse)
        for name, x, z in zip(("y", "state"), found, exact, strict=True):
            cases.assert_close(name, x, z, 2e-5)
"""
    environment = os.environ | {"ARWKV_VECTOR_LANES": lanes, "ARWKV_BACKEND": "numba"}
    command = [sys.executable, "-c", program, str(Path(__file__).parent)]
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

"""Every backend gives the values and gradients of the float64 reference."""

from collections.abc import Iterator
from pathlib import Path

import kernel_cases as cases
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from arwkv_kernels import backends, bi_wkv7, op, reference  # noqa: F401  # op registers the backends

CPU = torch.device("cpu")


@pytest.fixture(params=[backend.name for backend in backends()])
def backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> str:
    """Force one backend after the other; skip, with its reason, one that can't run here."""
    name: str = request.param
    if name == "numba":
        pytest.importorskip("numba")  # where it is, its kernels must compile
        monkeypatch.setenv("ARWKV_BACKEND", name)
        return name
    (chosen,) = (one for one in backends() if one.name == name)
    reason = chosen.unavailable(CPU, torch.float32)
    if reason is not None:
        pytest.skip(f"{name}: {reason}")
    monkeypatch.setenv("ARWKV_BACKEND", name)
    return name


@pytest.fixture
def numba_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    pytest.importorskip("numba")
    monkeypatch.setenv("ARWKV_BACKEND", "numba")


@pytest.fixture
def nan_in_new_tensors() -> Iterator[None]:
    """``torch.empty`` gives NaN, so that a value that is never written can't pass for a result."""
    torch.use_deterministic_algorithms(True)
    assert torch.empty(3).isnan().all()
    yield
    torch.use_deterministic_algorithms(False)


@pytest.fixture
def threads() -> Iterator[None]:
    """Put the number of threads back afterwards."""
    before = torch.get_num_threads()
    yield
    torch.set_num_threads(before)


def check(batch: int, tokens: int, heads: int, decay: str, dtype: torch.dtype) -> None:
    leaves = [
        x.clone().requires_grad_() for x in cases.in_dtype(cases.inputs(batch, tokens, heads, decay), dtype)
    ]
    y = bi_wkv7(*leaves)
    y.backward(cases.incoming(batch, tokens, heads).to(dtype))
    expected, gradients = cases.expected(batch, tokens, heads, decay, dtype)
    assert y.dtype == dtype
    cases.assert_close("y", y.detach(), expected, cases.TOLERANCE[dtype])
    for name, leaf, gradient in zip(cases.NAMES, leaves, gradients, strict=True):
        assert leaf.grad is not None
        assert leaf.grad.dtype == dtype
        cases.assert_close(f"d{name}", leaf.grad, gradient, cases.TOLERANCE[dtype])


@pytest.mark.usefixtures("backend", "nan_in_new_tensors")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16, torch.float16], ids=str)
@pytest.mark.parametrize("tokens", [1, 2, 15, 16, 17, 49])
def test_any_number_of_tokens(tokens: int, dtype: torch.dtype) -> None:
    check(2, tokens, 3, "trained", dtype)


@pytest.mark.usefixtures("numba_backend", "nan_in_new_tensors")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_tokens_of_the_model(dtype: torch.dtype) -> None:
    check(1, 496, 1, "trained", dtype)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("decay", [name for name in cases.DECAYS if name != "trained"])
def test_extreme_decays(decay: str) -> None:
    check(1, 33, 2, decay, torch.float32)


@pytest.mark.usefixtures("numba_backend", "nan_in_new_tensors")
def test_a_long_recording() -> None:
    """With decays this fast nothing is remembered for 150 tokens, so that excerpts tell what is right."""
    tokens, kept, margin = 16384, 100, 150
    inputs = cases.inputs(1, tokens, 1, "fastest of the model")
    y = bi_wkv7(*inputs)
    assert y.isfinite().all()
    for start in (0, 8142, tokens - kept):
        first, last = max(start - margin, 0), min(start + kept + margin, tokens)
        excerpt = [x[:, first:last].double() for x in inputs]
        expected = reference.bi_wkv7(*excerpt)[:, start - first :][:, :kept]
        cases.assert_close(f"y from token {start}", y[:, start : start + kept], expected, 2e-5)


@pytest.mark.usefixtures("backend")
def test_golden_file() -> None:
    golden = np.load(Path(__file__).parent / "data" / "bi_wkv7.npz")
    leaves = [torch.from_numpy(golden[name]).requires_grad_() for name in cases.NAMES]
    y = bi_wkv7(*leaves)
    y.backward(torch.from_numpy(golden["dy"]))
    cases.assert_close("y", y.detach(), torch.from_numpy(golden["y"]), 2e-5)
    for name, leaf in zip(cases.NAMES, leaves, strict=True):
        assert leaf.grad is not None
        cases.assert_close(f"d{name}", leaf.grad, torch.from_numpy(golden[f"d{name}"]), 2e-5)


@pytest.mark.usefixtures("backend")
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16], ids=str)
def test_tensors_of_any_strides(dtype: torch.dtype) -> None:
    inputs = cases.in_dtype(cases.inputs(2, 17, 3), dtype)
    dy = cases.incoming(2, 17, 3).to(dtype)
    strided = [
        inputs[0].transpose(1, 2).contiguous().transpose(1, 2),  # head-major
        inputs[1].transpose(2, 3).contiguous().transpose(2, 3),  # channels apart
        torch.cat([inputs[2], inputs[2]], dim=-1)[..., 64:],  # part of a wider row
        inputs[3].flip(0).contiguous().flip(0),
        inputs[4][:, :1].expand(-1, 17, -1, -1),  # one token, seen 17 times
        inputs[5].permute(3, 1, 0, 2).contiguous().permute(2, 1, 3, 0),
        inputs[6].transpose(1, 2).contiguous().transpose(1, 2),
    ]
    leaves = [x.detach().requires_grad_() for x in strided]
    plain = [x.detach().contiguous().requires_grad_() for x in strided]
    y, wanted = bi_wkv7(*leaves), bi_wkv7(*plain)
    y.backward(dy.transpose(1, 2).contiguous().transpose(1, 2))
    wanted.backward(dy)
    assert torch.equal(y, wanted)
    for name, leaf, other in zip(cases.NAMES, leaves, plain, strict=True):
        assert leaf.grad is not None
        assert other.grad is not None
        assert torch.equal(leaf.grad, other.grad), f"d{name} differs"


@pytest.mark.usefixtures("numba_backend", "threads", "nan_in_new_tensors")
@pytest.mark.parametrize(("batch", "heads"), [(1, 1), (3, 1), (2, 3), (1, 6)])
def test_any_number_of_threads(batch: int, heads: int) -> None:
    dy, inputs = cases.incoming(batch, 33, heads), cases.inputs(batch, 33, heads)
    torch.set_num_threads(1)
    alone = (bi_wkv7(*inputs), *torch.ops.arwkv.bi_wkv7_backward(dy, *inputs))
    for count in (2, 3, 40):
        torch.set_num_threads(count)
        shared = (bi_wkv7(*inputs), *torch.ops.arwkv.bi_wkv7_backward(dy, *inputs))
        again = (bi_wkv7(*inputs), *torch.ops.arwkv.bi_wkv7_backward(dy, *inputs))
        for name, x, y, z in zip(("y", *cases.NAMES), shared, again, alone, strict=True):
            assert torch.equal(x, y), f"{name} differs from run to run on {count} threads"
            cases.assert_close(f"{name} on {count} threads", x, z, 1e-6)
        assert torch.equal(shared[0], alone[0]), f"y on {count} threads is not bit for bit that of one"


@pytest.mark.usefixtures("backend")
@settings(max_examples=15, deadline=None)
@given(
    batch=st.integers(1, 2),
    tokens=st.integers(1, 40),
    heads=st.integers(1, 3),
    decay=st.sampled_from([*cases.DECAYS]),
)
def test_time_runs_either_way(batch: int, tokens: int, heads: int, decay: str) -> None:
    *inputs, gate = cases.inputs(batch, tokens, heads, decay)
    flipped = bi_wkv7(*(x.flip(1) for x in inputs), 1 - gate.flip(1)).flip(1)
    cases.assert_close("y", flipped, bi_wkv7(*inputs, gate), 1e-6)


@pytest.mark.usefixtures("backend")
def test_a_nan_stays_in_its_head() -> None:
    inputs = [x.clone() for x in cases.inputs(1, 20, 2)]
    clean = bi_wkv7(*inputs)
    inputs[1][0, 10, 0, 5] = torch.nan
    y = bi_wkv7(*inputs)
    assert y[:, :, 0].isnan().any()
    assert torch.equal(y[:, :, 1], clean[:, :, 1])


def test_reference_gradients_are_those_of_autograd() -> None:
    exact = cases.in_dtype(cases.inputs(1, 3, 1), torch.float64)
    small = [x[..., :3].detach().requires_grad_() if x.ndim == 4 else x.requires_grad_() for x in exact]
    assert torch.autograd.gradcheck(reference.bi_wkv7, small)
    dy = cases.incoming(1, 3, 1)[..., :3].double()
    automatic = torch.autograd.grad(reference.bi_wkv7(*small), small, dy)
    with torch.no_grad():
        written = reference.bi_wkv7_backward(dy, *small)
    for name, x, y in zip(cases.NAMES, written, automatic, strict=True):
        cases.assert_close(f"d{name}", x, y, 1e-12)

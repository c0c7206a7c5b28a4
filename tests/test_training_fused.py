"""The fused passes of training compute what the plain network does, values and gradients."""

import logging
import os
import subprocess
import sys
import weakref
from collections.abc import Callable, Iterator
from pathlib import Path

import pytest
import torch
from torch import Tensor

from arwkv_core import ARWKV, Architecture
from arwkv_core.training import fused
from arwkv_core.training.fused_weights import low_ranks

pytest.importorskip("numba")

from arwkv_kernels import grad_attention, grad_call, grad_relu, grad_shift, grad_stack

CHUNK = 16  # time steps of a task
TOLERANCE = 2e-5  # of the largest value, in float32

Found = dict[str, Tensor]


def lively(
    depth: int = 3, width: int = 128, position: str = "frequency", steps: int = 62, **more: float
) -> ARWKV:
    """A network in which every weight matters: fresh ones have blocks that do nothing yet."""
    torch.manual_seed(0)
    model = ARWKV(Architecture(depth, width, 5, position, frames=16 * steps), **more)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn_like(weight)
    return model


def results(
    tokens: Callable[[Tensor], Tensor], model: ARWKV, fbank: Tensor, *, bfloat16: bool = False, seed: int = 1
) -> Found:
    """Tokens, and the gradients of the input and of all parameters, by name."""
    model.zero_grad(set_to_none=True)
    fbank = fbank.clone().requires_grad_()
    torch.manual_seed(seed)
    with torch.autocast("cpu", torch.bfloat16, enabled=bfloat16):
        y = tokens(fbank)
    slopes = torch.randn(y.shape, generator=torch.Generator().manual_seed(2))
    y.float().backward(slopes)
    gradients = {name: x.grad.clone() for name, x in model.named_parameters() if x.grad is not None}
    assert fbank.grad is not None
    return {"tokens": y.detach().float(), "fbank": fbank.grad, **gradients}


def both(model: ARWKV, fbank: Tensor, **options: bool) -> tuple[Found, Found]:
    plain = results(model.tokens, model, fbank, **options)
    found = results(lambda x: fused.fused_tokens(model, x), model, fbank, **options)
    assert found.keys() == plain.keys(), "a parameter has a gradient in one of the two only"
    return plain, found


def error(x: Tensor, exact: Tensor) -> float:
    return ((x - exact).norm() / exact.norm()).item()


@pytest.fixture(autouse=True)
def _outputs_full_of_nan(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Memory that a pass should have written and did not, or read before it did, shows."""

    def new(*shape: int, dtype: torch.dtype = torch.float32) -> Tensor:
        return torch.full(shape, float("nan"), dtype=dtype)

    for module in (grad_attention, grad_call, grad_relu, grad_shift, grad_stack):
        monkeypatch.setattr(module, "new", new)
    return None


@pytest.mark.parametrize("position", ["absolute", "frequency"])
@pytest.mark.parametrize(
    ("batch", "steps"), [(1, 1), (3, 2), (1, CHUNK), (2, CHUNK + 1), (1, 63), (2, 2 * CHUNK)]
)
def test_float32_is_exact(batch: int, steps: int, position: str) -> None:
    model = lively(position=position, steps=steps)
    plain, found = both(model, torch.randn(batch, 1, 16 * steps, 128))
    for name, exact in plain.items():
        assert found[name].shape == exact.shape
        worst = ((found[name] - exact).abs().max() / exact.abs().max()).item()
        assert worst <= TOLERANCE, f"{name}: off by {worst:.2g} of its largest value"


@pytest.mark.parametrize(("batch", "steps", "width"), [(1, 1, 64), (2, 33, 192), (3, 62, 64)])
def test_bfloat16_is_as_exact_as_the_plain_path_in_bfloat16(batch: int, steps: int, width: int) -> None:
    model = lively(width=width)
    fbank = torch.randn(batch, 1, 16 * steps, 128)
    exact = results(model.tokens, model, fbank)
    plain, found = both(model, fbank, bfloat16=True)
    for name in exact:
        ours, theirs = error(found[name], exact[name]), error(plain[name], exact[name])
        assert ours <= 1.5 * theirs + 2e-3, f"{name}: off by {ours:.2g}, the plain path by {theirs:.2g}"
        assert ours <= 5e-2, name


@pytest.mark.parametrize(("width", "runs"), [(192, ["vwag"]), (384, ["vwa", "g"]), (768, ["v", "wa", "g"])])
@pytest.mark.parametrize("bfloat16", [False, True])
def test_low_ranks_of_any_shape(width: int, runs: list[str], bfloat16: bool) -> None:
    """Those of one shape are multiplied at once; which ones are depends on the width."""
    model = lively(depth=2, width=width)
    assert [low.letters for low in low_ranks(dict(model.blocks[1].named_parameters()), 1)] == runs
    fbank = torch.randn(1, 1, 32, 128)
    exact = results(model.tokens, model, fbank)
    found = results(lambda x: fused.fused_tokens(model, x), model, fbank, bfloat16=bfloat16)
    assert found.keys() == exact.keys()
    for name, value in exact.items():
        assert error(found[name], value) <= (5e-2 if bfloat16 else 1e-4), name


def test_gradients_add_up_and_frozen_weights_have_none() -> None:
    model, fbank = lively(depth=2), torch.randn(1, 1, 48, 128)
    once = results(lambda x: fused.fused_tokens(model, x), model, fbank)
    slopes = torch.randn(once["tokens"].shape, generator=torch.Generator().manual_seed(2))
    model.blocks[0].requires_grad_(False)
    frozen = results(lambda x: fused.fused_tokens(model, x), model, fbank)
    assert frozen.keys() == {name for name in once if not name.startswith("blocks.0.")}
    for name, gradient in frozen.items():
        assert torch.equal(gradient, once[name]), name
    fused.fused_tokens(model, fbank).backward(slopes)
    for name, parameter in model.named_parameters():
        if name in frozen:
            torch.testing.assert_close(parameter.grad, 2 * once[name], msg=name)


def test_another_parameter_in_the_place_of_one_counts() -> None:
    model, fbank = lively(depth=2), torch.randn(1, 1, 32, 128)
    fused.fused_tokens(model, fbank)
    model.blocks[1].att.key.weight = torch.nn.Parameter(0.1 * torch.randn(128, 128))
    plain, found = both(model, fbank)
    for name, exact in plain.items():
        torch.testing.assert_close(found[name], exact, rtol=1e-3, atol=TOLERANCE * exact.abs().max().item())


def test_the_way_back_is_gone_once() -> None:
    model, fbank = lively(depth=1), torch.randn(1, 1, 32, 128)
    y = fused.fused_tokens(model, fbank).sum()
    y.backward(retain_graph=True)
    with pytest.raises(RuntimeError, match="the way back can be gone once"):
        y.backward()


def test_nothing_is_kept_of_a_network_or_its_activations() -> None:
    model = lively(depth=1)
    y = fused.fused_tokens(model, torch.randn(1, 1, 32, 128))
    function, _ = y.grad_fn.next_functions[0]
    parts = [weakref.ref(model), weakref.ref(function.mixes[0])]
    del function
    del model, y
    assert [part() for part in parts] == [None, None], "only the search for cycles would free it"


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_weights_are_stacked_as_torch_rounds_them(dtype: torch.dtype) -> None:
    tensors = [
        torch.randn(3, 32),
        torch.randn(64, 5).t(),
        torch.full((32,), float("nan")),
        torch.randn(96000),
    ]
    tensors[3][:4] = torch.tensor([1 + 2**-8, 1 + 3 * 2**-8, float("inf"), 3.4e38])
    expected = torch.cat([x.reshape(-1) for x in tensors]).to(dtype)
    torch.testing.assert_close(grad_stack.stacked(tensors, dtype), expected, rtol=0, atol=0, equal_nan=True)
    with pytest.raises(ValueError, match=r"multiples of 32 numbers, found \[33\]"):
        grad_stack.stacked([torch.zeros(33)], dtype)


def test_stochastic_depth_skips_the_same_samples() -> None:
    model = lively(drop_path=0.6, depth=4)
    plain, found = both(model, torch.randn(6, 1, 48, 128))
    for name, exact in plain.items():
        torch.testing.assert_close(found[name], exact, rtol=1e-3, atol=TOLERANCE * exact.abs().max().item())
    other = results(lambda x: fused.fused_tokens(model, x), model, torch.randn(6, 1, 48, 128), seed=5)
    assert not torch.equal(other["tokens"], found["tokens"])
    model.eval()
    plain, found = both(model, torch.randn(2, 1, 48, 128))
    torch.testing.assert_close(found["tokens"], plain["tokens"], rtol=1e-4, atol=1e-4)


def test_a_removal_key_without_length_divides_by_nothing() -> None:
    model = lively(depth=2)
    with torch.no_grad():
        model.blocks[1].att.key.weight.zero_()
    plain, found = both(model, torch.randn(1, 1, 48, 128))
    for name, exact in plain.items():
        if exact.abs().max() < 1e6:  # that of the key itself is the slope of x / 1e-12
            torch.testing.assert_close(
                found[name], exact, rtol=1e-3, atol=TOLERANCE * exact.abs().max().item(), msg=name
            )
        assert found[name].isfinite().all(), name


@pytest.mark.parametrize("bfloat16", [False, True])
def test_the_same_step_gives_the_same_bits(bfloat16: bool) -> None:
    model, fbank = lively(), torch.randn(2, 1, 16 * 40, 128)
    first, second = (
        results(lambda x: fused.fused_tokens(model, x), model, fbank, bfloat16=bfloat16) for _ in range(2)
    )
    for name in first:
        assert torch.equal(first[name], second[name]), name


def test_more_threads_than_work() -> None:
    model, fbank = lively(), torch.randn(1, 1, 16, 128)
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(16)
        plain, found = both(model, fbank)
    finally:
        torch.set_num_threads(threads)
    for name, exact in plain.items():
        torch.testing.assert_close(found[name], exact, rtol=1e-3, atol=TOLERANCE * exact.abs().max().item())


def test_a_nan_is_not_hidden() -> None:
    model, fbank = lively(), torch.randn(2, 1, 16 * 5, 128)
    fbank[1, 0, 40, 64] = float("nan")
    y = fused.fused_tokens(model, fbank)
    assert y[0].isfinite().all()
    assert y[1].isnan().all()


def test_values_far_out_overflow_nowhere() -> None:
    model, fbank = lively(), 1e4 * torch.randn(1, 1, 48, 128)
    with torch.no_grad():
        for block in model.blocks:
            block.att.w0 *= 200
            block.att.a0 += 200
            block.att.v0 -= 200
    plain, found = both(model, fbank)
    torch.testing.assert_close(found["tokens"], plain["tokens"], rtol=1e-3, atol=1e-3)
    assert all(x.isfinite().all() for x in found.values())


@pytest.mark.parametrize("reason", ["no numba", "no compiler", "float16"])
def test_where_they_cannot_run_the_plain_path_does(
    reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    model, fbank = lively(depth=1), torch.randn(1, 1, 32, 128)

    def fail(dtype: torch.dtype) -> None:
        raise ImportError("absent") if reason == "no numba" else RuntimeError("LLVM\nbroken")

    def never(*arguments: object) -> Tensor:
        raise AssertionError("the fused passes were called")

    fused.can_fuse.cache_clear()
    monkeypatch.setattr(grad_call, "prepare", fail)
    monkeypatch.setattr(fused, "fused_tokens", never)
    with caplog.at_level(logging.WARNING), torch.no_grad():
        if reason == "float16":
            with torch.autocast("cpu", torch.float16):
                torch.testing.assert_close(fused.training_tokens(model, fbank), model.tokens(fbank))
        else:
            for _ in range(2):
                torch.testing.assert_close(fused.training_tokens(model, fbank), model.tokens(fbank))
    fused.can_fuse.cache_clear()
    expected = {
        "no numba": "numba can't be imported (absent)",
        "no compiler": "(RuntimeError: broken)",
        "float16": "",
    }
    assert [expected[reason] in record.message for record in caplog.records] == [True] * (reason != "float16")


LANES = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
import test_training_fused as tests
from arwkv_kernels.vector_width import VALUES
plain, found = tests.both(tests.lively(depth=2), torch.randn(1, 1, 16 * 19, 128))
for name, exact in plain.items():
    torch.testing.assert_close(found[name], exact, rtol=1e-3, atol=2e-5 * exact.abs().max().item())
print(VALUES)
"""


@pytest.mark.parametrize("lanes", ["8", "16"])
def test_vectors_of_any_width(lanes: str) -> None:
    done = subprocess.run(
        [sys.executable, "-c", LANES, str(Path(__file__).parent)],
        env=os.environ | {"ARWKV_VECTOR_LANES": lanes},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == lanes

"""The form that works on two tokens at once, without the decays: where it begins, where it ends, where it can't be."""

import math

import kernel_cases as cases
import pytest
import torch
from torch import Tensor

from arwkv_kernels import bi_wkv7, reference, wkv7_sweep
from arwkv_kernels.pairs_layout import LEAST_DECAY, PAIRED_CHUNK

pytest.importorskip("numba")


@pytest.fixture(autouse=True)
def numba_backend(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "numba")


def check(inputs: list[Tensor] | tuple[Tensor, ...], tolerance: float = 2e-5) -> None:
    """Values, gradients and the state of one direction against the float64 reference."""
    leaves = [x.clone().requires_grad_() for x in inputs]
    dy = cases.incoming(*inputs[6].shape)
    y = bi_wkv7(*leaves)
    y.backward(dy)
    exact = [x.double() for x in inputs]
    cases.assert_close("y", y.detach(), reference.bi_wkv7(*exact), tolerance)
    gradients = reference.bi_wkv7_backward(dy.double(), *exact)
    for name, leaf, gradient in zip(cases.NAMES, leaves, gradients, strict=True):
        assert leaf.grad is not None
        cases.assert_close(f"d{name}", leaf.grad, gradient, tolerance)
    _, state = wkv7_sweep(*inputs[:6])
    start = torch.zeros_like(state).double()
    cases.assert_close("state", state, reference.wkv7_sweep(*exact[:6], start)[1], tolerance)


@pytest.mark.parametrize("tokens", [PAIRED_CHUNK + i for i in (-1, 0, 1, 2)] + [2 * PAIRED_CHUNK + 1])
def test_lengths_around_a_chunk(tokens: int) -> None:
    check(cases.inputs(1, tokens, 2))


@pytest.mark.parametrize("decay", [LEAST_DECAY * 1.0001, LEAST_DECAY * 0.9999, LEAST_DECAY / 2])
def test_decays_around_the_fastest_that_it_takes(decay: float) -> None:
    inputs = [x.clone() for x in cases.inputs(1, 2 * PAIRED_CHUNK + 5, 1)]
    inputs[1].fill_(math.log(-math.log(decay)))
    check(inputs)


@pytest.mark.parametrize("w", [30.0, 300.0, 2.0])
def test_one_token_in_one_channel_that_forgets_everything(w: float) -> None:
    """Its chunk is worked on in the plain form; the others, and the other head, are not."""
    inputs = [x.clone() for x in cases.inputs(1, 3 * PAIRED_CHUNK, 2)]
    inputs[1][0, PAIRED_CHUNK + 7, 0, 11] = w
    check(inputs)


def test_the_fastest_decays_of_the_model() -> None:
    check(cases.inputs(2, 3 * PAIRED_CHUNK + 3, 1, "fastest of the model"))


def test_no_decay_at_all() -> None:
    """Here dw vanishes, and with it what its errors would be held against: all others count."""
    check(cases.inputs(1, 2 * PAIRED_CHUNK, 1, "none"))

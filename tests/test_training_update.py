"""What follows the gradients of a step is the same in one pass as with torch's operations."""

import copy
import math
import os
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from torch import Tensor, nn

from arwkv_core.training import update as update_module
from arwkv_core.training.optimiser import make_optimisers, set_rates
from arwkv_core.training.recipe import OptimiserTable
from arwkv_core.training.student import RunningMean
from arwkv_core.training.update import Update

pytest.importorskip("numba")

from arwkv_kernels import update as native
from arwkv_kernels.update_layout import PIECE

SIZES = (1, 3, 31, 32, 33, 64, PIECE - 1, PIECE, PIECE + 1, 3 * PIECE + 37)
STEPS = 6


class Weights(nn.Module):
    """Vectors of odd sizes, two matrices, and one vector that never has a gradient."""

    def __init__(self) -> None:
        super().__init__()
        self.vectors = nn.ParameterList(nn.Parameter(torch.randn(size)) for size in SIZES)
        self.blocks = nn.ModuleList([nn.ModuleDict({"key": nn.Linear(24, 40)})])
        self.head = nn.Linear(7, 5)
        self.unused = nn.Parameter(torch.randn(11))


class Whole(nn.Module):
    """A network and a second head beside it, which has no running mean."""

    def __init__(self) -> None:
        super().__init__()
        self.network = Weights()
        self.imitate = nn.Linear(9, 4)


class Run:
    """Steps with made-up gradients."""

    def __init__(self, **table: object) -> None:
        torch.manual_seed(0)
        self.module = Whole()
        self.table = OptimiserTable(**{"steps": 10, "warm_up": 2, "ema": 0.9, "weight_decay": 0.1} | table)
        self.optimisers = make_optimisers(self.module, self.table)
        self.mean = RunningMean(self.module.network, self.table.ema)
        self.update = Update(
            self.module, self.optimisers, self.mean, self.module.network, self.table.clip_norm
        )

    def step(
        self, number: int, take: Callable[[int], float], change: Callable[[str, Tensor], Tensor | None]
    ) -> float:
        random = torch.Generator().manual_seed(number)
        for name, parameter in self.module.named_parameters():
            parameter.grad = None
            if name != "network.unused":
                parameter.grad = change(name, torch.randn(parameter.shape, generator=random))
        set_rates(self.optimisers, number, self.table)
        return take(number)

    def state(self) -> dict[str, Tensor]:
        """All that a run is made of, by name."""
        found = {name: value.detach() for name, value in self.module.named_parameters()}
        found |= {f"mean of {name}": value for name, value in self.mean.weights.items()}
        for i, optimiser in enumerate(self.optimisers):
            for number, state in optimiser.state_dict()["state"].items():
                found |= {f"{key} of weight {number} of optimiser {i}": x for key, x in state.items()}
        return {name: value.clone() for name, value in found.items()}


def unchanged(name: str, gradient: Tensor) -> Tensor | None:
    return gradient


def only_at_first(name: str, gradient: Tensor) -> Tensor | None:
    return None if "imitate" in name else gradient


@pytest.mark.parametrize("ema", [0.0, 0.3, 0.9])
@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize("clip_norm", [1e-3, 1e6])
def test_one_pass_is_what_torch_does(optimiser: str, clip_norm: float, ema: float) -> None:
    table = {"name": optimiser, "clip_norm": clip_norm, "ema": ema, "precision": "float32"}
    plain, found = Run(**table), Run(**table)
    for number in range(STEPS):
        change = only_at_first if number in (1, 4) else unchanged  # then that head is some steps behind
        norms = [run.step(number, take, change) for run, take in _both(plain, found)]
        assert math.isclose(*norms, rel_tol=1e-5)
    exact, state = plain.state(), found.state()
    assert state.keys() == exact.keys()
    for name, value in exact.items():
        torch.testing.assert_close(state[name], value, rtol=1e-5, atol=1e-6, msg=name)
    assert all(x.grad is None for x in found.module.parameters())


def _both(plain: Run, found: Run) -> list[tuple[Run, Callable[[int], float]]]:
    assert found.update._fits()
    return [(plain, plain.update.plain), (found, found.update)]


def test_without_an_exponential_mean_it_is_the_weights() -> None:
    run = Run(ema=0.0)
    run.step(0, run.update.at_once, unchanged)
    for name, parameter in run.module.network.named_parameters():
        assert torch.equal(run.mean.weights[name], parameter), name


@pytest.mark.parametrize("threads", [2, 7])
def test_the_same_bits_on_any_number_of_threads(threads: int) -> None:
    before = torch.get_num_threads()
    states = []
    try:
        for number in (1, threads):
            torch.set_num_threads(number)
            run = Run(clip_norm=0.1)
            for step in range(3):
                run.step(step, run.update.at_once, unchanged)
            states.append(run.state())
    finally:
        torch.set_num_threads(before)
    for name, value in states[0].items():
        assert torch.equal(states[1][name], value), name


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
@pytest.mark.parametrize("other", ["at_once", "plain"])
def test_a_run_goes_on_from_what_was_saved(optimiser: str, other: str) -> None:
    """To the bit with the same operations; and the state of torch's own is taken as well."""
    whole, first, second = (Run(name=optimiser) for _ in range(3))
    for step in range(STEPS):
        whole.step(step, whole.update.at_once, unchanged)
    for step in range(3):
        first.step(step, getattr(first.update, other), unchanged)
    second.module.load_state_dict(first.module.state_dict())
    for after, before in zip(second.optimisers, first.optimisers, strict=True):
        after.load_state_dict(copy.deepcopy(before.state_dict()))
    second.mean.weights = {name: value.clone() for name, value in first.mean.weights.items()}
    for step in range(3, STEPS):
        second.step(step, second.update.at_once, unchanged)
    for name, value in whole.state().items():
        if other == "at_once":
            assert torch.equal(second.state()[name], value), name
        else:
            torch.testing.assert_close(second.state()[name], value, rtol=1e-4, atol=1e-6, msg=name)


def test_gradients_of_any_strides() -> None:
    straight, crossed = Run(), Run()

    def across(name: str, gradient: Tensor) -> Tensor | None:
        return gradient.t().contiguous().t() if gradient.ndim == 2 else gradient

    straight.step(0, straight.update.at_once, unchanged)
    crossed.step(0, crossed.update.at_once, across)
    for name, value in straight.state().items():
        assert torch.equal(crossed.state()[name], value), name


@pytest.mark.parametrize("poison", [math.nan, math.inf])
@pytest.mark.parametrize("place", [0, 40, -1])
def test_a_gradient_that_is_no_number_shows(poison: float, place: int) -> None:
    plain, found = Run(), Run()

    def poisoned(name: str, gradient: Tensor) -> Tensor | None:
        if name.endswith("vectors.9"):
            gradient[place] = poison
        return gradient

    norms = [run.step(0, take, poisoned) for run, take in _both(plain, found)]
    assert str(norms[0]) == str(norms[1]) == str(poison)
    for name, value in plain.state().items():
        assert torch.equal(found.state()[name].isfinite(), value.isfinite()), name


@pytest.mark.parametrize("optimiser", ["adamw", "muon"])
def test_no_gradient_at_all(optimiser: str) -> None:
    plain, found = Run(name=optimiser), Run(name=optimiser)
    for run, take in _both(plain, found):
        assert run.step(0, take, lambda name, gradient: None) == 0
    for name, value in plain.state().items():
        torch.testing.assert_close(found.state()[name], value, msg=name)


LANES = """
import sys
sys.path.insert(0, sys.argv[1])
import test_training_update as tests
from arwkv_kernels.vector_width import VALUES
tests.test_one_pass_is_what_torch_does("adamw", 1e-3, 0.9)
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


@pytest.mark.parametrize("reason", ["no numba", "no compiler", "float64"])
def test_where_it_cannot_run_torch_does(
    reason: str, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    def fail() -> None:
        raise ImportError("absent") if reason == "no numba" else RuntimeError("LLVM\nbroken")

    run = Run()
    update_module.can_update_at_once.cache_clear()
    if reason == "float64":
        run.module.double()
    else:
        monkeypatch.setattr(native, "prepare", fail)
    assert [run.update._fits() for _ in range(2)] == [False, False]
    update_module.can_update_at_once.cache_clear()
    expected = {"no numba": "numba can't be imported (absent)", "no compiler": "(RuntimeError: broken)"}
    assert [expected[reason] in record.message for record in caplog.records] == [True] * (reason != "float64")

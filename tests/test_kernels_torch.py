"""The backend in plain torch: stretches, chunks, and what is easily lost on the way to matrix products."""

import math
from collections.abc import Iterator

import kernel_cases as cases
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st
from torch import Tensor

from arwkv_kernels import (
    bi_wkv7,
    reference,
    torch_chunked,
    torch_chunks,
    torch_parts,
    torch_quotients,
    torch_scan,
    torch_scratch,
    torch_script,
    torch_stretch,
    torch_way,
    wkv7_sweep,
)
from arwkv_kernels.workspace import free_workspaces


@pytest.fixture(autouse=True, params=["many parts", "one part", "from Python"])
def torch_backend(request: pytest.FixtureRequest, monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    """Sequences in one part or as many as can be, where torch compiles what a part is; or as if it could not."""
    monkeypatch.setenv("ARWKV_BACKEND", "torch")
    threads = torch.get_num_threads()
    if request.param == "from Python":
        monkeypatch.setattr(torch_chunked, "compiled", lambda way: None)
    elif request.param == "many parts":
        monkeypatch.setattr(torch_parts, "LEAST_ELEMENTS", 1)
        torch.set_num_threads(4)
    else:
        torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def short_stretches(monkeypatch: pytest.MonkeyPatch) -> None:
    """One span a stretch: all that is carried from one to the next is."""
    monkeypatch.setattr(torch_stretch, "ELEMENTS_CPU", 1)


def values_and_gradients(inputs: tuple[Tensor, ...], dy: Tensor) -> tuple[Tensor, ...]:
    leaves = [x.detach().clone().requires_grad_() for x in inputs]
    y = bi_wkv7(*leaves)
    return (y.detach(), *torch.autograd.grad(y, leaves, dy))


def assert_as_the_reference(inputs: tuple[Tensor, ...], dy: Tensor, tolerance: float = 2e-5) -> None:
    exact = [x.double() for x in inputs]
    wanted = (reference.bi_wkv7(*exact), *reference.bi_wkv7_backward(dy.double(), *exact))
    for name, x, z in zip(("y", *cases.NAMES), values_and_gradients(inputs, dy), wanted, strict=True):
        cases.assert_close(name, x, z, tolerance)


@pytest.mark.usefixtures("short_stretches")
@pytest.mark.parametrize("decay", [*cases.DECAYS])
@pytest.mark.parametrize("tokens", [16, 32, 33, 49, 95, 128])
def test_many_stretches(tokens: int, decay: str) -> None:
    shape, cpu = torch.Size((2, tokens, 2, 64)), torch.device("cpu")
    for part in torch_parts.parts(shape, (False, True), 4):
        assert torch_stretch.stretch_count(torch_stretch.places(shape, part, cpu)) == -(-tokens // 32)
    assert_as_the_reference(cases.inputs(2, tokens, 2, decay), cases.incoming(2, tokens, 2))


@pytest.mark.usefixtures("short_stretches")
def test_a_long_sequence() -> None:
    assert_as_the_reference(cases.inputs(1, 496, 1), cases.incoming(1, 496, 1))


@pytest.mark.parametrize("reverse", [False, True])
@pytest.mark.usefixtures("short_stretches")
def test_a_sweep_of_many_stretches(reverse: bool) -> None:
    *inputs, _ = cases.inputs(2, 95, 2)
    state = torch.randn(2, 2, 64, 64, generator=torch.Generator().manual_seed(0))
    exact = reference.wkv7_sweep(*(x.double() for x in (*inputs, state)), reverse)
    for name, x, z in zip(("y", "state"), wkv7_sweep(*inputs, state, reverse), exact, strict=True):
        cases.assert_close(name, x, z, 2e-5)


def test_double_precision() -> None:
    exact = cases.in_dtype(cases.inputs(1, 33, 2), torch.float64)
    assert_as_the_reference(exact, cases.incoming(1, 33, 2).double(), 1e-12)


def test_tokens_that_are_all_alike() -> None:
    """Each takes out what the one before has put in: powers of the matrix of their products would be huge."""
    r, w, k, v, a, _, gate = (x[:, :1].expand(-1, 64, *x.shape[2:]).double() for x in cases.inputs(1, 64, 2))
    alike = (r, torch.full_like(w, -6.0), k, v, a, -a, gate)
    # in float64: with float32, the gradient by b is off by 8e-5 in the reference itself
    assert_as_the_reference(alike, cases.incoming(1, 64, 2).double(), 1e-11)


def test_decays_of_every_kind_in_one_chunk() -> None:
    """Channels that forget everything beside such that forget nothing, at some tokens only."""
    r, w, k, v, a, b, gate = cases.inputs(1, 33, 2)
    kinds = torch.tensor([-60.0, -0.5, 2.0, 4.4, 30.0, 300.0])
    picked = torch.randint(0, 6, w.shape, generator=torch.Generator().manual_seed(3))
    assert_as_the_reference((r, kinds[picked], k, v, a, b, gate), cases.incoming(1, 33, 2))


@pytest.mark.parametrize("decay", ["trained", "fastest of the model", "none"])
def test_halves_do_for_all_decays(decay: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_quotients, "longest_span", lambda w: 0)
    assert_as_the_reference(cases.inputs(2, 47, 2, decay), cases.incoming(2, 47, 2))


@pytest.mark.parametrize("step", [-1e-4, 1e-4])
def test_either_side_of_the_least_decay_for_quotients(step: float) -> None:
    r, w, k, v, a, b, gate = cases.inputs(1, 47, 2)
    most = math.log(-math.log(torch_quotients.LEAST) / torch_chunks.CHUNK)
    mixed = torch.where(w < w.median(), most + step, w)
    assert torch_quotients.longest_span(mixed) == (1 if step < 0 else 0)
    dy = cases.incoming(1, 47, 2)
    assert_as_the_reference((r, torch.full_like(w, most + step), k, v, a, b, gate), dy)
    assert_as_the_reference((r, mixed, k, v, a, b, gate), dy)


def test_the_model_s_decays_all_share_scales_alike() -> None:
    """So that the bits of a sequence do not depend on those beside it, NaN or not."""
    model_s = torch.tensor([-0.5, -9.0])
    spans = {
        torch_quotients.longest_span(x) for x in (model_s, model_s[:1], model_s[1:], torch.tensor([-1e9]))
    }
    assert spans == {torch_quotients.SPAN}
    assert torch_quotients.longest_span(torch.tensor([-0.5, math.nan])) == torch_quotients.SPAN
    assert torch_quotients.longest_span(torch.tensor([math.inf, math.nan])) == 0


@pytest.mark.parametrize("chunks", [2, 3, 4])
@pytest.mark.parametrize("tokens", [16, 47, 161])
def test_chunks_that_share_a_scale(tokens: int, chunks: int, monkeypatch: pytest.MonkeyPatch) -> None:
    """The fastest decay for so many of them, in spans that the sequence fills and others that it does not."""
    monkeypatch.setattr(torch_quotients, "SPAN", 4)
    r, w, k, v, a, b, gate = cases.inputs(1, tokens, 2)
    most = math.log(-math.log(torch_quotients.LEAST) / (chunks * torch_chunks.CHUNK)) - 1e-4
    mixed = torch.where(w < w.median(), most, w.clamp(max=most))
    assert torch_quotients.longest_span(mixed) == chunks
    dy = cases.incoming(1, tokens, 2)
    assert_as_the_reference((r, torch.full_like(w, most), k, v, a, b, gate), dy)
    assert_as_the_reference((r, mixed, k, v, a, b, gate), dy)


def test_a_decay_before_which_nothing_was_has_no_gradient() -> None:
    leaves = [x[:, :1].clone().requires_grad_() for x in cases.inputs(2, 2, 2)]
    bi_wkv7(*leaves).sum().backward()
    assert leaves[1].grad is not None
    assert torch.equal(leaves[1].grad, torch.zeros_like(leaves[1]))


def test_results_do_not_lie_in_memory_that_is_used_again() -> None:
    *inputs, gate = cases.inputs(1, 33, 2)
    state, dy = torch.randn(1, 2, 64, 64), cases.incoming(1, 33, 2)
    results = (*wkv7_sweep(*inputs, state, True), *values_and_gradients((*inputs, gate), dy))
    before = [x.clone() for x in results]
    values_and_gradients(tuple(torch.ones_like(x) for x in (*inputs, gate)), torch.ones_like(dy))
    assert all(torch.equal(x, y) for x, y in zip(results, before, strict=True))


def test_gradients_after_inference_mode() -> None:
    """Memory and masks that were first made there are of use outside, too."""
    for constant in (torch_chunks.constants, torch_stretch.rows_of):
        constant.cache_clear()
    free_workspaces()
    inputs, dy = cases.inputs(1, 33, 2), cases.incoming(1, 33, 2)
    with torch.inference_mode():
        y = bi_wkv7(*inputs)
    assert torch.equal(values_and_gradients(inputs, dy)[0], y)


def test_what_is_forgotten_is_gone() -> None:
    """A decay of 0 is exactly 0, however large what it ends was."""
    r, w, k, v, a, b, gate = (x.clone() for x in cases.inputs(1, 16, 1))
    gate[:] = 1
    clean = bi_wkv7(r, torch.full_like(w, 30.0), k, v, a, b, gate)
    v[:, 0] *= 1e30
    found = bi_wkv7(r, torch.full_like(w, 30.0), k, v, torch.zeros_like(a), b, gate)
    r, w, k, v, b, gate = (x[:, 1:] for x in (r, w, k, v, b, gate))
    alone = bi_wkv7(r, torch.full_like(w, 30.0), k, v, torch.zeros_like(r), b, gate)
    assert clean.isfinite().all()
    cases.assert_close("y", found[:, 1:], alone, 2e-5)


def test_autocast_leaves_it_exact() -> None:
    inputs, dy = cases.inputs(1, 33, 2), cases.incoming(1, 33, 2)
    plain = values_and_gradients(inputs, dy)
    leaves = [x.clone().requires_grad_() for x in inputs]
    with torch.autocast("cpu", torch.bfloat16):
        y = bi_wkv7(*leaves)
        gradients = torch.autograd.grad(y, leaves, dy)
    for name, x, z in zip(("y", *cases.NAMES), (y.detach(), *gradients), plain, strict=True):
        assert torch.equal(x, z), f"{name} differs"


def test_values_have_the_same_bits_beside_others(monkeypatch: pytest.MonkeyPatch) -> None:
    """Whatever else is in the batch, and however it is cut into stretches."""
    inputs = cases.inputs(2, 161, 3)
    together = bi_wkv7(*inputs)
    assert torch.equal(torch.cat([bi_wkv7(*(x[i : i + 1] for x in inputs)) for i in range(2)]), together)
    monkeypatch.setattr(torch_stretch, "ELEMENTS_CPU", 1)
    assert torch.equal(bi_wkv7(*inputs), together)


def test_the_same_bits_every_time() -> None:
    inputs, dy = cases.inputs(2, 49, 3), cases.incoming(2, 49, 3)
    for x, z in zip(values_and_gradients(inputs, dy), values_and_gradients(inputs, dy), strict=True):
        assert torch.equal(x, z)


def test_the_inverse_is_that_of_substitution() -> None:
    strict = torch.randn(5, 16, 16, dtype=torch.float64, generator=torch.Generator().manual_seed(0)).tril(-1)
    one = torch.eye(16, dtype=torch.float64)
    exact = torch.linalg.solve_triangular(one - strict, one.expand(5, -1, -1), upper=False)
    constants = torch_chunks.constants(16, torch.float64, torch.device("cpu"))
    with torch_scratch.scratch_memory(1 << 14, torch.float64, torch.device("cpu")) as scratch:
        cases.assert_close("inverse", torch_chunks.inverse(strict, constants, scratch), exact, 1e-13)


@given(
    shape=st.tuples(*(st.integers(1, 9) for _ in range(3))),
    directions=st.sampled_from([(False,), (True,), (False, True)]),
    threads=st.integers(1, 40),
)
def test_parts_are_all_and_no_more(
    shape: tuple[int, int, int], directions: tuple[bool, ...], threads: int
) -> None:
    size = torch.Size((*shape, 64))
    found = torch_parts.parts(size, directions, threads)
    assert len(found) <= max(threads, 1)
    seen = torch.zeros(len(directions), *size)
    for part in found:
        part.of(seen).add_(1)
        assert part.directions == directions[slice(*part.sides)]
        assert part.of(seen)[:, :, 0, :, 0].numel() == part.breadth
    assert (seen == 1).all()


def test_small_sequences_stay_on_one_thread(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.undo()
    assert len(torch_parts.parts(torch.Size((1, 5, 3, 64)), (False, True), 8)) == 1
    assert len(torch_parts.parts(torch.Size((1, 4096, 3, 64)), (False, True), 8)) == 6


def test_pieces_that_are_cut_once_lie_where_they_would_be_cut_now(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch_chunked, "compiled", lambda way: None)
    monkeypatch.setattr(torch_stretch, "ELEMENTS_CPU", 1 << 12)
    in_turn = torch_scratch.in_turn
    found: list[str] = []

    def checked(
        scratch: torch_scratch.Scratch, name: str, x: Tensor, sequences: int, reverse: bool
    ) -> list[Tensor]:
        found.append(name)
        given = in_turn(scratch, name, x, sequences, reverse)
        wanted = x.view(-1, sequences, *x.shape[1:]).unbind()[:: -1 if reverse else 1]
        for piece, now in zip(given, wanted, strict=True):
            assert (piece.data_ptr(), piece.stride()) == (now.data_ptr(), now.stride()), name
        return given

    monkeypatch.setattr(torch_scan, "in_turn", checked)
    for decay in ("trained", "total"):
        for tokens in (33, 161):
            values_and_gradients(cases.inputs(2, tokens, 2, decay), cases.incoming(2, tokens, 2))
    assert len(set(found)) == 17


@pytest.mark.parametrize("failure", [OSError("no source"), RuntimeError("unsupported"), None])
def test_where_torch_has_no_compiler(failure: Exception | None, monkeypatch: pytest.MonkeyPatch) -> None:
    """It may lack the sources, be too new a Python, or be turned off: what comes out is the same."""
    monkeypatch.undo()
    monkeypatch.setenv("ARWKV_BACKEND", "torch")
    inputs, dy = cases.inputs(1, 49, 2), cases.incoming(1, 49, 2)
    expected = values_and_gradients(inputs, dy)

    def script(function: object) -> object:
        if failure is not None:
            raise failure
        return function

    monkeypatch.setattr(torch.jit, "script", script)
    torch_script._compiled.cache_clear()
    try:
        assert torch_script.compiled(torch_way.values) is None
        found = values_and_gradients(inputs, dy)
    finally:
        torch_script._compiled.cache_clear()
    for name, x, z in zip(("y", *cases.NAMES), found, expected, strict=True):
        assert torch.equal(x, z), f"{name} differs"


def test_that_torch_is_to_give_up_its_compiler_is_no_concern_of_users(
    recwarn: pytest.WarningsRecorder,
) -> None:
    torch_script._compiled.cache_clear()
    values_and_gradients(cases.inputs(1, 33, 2), cases.incoming(1, 33, 2))
    assert not recwarn.list

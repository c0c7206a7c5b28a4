"""The fused passes give what the plain network gives, in every precision, for any length."""

import os
import subprocess
import sys
import threading
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_models import random_model
from torch import Tensor

from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import load_model
from arwkv_core.fused_network import Buffers, FusedNetwork
from arwkv_core.inference import Inference
from arwkv_core.model import ARWKV
from arwkv_kernels.block import MixWeights, ShiftWeights, row_floats, shift, time_mix

pytest.importorskip("numba")

DATA = Path(__file__).parent / "data"
TOLERANCE = {"fp32": 2e-5, "bf16": 3e-2, "int8": 8e-2}  # of the largest value
GOLDEN_TOLERANCE = {"fp32": 2e-4, "bf16": 5e-2}  # absolute, of logits


def log_mels(steps: int, batch: int = 1) -> Tensor:
    return torch.randn((batch, 1, 16 * steps, 128), generator=torch.Generator().manual_seed(steps))


def assert_close(name: str, found: Tensor, expected: Tensor, tolerance: float) -> None:
    assert found.shape == expected.shape, name
    assert found.isfinite().all(), name
    error = ((found - expected).abs().max() / expected.abs().max()).item()
    assert error <= tolerance, f"{name} is off by {error:.2g} of its largest value"


@pytest.fixture(scope="module")
def model() -> ARWKV:
    return random_model(Architecture(depth=3, width=128, classes=5, position="frequency"))


@pytest.mark.parametrize("precision", TOLERANCE)
@pytest.mark.parametrize(("steps", "batch"), [(1, 1), (2, 3), (15, 1), (16, 2), (31, 1), (63, 2), (200, 1)])
def test_any_length(model: ARWKV, precision: str, steps: int, batch: int) -> None:
    fbank = log_mels(steps, batch)
    network, buffers = FusedNetwork(model, precision), Buffers()
    with torch.inference_mode():
        found = network.tokens(fbank, buffers).clone()
        assert_close("tokens", found, model.tokens(fbank), TOLERANCE[precision])
        embeddings = network.step_embeddings(fbank, buffers)
        assert_close("embeddings", embeddings, model.step_embeddings(fbank), TOLERANCE[precision])


@pytest.mark.parametrize(("depth", "width"), [(1, 64), (2, 192), (2, 448)])
def test_any_shape_of_network(depth: int, width: int) -> None:
    model = random_model(Architecture(depth=depth, width=width, classes=5, position="frequency"))
    with torch.inference_mode():
        found = FusedNetwork(model, "fp32").tokens(log_mels(9), Buffers())
        assert_close("tokens", found, model.tokens(log_mels(9)), TOLERANCE["fp32"])


@pytest.mark.parametrize("precision", GOLDEN_TOLERANCE)
def test_the_published_definition(precision: str) -> None:
    tiny = load_model(DATA / "tiny.pth")[0]
    with np.load(DATA / "tiny_io.npz") as golden:
        fbank, expected = (torch.from_numpy(golden[name]) for name in ("fbank", "logits"))
    with torch.inference_mode():
        tokens = FusedNetwork(tiny, precision).tokens(fbank, Buffers())
        logits = tiny.head(tiny.ln_out(tokens.mean((1, 2))))
    torch.testing.assert_close(logits, expected, rtol=0, atol=GOLDEN_TOLERANCE[precision])


def test_what_a_buffer_holds_does_not_matter(model: ARWKV, monkeypatch: pytest.MonkeyPatch) -> None:
    network, fresh = FusedNetwork(model, "bf16"), Buffers()
    with torch.inference_mode():
        expected = network.tokens(log_mels(20), fresh).clone()
        take = Buffers.take
        monkeypatch.setattr(Buffers, "take", lambda *given: take(*given).fill_(float("nan")))
        assert torch.equal(network.tokens(log_mels(20), fresh), expected)
        assert torch.equal(network.tokens(log_mels(20), Buffers()), expected)


def test_a_longer_window_leaves_nothing_to_a_shorter_one(model: ARWKV) -> None:
    network, buffers = FusedNetwork(model, "fp32"), Buffers()
    with torch.inference_mode():
        expected = network.tokens(log_mels(7), Buffers()).clone()
        network.tokens(log_mels(40, 2), buffers)
        assert torch.equal(network.tokens(log_mels(7), buffers), expected)


@pytest.mark.parametrize("threads", [1, 2, 5])
@pytest.mark.parametrize("windows", [1, 2, 3])
def test_windows_side_by_side_are_windows_alone(model: ARWKV, threads: int, windows: int) -> None:
    before = torch.get_num_threads()
    fbank = log_mels(12, windows)
    network = Inference(model, "bf16")
    try:
        torch.set_num_threads(1)
        with torch.inference_mode():
            alone = torch.cat([network.step_embeddings(window) for window in fbank.split(1)])
            torch.set_num_threads(threads)
            assert torch.equal(network.step_embeddings(fbank), alone)
            assert torch.get_num_threads() == threads
    finally:
        torch.set_num_threads(before)


@pytest.mark.parametrize("threads", [2, 3, 5])
def test_threads_that_work_side_by_side_have_no_others_help_them(model: ARWKV, threads: int) -> None:
    """They would be more than there are cores, and wait for one another at each product."""
    before = torch.get_num_threads()
    fbank = log_mels(12, 5)
    seen = []

    def finish(embeddings: Tensor) -> Tensor:
        seen.append((threading.get_ident(), torch.get_num_threads()))
        return embeddings

    try:
        torch.set_num_threads(threads)
        Inference(model, "fp32").run(fbank, torch.clone, finish)
    finally:
        torch.set_num_threads(before)
    assert len(seen) == 5
    assert threading.get_ident() not in {thread for thread, _ in seen}
    assert {count for _, count in seen} == {1}


def test_what_is_done_before_and_after_is_done_to_each_window(model: ARWKV) -> None:
    fbank = log_mels(12, 3)
    network = Inference(model, "fp32")
    with torch.inference_mode():
        expected = network.step_embeddings(fbank - 1)[:, :4] * 2
        found = network.run(fbank, lambda x: x - 1, lambda x: x[:, :4] * 2)
    assert torch.equal(torch.cat(found), expected)


def test_a_window_that_is_no_number_spoils_no_other(model: ARWKV) -> None:
    fbank = log_mels(12, 3)
    network = Inference(model, "bf16")
    with torch.inference_mode():
        expected = network.step_embeddings(fbank)
        fbank[1, 0, 40] = float("nan")
        found = network.step_embeddings(fbank)
    assert found[1].isnan().any()
    assert torch.equal(found[[0, 2]], expected[[0, 2]])


def test_several_threads_of_the_caller(model: ARWKV) -> None:
    network = Inference(model, "bf16")
    inputs = [log_mels(10 + i, 2) for i in range(4)]
    with torch.inference_mode():
        expected = [network.step_embeddings(x) for x in inputs]
    found: list[Tensor | None] = [None] * 4

    def work(i: int) -> None:
        for _ in range(5):
            with torch.inference_mode():
                found[i] = network.step_embeddings(inputs[i])

    callers = [threading.Thread(target=work, args=(i,)) for i in range(4)]
    for caller in callers:
        caller.start()
    for caller in callers:
        caller.join()
    for x, y in zip(found, expected, strict=True):
        assert x is not None
        assert torch.equal(x, y)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_runs_windows_too(model: ARWKV) -> None:
    network = Inference(model, "fp32")
    fbank = log_mels(12, 2)
    with torch.inference_mode():
        expected = network.step_embeddings(fbank)
    child = os.fork()
    if child == 0:
        code = 1
        try:
            torch.set_num_threads(2)
            with torch.inference_mode():
                code = 0 if torch.equal(network.step_embeddings(fbank), expected) else 2
        finally:
            os._exit(code)
    _, status = os.waitpid(child, 0)
    assert os.waitstatus_to_exitcode(status) == 0


@pytest.mark.parametrize("scale", [0.0, 1.0, 1e4])
@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_extreme_products_stay_numbers(scale: float, dtype: torch.dtype) -> None:
    """Decays from none to all, rates from 0 to 1, keys without length."""
    tokens, width = 35, 128
    random = torch.Generator().manual_seed(0)
    products = [scale * torch.randn(1, tokens, width, generator=random) for _ in range(7)]
    products[4] = products[4].clamp(-30, 30)
    vectors = [torch.randn(width, generator=random) for _ in range(8)]
    out = torch.full((1, tokens, width), float("nan"), dtype=dtype)
    rows = torch.full((row_floats(1, tokens, width),), float("nan"))
    gate = 50 * torch.randn(1, tokens, 2, generator=random)
    time_mix(
        tuple(x.to(dtype) for x in products), products[2].to(dtype), gate, MixWeights(*vectors), rows, out
    )
    assert out.isfinite().all()


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
@pytest.mark.parametrize("tokens", [1, 33, 64])
def test_one_thread_gives_what_several_give(tokens: int, dtype: torch.dtype) -> None:
    sequences, width = 2, 192
    random = torch.Generator().manual_seed(0)
    products = tuple(torch.randn(sequences, tokens, width, generator=random).to(dtype) for _ in range(7))
    weights = MixWeights(*(torch.randn(width, generator=random) for _ in range(8)))
    gate = torch.randn(sequences, tokens, 3, generator=random)
    found = []
    before = torch.get_num_threads()
    try:
        for threads in (1, 2, 5):
            torch.set_num_threads(threads)
            out = torch.full((sequences, tokens, width), float("nan"), dtype=dtype)
            rows = torch.full((row_floats(sequences, tokens, width),), float("nan"))
            time_mix(products, products[2], gate, weights, rows, out)
            found.append(out)
    finally:
        torch.set_num_threads(before)
    assert found[0].isfinite().all()
    assert torch.equal(found[0], found[1])
    assert torch.equal(found[0], found[2])


def test_the_shift_adds_what_is_pending_once() -> None:
    random = torch.Generator().manual_seed(0)
    x, pending = (torch.randn(2, 40, 8, 64, generator=random) for _ in range(2))
    weights = ShiftWeights(torch.ones(64), torch.zeros(64), torch.zeros(9, 64), torch.zeros(1, 64))
    new_x, out = torch.full_like(x, float("nan")), torch.full((1, *x.shape), float("nan"))
    shift(x, pending, weights, new_x, out, None)
    torch.testing.assert_close(new_x, x + pending)
    torch.testing.assert_close(out[0], torch.nn.functional.layer_norm(x + pending, (64,)))


LANES_PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import torch
from fake_models import random_model
from arwkv_core.architecture import Architecture
from arwkv_core.fused_network import Buffers, FusedNetwork
model = random_model(Architecture(depth=2, width=128, classes=5, position="frequency"))
fbank = torch.randn((1, 1, 16 * 11, 128), generator=torch.Generator().manual_seed(1))
with torch.inference_mode():
    expected = model.tokens(fbank)
    for precision, tolerance in (("fp32", 2e-5), ("bf16", 3e-2)):
        found = FusedNetwork(model, precision).tokens(fbank, Buffers())
        error = ((found - expected).abs().max() / expected.abs().max()).item()
        assert error <= tolerance, f"{precision} is off by {error:.2g}"
"""


@pytest.mark.parametrize("lanes", ["8", "16"])
def test_vectors_of_any_width(lanes: str) -> None:
    command = [sys.executable, "-c", LANES_PROGRAM, str(Path(__file__).parent)]
    environment = os.environ | {"ARWKV_VECTOR_LANES": lanes}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)
    assert done.returncode == 0, done.stderr

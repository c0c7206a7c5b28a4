"""The network in chunks is the network: any length, any chunk, any pieces."""

import gc

import pytest
import torch
from fake_models import random_model
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor
from torch.nn import Parameter

from arwkv_core.architecture import Architecture
from arwkv_core.full_context import FullContext
from arwkv_core.model import ARWKV

ARCH = Architecture(depth=3, width=128, classes=5, position="frequency")


@pytest.fixture(scope="module")
def model() -> ARWKV:
    return random_model(ARCH)


def log_mels(steps: int, batch: int = 1) -> Tensor:
    return torch.randn((batch, 1, 16 * steps, 128), generator=torch.Generator().manual_seed(steps))


def assert_same(found: Tensor, expected: Tensor) -> None:
    assert found.shape == expected.shape
    assert (found - expected).abs().max() <= 1e-5 * expected.abs().max()


@settings(max_examples=25)
@given(
    steps=st.integers(1, 40),
    chunk=st.integers(1, 45),
    batch=st.integers(1, 2),
    piece=st.integers(1, 700),
)
def test_chunks_of_any_length_give_the_plain_network(
    model: ARWKV, steps: int, chunk: int, batch: int, piece: int
) -> None:
    fbank = log_mels(steps, batch)
    run = FullContext(model, chunk)
    for part in fbank.split(piece, dim=2):
        run.push(part)
    found = list(run.step_embeddings())
    assert [x.shape[1] for x in found] == [
        *[chunk] * (steps // chunk),
        *[steps % chunk] * (steps % chunk > 0),
    ]
    with torch.no_grad():
        assert_same(torch.cat(found, 1), model.step_embeddings(fbank))


@pytest.mark.parametrize("steps", [1, 123, 124, 125, 249])
def test_the_chunk_that_is_used(steps: int) -> None:
    model = random_model(Architecture(depth=2, width=64, classes=5, position="frequency"))
    run = FullContext(model)
    run.push(log_mels(steps))
    with torch.no_grad():
        assert_same(torch.cat(list(run.step_embeddings()), 1), model.step_embeddings(log_mels(steps)))


def test_a_network_of_one_block() -> None:
    model = random_model(Architecture(depth=1, width=64, classes=5, position="frequency"))
    run = FullContext(model, 3)
    run.push(log_mels(10))
    with torch.no_grad():
        assert_same(torch.cat(list(run.step_embeddings()), 1), model.step_embeddings(log_mels(10)))


@pytest.mark.skipif(not torch.cuda.is_available(), reason="this machine has no CUDA device")
def test_another_device(model: ARWKV) -> None:
    there = random_model(ARCH).to("cuda")
    run = FullContext(there, 4)
    run.push(log_mels(10).to("cuda"))
    found = torch.cat(list(run.step_embeddings()), 1)
    assert found.device.type == "cuda"
    with torch.no_grad():
        expected = model.step_embeddings(log_mels(10))
    assert (found.cpu() - expected).abs().max() <= 1e-3 * expected.abs().max()  # TF32, other sums


def test_every_step_hears_the_whole_recording(model: ARWKV) -> None:
    """A change in the last step reaches the first, and the other way round, over many chunks."""

    def embeddings(fbank: Tensor) -> Tensor:
        run = FullContext(model, 2)
        run.push(fbank)
        return torch.cat(list(run.step_embeddings()), 1)[0]

    plain, early, late = log_mels(11), log_mels(11), log_mels(11)
    early[:, :, :16] += 1
    late[:, :, -16:] += 1
    expected = embeddings(plain)
    assert ((embeddings(early) - expected).abs().amax(1) > 0).all()
    assert ((embeddings(late) - expected).abs().amax(1) > 0).all()


def test_progress_rises_to_one(model: ARWKV) -> None:
    run = FullContext(model, 2)
    run.push(log_mels(11))
    seen: list[float] = []
    for _ in run.step_embeddings(seen.append):
        pass
    assert seen == sorted(seen)
    assert len(seen) == 2 * ARCH.depth * 6
    assert 0 < seen[0] < 0.05
    assert seen[-1] == pytest.approx(1)


def floats_alive() -> int:
    """In all tensors that Python holds, storage by storage.

    Weights that oneDNN has packed have no storage, nor have the fake tensors that other tests may have left behind.
    """
    tensors = [x for x in gc.get_objects() if type(x) in (Tensor, Parameter) and x.layout == torch.strided]
    storages = [x.untyped_storage() for x in tensors]
    return sum({storage.data_ptr(): storage.nbytes() for storage in storages}.values()) // 4


def test_only_three_arrays_of_the_input_are_held(model: ARWKV) -> None:
    """The residual stream, the first value and the backward output, besides some dozens of arrays of a chunk."""
    steps, chunk = 800, 4
    run = FullContext(model, chunk)
    before = floats_alive()
    for _ in range(steps // 50):
        run.push(log_mels(50))
    calls, found = 0, []

    def look(_: float) -> None:
        nonlocal calls
        calls += 1
        if calls % 97 == 0:
            found.append(floats_alive() - before)

    for _ in run.step_embeddings(look):
        pass
    array, of_a_chunk = steps * 8 * ARCH.width, chunk * 8 * ARCH.width
    assert len(found) >= 10
    assert 3 * array <= max(found) < 3 * array + 60 * of_a_chunk


def test_no_gradients_are_recorded(model: ARWKV) -> None:
    run = FullContext(model, 2)
    run.push(log_mels(5))
    assert not any(x.requires_grad for x in run.step_embeddings())
    assert torch.is_grad_enabled()


def test_what_can_not_be_run_is_refused(model: ARWKV) -> None:
    bound = random_model(Architecture(depth=1, width=64, classes=5, position="absolute", frames=32))
    with pytest.raises(ValueError, match="position: expected 'frequency', found 'absolute'"):
        FullContext(bound)
    with pytest.raises(ValueError, match="chunk_steps: expected at least 1, found 0"):
        FullContext(model, 0)
    with pytest.raises(ValueError, match="expected at least one step"):
        list(FullContext(model).step_embeddings())
    run = FullContext(model)
    run.push(log_mels(2)[:, :, :17])
    with pytest.raises(ValueError, match="multiple of 16 frames, found 17"):
        list(run.step_embeddings())

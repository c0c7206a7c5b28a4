"""Working memory is lent to one borrower at a time, kept within bounds, and never shared with a forked child."""

import os
import threading
from concurrent.futures import ThreadPoolExecutor

import kernel_cases as cases
import pytest
import torch

from arwkv_kernels import bi_wkv7, workspace
from arwkv_kernels.huge_pages import PAGE_BYTES, ask_for_huge_pages


@pytest.fixture(autouse=True)
def nothing_kept() -> None:
    workspace.free_workspaces()


def kept_bytes() -> int:
    return sum(x.numel() for x in workspace._kept)


@pytest.mark.parametrize("floats", [1, 1000, PAGE_BYTES // 4, 3 * PAGE_BYTES // 4 + 5])
def test_memory_is_as_large_and_as_aligned_as_was_said(floats: int) -> None:
    with workspace.workspace(floats) as memory:
        assert memory.shape == (floats,)
        assert memory.dtype == torch.float32
        assert memory.data_ptr() % (PAGE_BYTES if 4 * floats >= PAGE_BYTES else 64) == 0
        memory.fill_(1)


def test_memory_is_lent_again() -> None:
    with workspace.workspace(100_000) as memory:
        first = memory.data_ptr()
    with workspace.workspace(90_000) as memory:
        assert memory.data_ptr() == first
        with workspace.workspace(90_000) as other:
            assert other.data_ptr() != first
    assert len(workspace._kept) == 2


def test_a_piece_far_too_large_is_not_taken() -> None:
    with workspace.workspace(4_000_000):
        pass
    with workspace.workspace(1000):
        pass
    assert len(workspace._kept) == 2


def test_memory_comes_back_after_an_error() -> None:
    with pytest.raises(KeyError), workspace.workspace(1000):
        raise KeyError
    assert len(workspace._kept) == 1


def test_what_is_kept_is_bounded_and_can_be_freed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(workspace, "MOST_KEPT_BYTES", 1 << 20)
    with workspace.workspace(1 << 20):
        pass
    assert kept_bytes() == 0, "larger than all that may be kept"
    pieces = [workspace.workspace(60_000) for _ in range(6)]
    for piece in pieces:
        piece.__enter__()
    for piece in pieces:
        piece.__exit__(None, None, None)
    assert 0 < kept_bytes() <= 1 << 20
    workspace.free_workspaces()
    assert kept_bytes() == 0


def test_no_two_threads_have_the_same_memory() -> None:
    ready = threading.Barrier(4)

    def use(number: int) -> bool:
        for _ in range(50):
            with workspace.workspace(1000) as memory:
                memory.fill_(number)
                ready.wait()
                if not bool((memory == number).all()):
                    return False
        return True

    with ThreadPoolExecutor(4) as pool:
        assert all(pool.map(use, range(4)))


def test_a_long_recording_needs_no_memory_but_its_result(monkeypatch: pytest.MonkeyPatch) -> None:
    """In float32 one direction leaves its outputs in the result itself."""
    pytest.importorskip("numba")
    monkeypatch.setenv("ARWKV_BACKEND", "numba")
    sizes = []
    for tokens in (1024, 8192):
        workspace.free_workspaces()
        inputs = cases.inputs(1, tokens, 1)
        with torch.no_grad():
            bi_wkv7(*inputs)
        sizes.append(kept_bytes())
    assert sizes[0] == sizes[1]


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child_does_not_wait_for_a_lock_of_its_parent() -> None:
    with workspace._lock:
        child = os.fork()
        if child == 0:
            with workspace.workspace(1000):
                os._exit(0 if not workspace._kept else 1)
    assert os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]) == 0


def test_asking_for_huge_pages_changes_nothing_else() -> None:
    x = torch.zeros(3 * PAGE_BYTES // 4)
    ask_for_huge_pages(x.data_ptr(), 4 * x.numel())
    ask_for_huge_pages(x.data_ptr(), 1)
    assert not x.any()

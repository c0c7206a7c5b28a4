"""Kernels are called from many threads, and from forked children, at any time."""

import os
import signal
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor
from functools import partial
from pathlib import Path

import kernel_cases as cases
import pytest
import torch

from arwkv_kernels import bi_wkv7

pytest.importorskip("numba")
from arwkv_kernels import threads, torch_parts  # after the skip

TASKS = Path("/proc/self/task")


@pytest.mark.parametrize("backend", ["numba", "torch"])
@pytest.mark.parametrize("openmp", [True, False])
def test_several_threads_at_once(openmp: bool, backend: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", backend)
    monkeypatch.setattr(torch_parts, "LEAST_ELEMENTS", 1)
    if openmp and threads._openmp() is None:
        pytest.skip("torch's OpenMP can't be reached on this system")
    monkeypatch.setattr(threads, "_forked", not openmp)
    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        inputs = cases.inputs(1, 40, 3)
        expected = bi_wkv7(*inputs)
        with ThreadPoolExecutor(6) as pool:
            found = list(pool.map(lambda _: bi_wkv7(*inputs), range(60)))
    finally:
        torch.set_num_threads(before)
    assert all(torch.equal(y, expected) for y in found)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_forked_child() -> None:
    program = """
import os, sys, torch
from arwkv_kernels import bi_wkv7
torch.set_num_threads(2)
x = torch.full((1, 40, 3, 64), -0.5)
y = bi_wkv7(x, x, x, x, x, x, x[..., 0])
child = os.fork()
if child == 0:
    os._exit(0 if torch.equal(bi_wkv7(x, x, x, x, x, x, x[..., 0]), y) else 1)
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = os.environ | {"ARWKV_BACKEND": "numba"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize("openmp", [True, False])
@pytest.mark.parametrize("count", [1, 2, 5])
def test_a_team_does_each_task_once(count: int, openmp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(threads, "_forked", not openmp)
    done: list[int] = []
    threads.call_on_team([partial(done.append, i) for i in range(count)], 2)
    assert sorted(done) == list(range(count))


@pytest.mark.parametrize("error", [ValueError("of a task"), IndexError("of a task"), KeyboardInterrupt()])
def test_what_a_task_of_a_team_raises_is_raised(error: BaseException) -> None:
    def fail() -> None:
        raise error

    with pytest.raises(type(error)) as caught:
        threads.call_on_team([fail, fail, fail], 2)
    assert caught.value is error


@pytest.mark.skipif(sys.platform == "win32", reason="a process can't send itself Ctrl-C there")
def test_an_interruption_of_a_team_is_never_lost() -> None:
    """It comes at any moment, also on the way between native code and Python, where exceptions are only printed."""
    done: list[int] = []

    def interrupt(task: int) -> None:
        os.kill(os.getpid(), signal.SIGINT)
        done.append(task)

    for tasks in range(1, 6):
        done.clear()
        with pytest.raises(KeyboardInterrupt):
            threads.call_on_team([partial(interrupt, i) for i in range(tasks)], 2)
        assert sorted(done) == list(range(tasks))


def test_a_task_that_was_never_begun_does_not_go_unnoticed(monkeypatch: pytest.MonkeyPatch) -> None:
    """An exception of a signal's handler that only ctypes hears of may take one along."""
    monkeypatch.setattr(threads, "run_on_threads", lambda work, argument, count: None)
    with pytest.raises(RuntimeError, match="between two tasks"):
        threads.call_on_team([lambda: None], 2)


@pytest.mark.skipif(not hasattr(os, "fork"), reason="this system has no fork")
def test_a_child_that_is_forked_while_another_thread_compiles() -> None:
    program = """
import os, sys, threading, torch
from arwkv_kernels import bi_wkv7, torch_script
x = torch.full((1, 20, 1, 64), -0.5)
call = lambda: bi_wkv7(x, x, x, x, x, x, x[..., 0])
thread = threading.Thread(target=call)
thread.start()
while not torch_script._lock.locked():
    pass
child = os.fork()
if child == 0:
    os._exit(0 if call().isfinite().all() else 1)
thread.join()
sys.exit(os.waitstatus_to_exitcode(os.waitpid(child, 0)[1]))
"""
    environment = os.environ | {"ARWKV_BACKEND": "torch", "OMP_NUM_THREADS": "1"}
    done = subprocess.run(
        [sys.executable, "-c", program], env=environment, timeout=120, capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr


@pytest.mark.skipif(not threads.has_team(), reason="torch's OpenMP can't be reached on this system")
@pytest.mark.skipif(not TASKS.exists(), reason="this system doesn't list a process's threads")
def test_a_torch_operation_of_a_task_stays_on_its_thread() -> None:
    """Otherwise each thread of the team would wake a team of its own."""
    x = torch.ones(512, 64, 64)

    def compute() -> None:
        assert float((x + x).sum()) == 2 * x.numel()
        assert (torch.bmm(x, x) == 64).all()

    before = torch.get_num_threads()
    torch.set_num_threads(2)
    try:
        compute()  # wakes the team itself
        threads_before = len([*TASKS.iterdir()])
        threads.call_on_team([compute, compute], 2)
        assert len([*TASKS.iterdir()]) == threads_before
    finally:
        torch.set_num_threads(before)

"""Kernels are called from many threads, and from forked children, at any time."""

import os
import subprocess
import sys
from concurrent.futures import ThreadPoolExecutor

import kernel_cases as cases
import pytest
import torch

from arwkv_kernels import bi_wkv7

pytest.importorskip("numba")
from arwkv_kernels import threads  # after the skip


@pytest.mark.parametrize("openmp", [True, False])
def test_several_threads_at_once(openmp: bool, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "numba")
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

"""The kernels are right for vectors of every width, not only for that of the CPU that runs the tests."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

pytest.importorskip("numba")

PROGRAM = """
import sys
sys.path.insert(0, sys.argv[1])
import kernel_cases as cases
import torch
from arwkv_kernels import numba_cpu, vector_width

for dtype in (torch.float32, torch.bfloat16):
    for threads in (1, 16):  # whole heads, and heads cut into as many parts as can be
        torch.set_num_threads(threads)
        shape = (1, 35, 2)
        inputs, dy = cases.in_dtype(cases.inputs(*shape), dtype), cases.incoming(*shape).to(dtype)
        found = (numba_cpu.forward(*inputs), *numba_cpu.backward(dy, *inputs))
        y, gradients = cases.expected(*shape, "trained", dtype)
        for name, x, z in zip(("y", *cases.NAMES), found, (y, *gradients), strict=True):
            cases.assert_close(f"{name}, {dtype}, {threads} threads", x, z, cases.TOLERANCE[dtype])
print(vector_width.VALUES)
"""


def run(lanes: str) -> "subprocess.CompletedProcess[str]":
    command = [sys.executable, "-c", PROGRAM, str(Path(__file__).parent)]
    environment = os.environ | {"ARWKV_VECTOR_LANES": lanes}
    return subprocess.run(command, env=environment, capture_output=True, text=True, timeout=300, check=False)


@pytest.mark.parametrize("lanes", ["8", "32"])
def test_vectors_of_any_width(lanes: str) -> None:
    done = run(lanes)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == lanes


def test_an_impossible_width_is_refused() -> None:
    done = run("7")
    assert done.returncode != 0
    assert "ARWKV_VECTOR_LANES: expected 8, 16 or 32, found '7'" in done.stderr

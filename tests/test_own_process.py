"""The command's own processes keep memory and let Python tidy up less often; the library changes neither."""

import subprocess
import sys

import pytest

PROGRAM = """
import gc, resource, sys
usual = gc.get_threshold()
import torch
import arwkv_core, arwkv_cli.app, arwkv_core.worker
assert gc.get_threshold() == usual, "an import has changed it"
from arwkv_core.own_process import settle
settle()
assert gc.get_threshold()[0] > usual[0]

def faults(floats):
    for _ in range(5):
        torch.ones(floats)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_minflt
    for _ in range(20):
        torch.ones(floats)
    return resource.getrusage(resource.RUSAGE_SELF).ru_minflt - before

print(faults(1 << 18), faults(1 << 22))
"""


@pytest.mark.skipif(sys.platform != "linux", reason="pages are counted as Linux counts them")
def test_small_results_stay_and_large_ones_go() -> None:
    done = subprocess.run(
        [sys.executable, "-c", PROGRAM], capture_output=True, text=True, timeout=120, check=False
    )
    assert done.returncode == 0, done.stderr
    small, large = map(int, done.stdout.split())
    if large < 20:
        pytest.skip("another C library, or pages that are not counted")
    assert small < 20 * 256 / 4  # pages of 4 KiB in 1 MiB

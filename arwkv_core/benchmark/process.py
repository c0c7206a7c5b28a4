"""A process of its own: how long it takes and how much memory it needs at its height."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass

from arwkv_core.errors import ArwkvError

_LAUNCHER = """
import json, os, subprocess, sys, time
start = time.perf_counter()
process = subprocess.Popen(sys.argv[1:], stdin=subprocess.DEVNULL, stdout=subprocess.PIPE)
output = process.stdout.read().decode("utf-8", "replace")
if hasattr(os, "wait4"):
    _, status, usage = os.wait4(process.pid, 0)
    code, peak = os.waitstatus_to_exitcode(status), usage.ru_maxrss * (1 if sys.platform == "darwin" else 1024)
else:
    code, peak = process.wait(), None
json.dump({"seconds": time.perf_counter() - start, "peak": peak, "code": code, "output": output}, sys.stdout)
"""
"""Between us and the process stands a small one: the kernel counts our own memory into the peak of what we start."""


@dataclass(frozen=True)
class Finished:
    """A process that has ended well.

    Attributes
    ----------
    seconds : float
        From its start to its end.
    peak_bytes : int or None
        The most memory that it held; None where the system doesn't tell.
    output : str
        What it wrote to stdout.
    """

    seconds: float
    peak_bytes: int | None
    output: str


def run(command: Sequence[str], threads: int | None = None) -> Finished:
    """Run a program to its end.

    Parameters
    ----------
    command : sequence of str
    threads : int, optional
        What it is told by ``OMP_NUM_THREADS``.

    Raises
    ------
    ArwkvError
        If its exit code is not 0; with the end of what it wrote to stderr.
    """
    environment = dict(os.environ)
    if threads is not None:
        environment["OMP_NUM_THREADS"] = str(threads)
    launched = subprocess.run(
        [sys.executable, "-S", "-c", _LAUNCHER, *command],
        env=environment,
        stdin=subprocess.DEVNULL,
        capture_output=True,
        text=True,
        check=False,
    )
    result = json.loads(launched.stdout or '{"code": null}')
    if result["code"] != 0:
        said = launched.stderr.strip().splitlines()[-3:]
        raise ArwkvError(f"{' '.join(command)}: exit code {result['code']}: {' / '.join(said)}")
    return Finished(result["seconds"], result["peak"], result["output"])


def arwkv(*arguments: str) -> list[str]:
    """Command that runs this very arwkv."""
    return [sys.executable, "-m", "arwkv_cli", *arguments]

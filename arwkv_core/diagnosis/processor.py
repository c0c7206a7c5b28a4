"""What the processor can do, how many threads work on it, and what torch multiplies matrices with."""

from __future__ import annotations

import os
import platform
from collections.abc import Iterator
from typing import Any

from arwkv_core.benchmark.machine import cpu_flags, cpu_name
from arwkv_core.cores import core_count

from .check import Check

SECTION = "processor"


def check_processor() -> Iterator[Check]:
    """Tell name, flags, threads and torch's libraries."""
    import torch

    yield Check(SECTION, "name", f"{cpu_name()} ({platform.machine()})")
    yield Check(SECTION, "flags", ", ".join(cpu_flags()) or "none of those that our paths go by")
    yield Check(SECTION, "torch's level", torch.backends.cpu.get_cpu_capability())
    yield _threads(core_count(), torch.get_num_threads())
    libraries: dict[str, Any] = {  # Any: they are not typed
        "oneDNN": torch.backends.mkldnn,
        "MKL": torch.backends.mkl,
        "OpenMP": torch.backends.openmp,
    }
    there = [name for name, library in libraries.items() if library.is_available()]
    yield Check(SECTION, "torch's libraries", ", ".join(there) or "none: products will be slow")


def _threads(usable: int, threads: int) -> Check:
    limit = os.environ.get("OMP_NUM_THREADS")
    found = f"{threads} of {usable} cores" + (f" (OMP_NUM_THREADS={limit})" if limit else "")
    too_many = threads > usable
    way_out = f"set OMP_NUM_THREADS={usable}: threads without a core hold up the others" if too_many else ""
    return Check(SECTION, "threads", found, not too_many, way_out)

"""What the machine is, as far as it matters for speed."""

from __future__ import annotations

import importlib.metadata
import platform
import subprocess
import sys
from pathlib import Path
from typing import Any

from arwkv_core import __version__
from arwkv_core.cores import core_count

FLAGS = (
    "avx2",
    "fma",
    "avx512f",
    "avx512bf16",
    "avx512vnni",
    "avxvnni",
    "amx-bf16",
    "amx-int8",
    "neon",
    "bf16",
    "dotprod",
    "i8mm",
    "sve",
)
"""What our paths and torch's go by, as LLVM spells it."""


def cpu_name() -> str:
    """Name of the processor, as the system has it."""
    if sys.platform == "darwin":
        named = subprocess.run(
            ["sysctl", "-n", "machdep.cpu.brand_string"], capture_output=True, text=True, check=False
        )
        if named.returncode == 0:
            return named.stdout.strip()
    try:
        for line in Path("/proc/cpuinfo").read_text(encoding="utf-8", errors="replace").splitlines():
            key, _, value = line.partition(":")
            if key.strip() == "model name":
                return value.strip()
    except OSError:
        pass  # only Linux has it
    return platform.processor() or platform.machine()


def cpu_flags() -> list[str]:
    """Which of `FLAGS` the processor has; none where llvmlite can't be imported."""
    try:
        from llvmlite import binding
    except ImportError:
        return []
    features = binding.get_host_cpu_features()
    return [flag for flag in FLAGS if features.get(flag)]


def version_of(package: str) -> str | None:
    """Version of an installed package; None if it isn't."""
    try:
        return importlib.metadata.version(package)
    except importlib.metadata.PackageNotFoundError:
        return None


def describe_machine() -> dict[str, Any]:
    """Describe the machine, as JSON has it."""
    import torch

    versions = {name: version_of(name) for name in ("torch", "numba", "llvmlite", "numpy", "transformers")}
    return {
        "cpu": cpu_name(),
        "architecture": platform.machine(),
        "flags": cpu_flags(),
        "cores": core_count(),
        "threads": torch.get_num_threads(),
        "system": f"{platform.system()} {platform.release()}",
        "versions": {
            "arwkv": __version__,
            "python": platform.python_version(),
            **{name: version for name, version in versions.items() if version},
        },
    }

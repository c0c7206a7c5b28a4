"""The CPU that kernels are compiled for: this one, unless numba's environment variables name another."""

import os

import llvmlite.binding as llvm


def cpu_name() -> str:
    """LLVM's name for the CPU, such as ``znver5``."""
    return os.environ.get("NUMBA_CPU_NAME") or llvm.get_host_cpu_name()


def cpu_features() -> str:
    """What it can do, as LLVM writes it: ``+avx2,-avx512f``."""
    chosen = os.environ.get("NUMBA_CPU_FEATURES")
    if chosen is not None:
        return chosen
    if cpu_name().lower() == "generic":
        return ""
    return llvm.get_host_cpu_features().flatten()

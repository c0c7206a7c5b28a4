"""Whether the packages are there that arwkv needs, in which versions, and whether they can be imported."""

from __future__ import annotations

import importlib
import platform
from collections.abc import Iterator
from typing import Any

from arwkv_core import __version__
from arwkv_core.benchmark.machine import version_of

from .check import Check

SECTION = "packages"

NEEDED = ("torch", "numba", "llvmlite", "numpy", "soundfile", "soxr", "av", "pyarrow", "safetensors")
WAY_OUT = "install arwkv again, into a new virtual environment: pip install --force-reinstall arwkv"


def check_packages() -> Iterator[Check]:
    """Import each package and tell its version, with that of the library inside."""
    yield Check(SECTION, "arwkv", __version__)
    yield Check(SECTION, "python", f"{platform.python_version()} ({platform.python_implementation()})")
    for name in NEEDED:
        version = version_of(name)
        try:
            module = importlib.import_module(name)
        except Exception as error:  # a library that does not fit fails in many ways
            why = "not installed" if version is None else f"{version} can't be imported ({error})"
            yield Check(SECTION, name, why, False, f"pip install --force-reinstall {name}")
        else:
            inside = _library(name, module)
            yield Check(SECTION, name, f"{version}, {inside}" if inside else f"{version}", True)


def _library(name: str, module: Any) -> str:
    if name == "soundfile":
        return f"libsndfile {module.__libsndfile_version__}"
    if name == "av":
        major, minor, micro = module.library_versions["libavcodec"]
        return f"libavcodec {major}.{minor}.{micro}"
    if name == "torch":
        return f"CUDA {module.version.cuda}" if module.version.cuda else "built for CPUs only"
    return ""

"""Where NVRTC is, CUDA's runtime compiler: it comes with the CUDA builds of torch, as a package or inside them.

What compiles here needs no installed toolkit, no host compiler and no include files; but the library wants a second one
beside it, the builtins, which the loader does not find by itself: so that one is loaded first, by its full path.
"""

import ctypes
import importlib.util
import logging
import os
import re
import sys
from collections.abc import Iterator
from pathlib import Path

from arwkv_core.errors import ArwkvError

logger = logging.getLogger("arwkv.kernels")

LIBRARY = re.compile(r"libnvrtc(?:-[0-9a-f]+)?\.so(?:\.(\d+))?[.\d]*|nvrtc64_(\d+)\d_\d+\.dll")
"""File names of NVRTC; the groups are the major version of CUDA. Wheels of torch put a hash into the name."""

BUILTINS = re.compile(r"libnvrtc-builtins(?:-[0-9a-f]+)?\.so[.\d]*|nvrtc-builtins64_\d+\.dll")

LOADER_NAMES = ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc.so")
"""What to ask the system's loader for, where no file was found."""

TOOLKIT_VARIABLES = ("CUDA_HOME", "CUDA_PATH")


class NvrtcNotFound(ArwkvError):
    """There is no NVRTC that can be loaded."""


def load(preferred: str | None = None) -> tuple[ctypes.CDLL, str]:
    """Load NVRTC.

    Parameters
    ----------
    preferred : str, optional
        A version of CUDA, such as ``13.0``: libraries of the same major version are tried first. Torch's by default.

    Returns
    -------
    library : ctypes.CDLL
    place : str
        Its path, or the name by which the system's loader knew it.

    Raises
    ------
    NvrtcNotFound
        If there is none; the message names the package that has it.
    """
    preferred = preferred or _cuda_of_torch()
    tried: list[str] = []
    for path in libraries(preferred):
        try:
            _load_builtins(path.parent)
            return ctypes.CDLL(str(path)), str(path)
        except OSError as error:
            tried.append(str(error))
    for name in LOADER_NAMES:
        try:
            return ctypes.CDLL(name), name
        except OSError:
            continue  # what the loader says about a name it does not know helps nobody
    package = package_for(preferred)
    because = f" ({'; '.join(tried)})" if tried else ""
    raise NvrtcNotFound(
        f"NVRTC, CUDA's runtime compiler, was not found{because}: pip install {package} has it"
    )


def package_for(version: str | None) -> str:
    """What pip has to be asked for to get NVRTC for a version of CUDA."""
    major = (version or "").split(".")[0]
    if major in ("11", "12"):
        return f"nvidia-cuda-nvrtc-cu{major}"
    return f"'nvidia-cuda-nvrtc=={major}.*'" if major else "nvidia-cuda-nvrtc"


def libraries(preferred: str | None = None) -> list[Path]:
    """Files that should be NVRTC; those of the preferred version of CUDA first, then in the order of places."""
    found: dict[Path, str] = {}
    for folder in _folders():
        for path in sorted(_files(folder), reverse=True):  # newer versions first
            if match := LIBRARY.fullmatch(path.name):
                found.setdefault(path, match[1] or match[2] or "")
    wanted = (preferred or "").split(".")[0]
    return sorted(found, key=lambda path: found[path] != wanted)  # a stable sort keeps the rest of the order


def _load_builtins(folder: Path) -> None:
    for path in _files(folder):
        if BUILTINS.fullmatch(path.name):
            try:
                ctypes.CDLL(str(path))
            except OSError as error:
                logger.info("NVRTC's builtins can't be loaded: %s", error)


def _files(folder: Path) -> list[Path]:
    try:
        return list(folder.iterdir())
    except OSError:
        return []


def _folders() -> Iterator[Path]:
    for package in _folders_of("nvidia"):
        for pattern in ("*/lib", "*/bin", "*/bin/*"):  # cuda_nvrtc/lib until CUDA 12, cu13/lib since then
            yield from sorted(package.glob(pattern))
    for torch in _folders_of("torch"):
        yield torch / "lib"
    for variable in TOOLKIT_VARIABLES:
        if root := os.environ.get(variable):
            for inner in ("lib64", "lib", "bin", "bin/x64", "targets/x86_64-linux/lib"):
                yield Path(root, inner)
    yield Path(sys.prefix, "lib")  # conda has it here, or here
    yield Path(sys.prefix, "Library", "bin")


def _folders_of(package: str) -> list[Path]:
    try:
        spec = importlib.util.find_spec(package)
    except (ImportError, ValueError):
        return []
    return [Path(folder) for folder in (spec.submodule_search_locations or ())] if spec else []


def _cuda_of_torch() -> str | None:
    import torch

    return torch.version.cuda

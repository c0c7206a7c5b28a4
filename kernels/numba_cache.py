"""Kernels compiled once per machine, and kept in the user's cache directory as native code.

Numba compiles; what it keeps in a cache of its own takes it half a second to find again, beside its own import. So
the code is kept by itself, and where it is found numba is not imported. The directory's name holds a hash of all
kernel sources, the versions below them, the CPU and its features.
"""

import hashlib
import importlib
import os
import sys
import threading
import warnings
from importlib.metadata import version
from pathlib import Path

from . import object_code
from .host_cpu import cpu_features, cpu_name
from .kept_file import keep, kept, user_cache_directory
from .object_code import Kernel
from .vector_width import VALUES

DIRECTORY_VARIABLE = "NUMBA_CACHE_DIR"

_lock = threading.Lock()
_kernels: dict[tuple[str, str], Kernel] = {}


def _fingerprint() -> str:
    settings = sorted(
        f"{name}={value}"
        for name, value in os.environ.items()
        if name.startswith("NUMBA_") and name != DIRECTORY_VARIABLE
    )
    about = (
        version("numba"),
        version("llvmlite"),
        sys.version,
        cpu_name(),
        cpu_features(),
        VALUES,
        *settings,
    )
    digest = hashlib.sha256(repr(about).encode())
    for source in sorted(Path(__file__).parent.glob("*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """The directory of these sources' compiled kernels; ``NUMBA_CACHE_DIR`` goes before the user's own."""
    chosen = os.environ.get(DIRECTORY_VARIABLE)
    base = Path(chosen) if chosen else user_cache_directory() / "arwkv" / "kernels"
    return base / _fingerprint()


def _compile(module: str, function: str) -> tuple[str, bytes]:
    """Name and object code of a kernel."""
    import numba

    source = getattr(importlib.import_module(module, __package__), function)
    compiled = numba.cfunc(numba.types.void(numba.types.int64))(source)
    return compiled.native_name, object_code.emit(compiled.inspect_llvm())


def _find(module: str, function: str) -> tuple[str, bytes]:
    directory = cache_directory()
    path = directory / f"{module.lstrip('.')}.{function}"
    content = kept(path)
    if content is None:
        symbol, code = _compile(module, function)
        try:
            keep(path, symbol.encode() + b"\n" + code)
        except OSError as error:
            warnings.warn(
                f"compiled kernels can't be kept in {directory} ({error}): every start compiles them again, which "
                f"takes seconds; let {DIRECTORY_VARIABLE} name a directory that can be written",
                RuntimeWarning,
                stacklevel=3,
            )
        return symbol, code
    name, _, code = content.partition(b"\n")
    return name.decode(), code


def kernel(module: str, function: str) -> Kernel:
    """A compiled kernel, which takes the address of its parameter block and releases the GIL.

    Compiled, or loaded from the cache, at the first call, in one thread at a time.

    Parameters
    ----------
    module : str
        As for `importlib.import_module`, relative to this package. Imported only if it has to be compiled.
    function : str
        The kernel's name there: a Python function of one int64, which returns nothing and raises nothing.
    """
    name = module, function
    if name not in _kernels:
        with _lock:
            if name not in _kernels:
                symbol, code = _find(module, function)
                _kernels[name] = object_code.load(code, symbol)
    return _kernels[name]

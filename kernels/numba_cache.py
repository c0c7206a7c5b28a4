"""Kernels compiled once per machine: numba's cache in the user's cache directory.

Next to the sources, numba's own first choice, a cache often can't be written (site-packages of an administrator), and
numba looks only at the file of the function itself to see whether it is stale. Here the directory's name holds a hash
of all kernel sources and the versions below them; the CPU and its features are told apart by numba.
"""

import ctypes
import hashlib
import os
import shutil
import sys
import tempfile
import threading
import warnings
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import llvmlite
import numba

from .numba_vector import LANES_VARIABLE

Kernel = Callable[[int], None]

_lock = threading.Lock()
_kernels: dict[str, Kernel] = {}


def user_cache_directory() -> Path:
    """Where this user's programs keep what they can make again."""
    home = Path.home()
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA") or home / "AppData" / "Local")
    if sys.platform == "darwin":
        return home / "Library" / "Caches"
    return Path(os.environ.get("XDG_CACHE_HOME") or home / ".cache")


def _fingerprint() -> str:
    lanes = os.environ.get(LANES_VARIABLE, "")
    digest = hashlib.sha256(f"{numba.__version__} {llvmlite.__version__} {sys.version} {lanes}".encode())
    for source in sorted(Path(__file__).parent.glob("numba_*.py")):
        digest.update(source.name.encode() + source.read_bytes())
    return digest.hexdigest()[:16]


def cache_directory() -> Path:
    """The directory of these sources' compiled kernels; ``NUMBA_CACHE_DIR`` goes before the user's own."""
    chosen = os.environ.get("NUMBA_CACHE_DIR")
    base = Path(chosen) if chosen else user_cache_directory() / "arwkv" / "numba"
    return base / _fingerprint()


def _unusable(directory: Path) -> str | None:
    """None if files can be made there, otherwise why not."""
    try:
        directory.mkdir(parents=True, exist_ok=True)
        with tempfile.TemporaryFile(dir=directory):
            return None
    except OSError as error:
        return str(error)


@contextmanager
def _numba_caching_in(directory: Path) -> Iterator[None]:
    config: Any = numba.config  # its entries come from the environment
    before = config.CACHE_DIR
    config.CACHE_DIR = str(directory)
    try:
        yield
    finally:
        config.CACHE_DIR = before


def _compile_and_keep(function: Callable[[int], None], signature: Any, directory: Path) -> Any:
    with _numba_caching_in(directory):
        try:
            return numba.cfunc(signature, cache=True)(function)
        except (
            Exception
        ):  # a damaged file raises whatever unpickling raises; an error of the compiler comes again
            shutil.rmtree(directory, ignore_errors=True)
            return numba.cfunc(signature, cache=True)(function)


def _compile(function: Callable[[int], None], signature: Any) -> Any:
    directory = cache_directory()
    reason = _unusable(directory)
    if reason is None:
        try:
            return _compile_and_keep(function, signature, directory)
        except (OSError, RuntimeError) as error:  # a full disk, or no place that numba accepts
            reason = str(error)
    warnings.warn(
        f"compiled kernels can't be kept in {directory} ({reason}): every start compiles them again, which takes "
        "seconds; let NUMBA_CACHE_DIR name a directory that can be written",
        RuntimeWarning,
        stacklevel=3,
    )
    return numba.cfunc(signature)(function)


def kernel(function: Callable[[int], None], signature: Any) -> Kernel:
    """The compiled form of ``function(parameters)``; it releases the GIL and takes the parameter block's address.

    Compiled, or loaded from the cache, at the first call, in one thread at a time.
    """
    name = function.__qualname__
    if name not in _kernels:
        with _lock:
            if name not in _kernels:
                compiled = _compile(function, signature)
                call = ctypes.CFUNCTYPE(None, ctypes.c_int64)(compiled.address)
                call.compiled = compiled  # type: ignore[attr-defined]  # the code lives as long as the function does
                _kernels[name] = call
    return _kernels[name]

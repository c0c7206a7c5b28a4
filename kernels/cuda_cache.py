"""CUDA kernels compiled once per machine, architecture and version, and kept in the user's cache directory."""

import hashlib
import json
import logging
import time
from dataclasses import dataclass, replace
from pathlib import Path

from arwkv_core.file_lock import lock_alone

from .cuda_target import Target
from .kept_file import CACHE_VARIABLE, keep, kept, user_cache_directory
from .nvrtc import Nvrtc
from .ptxas_report import KernelResources, parse

logger = logging.getLogger("arwkv.kernels")

FORMAT = 1
"""Of the files in the cache: another number, another key."""

OPTIONS = ("--std=c++17", "--ptxas-options=-v")
"""The second asks for the report of registers and spills, see `ptxas_report`."""

_complained: set[Path] = set()


@dataclass(frozen=True)
class CudaCode:
    """The compiled kernels of one source for one architecture.

    Attributes
    ----------
    arch : str
        ``sm_90`` where the code is a cubin, ``compute_90`` where it is PTX.
    code : bytes
    log : str
        What the compiler said, with its report of registers and spills.
    seconds : float
        What compiling took, when it was done.
    cached : bool
        Whether that was before.
    file : Path or None
        Where it is kept; None where that was not possible.
    """

    arch: str
    code: bytes
    log: str
    seconds: float
    cached: bool
    file: Path | None

    @property
    def kernels(self) -> list[KernelResources]:
        """What each kernel needs of the GPU; empty for PTX."""
        return parse(self.log)


def cache_directory() -> Path:
    """Where compiled CUDA kernels are kept."""
    return user_cache_directory() / "arwkv" / "kernels" / "cuda"


def cache_file(source: Path, target: Target, compiler: Nvrtc) -> Path:
    """Where the code of this source is kept, for this architecture and from this compiler."""
    about = (FORMAT, source.read_text("utf-8"), OPTIONS, target.arch, compiler.version)
    key = hashlib.sha256(repr(about).encode()).hexdigest()[:16]
    return cache_directory() / f"{source.stem}-{target.arch}-{key}"


def cuda_code(source: Path, target: Target, compiler: Nvrtc) -> CudaCode:
    """The compiled kernels of a source: kept ones, or else made now; by one process at a time.

    Where they can't be kept, they are compiled all the same; that is logged once.

    Raises
    ------
    CompileError
        If the source can't be compiled.
    """
    path = cache_file(source, target, compiler)
    if found := _read(path, target):
        return found
    lock = path.with_name(f".{path.name}.lock")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        file = lock.open("wb")
    except OSError as error:
        _complain(path.parent, error)
        return _compile(source, target, compiler)
    try:
        with file:
            lock_alone(file, wait=True)
            return _read(path, target) or _keep(_compile(source, target, compiler), path)
    finally:
        lock.unlink(missing_ok=True)  # whoever waits for it has it open, and looks for the code first


def _compile(source: Path, target: Target, compiler: Nvrtc) -> CudaCode:
    logger.info("compiling %s for %s with NVRTC %s", source.name, target.arch, compiler.version_text)
    start = time.perf_counter()
    compiled = compiler.compile(source.read_text("utf-8"), source.name, (*OPTIONS, target.option))
    seconds = time.perf_counter() - start
    return CudaCode(target.arch, compiled.code, compiled.log, seconds, cached=False, file=None)


def _keep(code: CudaCode, path: Path) -> CudaCode:
    about = json.dumps({"log": code.log, "seconds": code.seconds})
    try:
        keep(path, about.encode() + b"\n" + code.code)
    except OSError as error:
        _complain(path.parent, error)
        return code
    return replace(code, file=path)


def _read(path: Path, target: Target) -> CudaCode | None:
    content = kept(path)
    if content is None:
        return None
    about, _, code = content.partition(b"\n")
    return CudaCode(target.arch, code, cached=True, file=path, **json.loads(about))


def _complain(directory: Path, error: OSError) -> None:
    if directory not in _complained:
        _complained.add(directory)
        logger.warning(
            "compiled CUDA kernels can't be kept in %s (%s): every start compiles them again; let %s name a folder "
            "that can be written",
            directory,
            error.strerror or error,
            CACHE_VARIABLE,
        )

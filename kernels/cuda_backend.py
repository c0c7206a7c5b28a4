"""Backend ``cuda``: the kernels of ``cuda/bi_wkv7.cu``, compiled at first use, on torch's own devices and streams."""

import logging
import os
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor

from arwkv_core.errors import ArwkvError

from . import cuda_launch, registry
from .cuda_cache import cuda_code
from .cuda_driver import DriverError, Kernel, cuda_driver
from .cuda_launch import Executor, Launch
from .cuda_target import target_of
from .nvrtc import CompileError, nvrtc
from .nvrtc_library import package_for
from .reference import Gradients

logger = logging.getLogger("arwkv.kernels")

NAME = "cuda"

_lock = threading.RLock()
_kernels: dict[int, dict[str, Kernel]] = {}  # by index of the device
_failures: dict[int, str] = {}


def unavailable(device: torch.device, dtype: torch.dtype) -> str | None:
    """Why the kernels can't run there; None where they can, and then they are loaded."""
    if dtype == torch.float64:
        return "computes in float32, not in float64"
    if torch.version.hip:
        return "needs a GPU of NVIDIA's, and this torch is built for AMD's"
    if not torch.cuda.is_available():
        return "torch finds no CUDA device"
    index = _index(device)
    with _lock:
        if index not in _failures:
            try:
                _loaded(index)
            except registry.BackendError:
                raise
            except Exception as error:  # of compiler or driver, whatever it is: the next backend is right too
                _failures[index] = _reason(error)
                forced = os.environ.get(registry.ENVIRONMENT_VARIABLE) == NAME
                if not forced:  # else it becomes an error, which says the same
                    logger.warning("the CUDA kernel can't run on cuda:%d: %s", index, _failures[index])
        return _failures.get(index)


def forward(*inputs: Tensor) -> Tensor:
    """As `registry.Backend` has it."""
    with executor(inputs[0].device) as run:
        return cuda_launch.forward(run, *inputs)


def backward(*inputs: Tensor) -> Gradients:
    """As `registry.Backend` has it."""
    with executor(inputs[0].device) as run:
        return cuda_launch.backward(run, *inputs)


def sweep(
    r: Tensor, w: Tensor, k: Tensor, v: Tensor, a: Tensor, b: Tensor, state: Tensor, reverse: bool
) -> tuple[Tensor, Tensor]:
    """As `registry.Backend` has it."""
    with executor(r.device) as run:
        return cuda_launch.sweep(run, r, w, k, v, a, b, state, reverse)


@contextmanager
def executor(device: torch.device) -> Iterator[Executor]:
    """What launches kernels on a device, on the stream that is torch's current one there.

    Within the block the device is torch's current one: what `cuda_launch` makes room for lies there too.
    """
    index = _index(device)
    kernels = _loaded(index)
    driver = cuda_driver()
    with torch.cuda.device(index), driver.context(index):
        stream = torch.cuda.current_stream(index).cuda_stream

        def run(launch: Launch) -> None:
            kernel = kernels[launch.kernel]
            driver.launch(kernel, launch.grid, launch.block, launch.shared_bytes, stream, launch.arguments)

        yield run


def _index(device: torch.device) -> int:
    return torch.cuda.current_device() if device.index is None else device.index


def _loaded(index: int) -> dict[str, Kernel]:
    """The kernels on a device; compiled and loaded at the first call, by one thread at a time."""
    if index not in _kernels:
        with _lock:
            if index not in _kernels:
                _kernels[index] = _load(index)
    return _kernels[index]


def _load(index: int) -> dict[str, Kernel]:
    with torch.cuda.device(index):
        if torch.cuda.is_current_stream_capturing():
            raise registry.BackendError(
                f"the CUDA kernel is loaded on cuda:{index} by its first call, which can't be part of a graph that is "
                "being captured: call the model once before the capture, on any input"
            )
        compiler, driver = nvrtc(), cuda_driver()
        known = driver.version()
        if known[0] < compiler.version[0]:
            raise ArwkvError(
                f"the driver knows CUDA {known[0]}.{known[1]} and is too old for code of NVRTC {compiler.version_text} "
                f"({compiler.place}): install a newer driver, or pip install {package_for(f'{known[0]}')}"
            )
        target = target_of(torch.cuda.get_device_capability(index), compiler)
        code = cuda_code(cuda_launch.SOURCE, target, compiler)
        with driver.context(index):
            return driver.load(code.code, cuda_launch.KERNELS)


def _reason(error: Exception) -> str:
    if isinstance(error, CompileError):
        return f"its kernel can't be compiled ({error.first_error})"
    if isinstance(error, ArwkvError | DriverError):
        return str(error)
    return f"{type(error).__name__}: {(str(error).strip().splitlines() or [''])[-1]}"

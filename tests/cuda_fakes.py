"""Stand-ins for what machines without a GPU lack, and small CUDA sources."""

import ctypes
import shutil
import subprocess
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import SimpleNamespace
from typing import Any

import pytest
import torch

from arwkv_kernels.nvrtc import Compiled, CompileError, Nvrtc, NvrtcError, nvrtc
from arwkv_kernels.nvrtc_library import NvrtcNotFound

DOUBLE = """
struct Arguments { float *x; long long count; float factor; };

extern "C" __global__ void scale(Arguments arguments) {
    __shared__ float kept[32];
    long long i = blockIdx.x * (long long)blockDim.x + threadIdx.x;
    kept[threadIdx.x % 32] = arguments.factor;
    __syncthreads();
    if (i < arguments.count) arguments.x[i] *= kept[(threadIdx.x + 1) % 32];
}
"""

SPILLING = """
struct Arguments { const float *x; float *y; };

extern "C" __global__ void __launch_bounds__(1024, 2) crowded(Arguments arguments) {
    const float *x = arguments.x + threadIdx.x;
    float kept[64], sum = 0;
    for (int i = 0; i < 64; ++i) kept[i] = x[i] * x[i + 1];
    for (int k = 0; k < 64; ++k)
        for (int i = 0; i < 64; ++i) kept[i] = kept[i] * kept[(i * 7 + k) % 64] + x[i];
    for (int i = 0; i < 64; ++i) sum += kept[i];
    arguments.y[threadIdx.x] = sum;
}
"""

REPORT = """\
ptxas info    : 0 bytes gmem
ptxas info    : Compiling entry function 'scale' for 'sm_90'
ptxas info    : Function properties for scale
ptxas         .     0 bytes stack frame, 0 bytes spill stores, 0 bytes spill loads
ptxas info    : Used 14 registers, used 1 barriers, 128 bytes smem
"""


class FakeCompiler:
    """Compiles nothing, but counts how often it was asked to."""

    place = "nowhere"
    architectures = (75, 80, 86, 89, 90, 100, 120)

    def __init__(self, version: tuple[int, int] = (13, 0), error: str | None = None) -> None:
        self.version = version
        self.version_text = ".".join(map(str, version))
        self.asked: list[tuple[str, ...]] = []
        self._error = error

    def compile(self, source: str, name: str, options: tuple[str, ...]) -> Compiled:
        self.asked.append(options)
        if self._error:
            raise CompileError(name, options, self._error)
        return Compiled(b"code\nof " + options[-1].encode(), REPORT)


def real_compiler() -> Nvrtc:
    """NVRTC, or no test."""
    try:
        return nvrtc()
    except (NvrtcNotFound, NvrtcError) as error:
        pytest.skip(str(error))


class FakeDriverLibrary:
    """`fake_libcuda.cpp`, compiled and loaded."""

    def __init__(self, folder: Path) -> None:
        compiler = shutil.which("g++")
        if compiler is None:
            pytest.skip("needs g++ to make a driver that stands in for CUDA's")
        path = folder / "libfakecuda.so"
        source = Path(__file__).with_name("fake_libcuda.cpp")
        subprocess.run([compiler, "-std=c++17", "-shared", "-fPIC", source, "-o", path], check=True)
        self.library = ctypes.CDLL(str(path))
        for name in ("fake_calls", "fake_image"):
            getattr(self.library, name).restype = ctypes.c_char_p
        self.library.fake_parameters.restype = ctypes.c_void_p

    def calls(self, function: str = "") -> list[tuple[Any, ...]]:
        """Name and numbers of every call, or of those of one function, without its name."""
        lines = [line.split() for line in self.library.fake_calls().decode().splitlines()]
        found = [(name, *map(int, numbers)) for name, *numbers in lines]
        return [call[1:] for call in found if call[0] == function] if function else found

    def forget(self) -> None:
        """Neither calls nor failures from now on."""
        self.library.fake_forget()

    def fail(self, function: str, status: int) -> None:
        """Let a function fail from now on."""
        self.library.fake_fail(function.encode(), status)

    def parameters(self) -> bytes:
        """What the last kernel would have got, as many bytes as `expect` has said."""
        return ctypes.string_at(self.library.fake_parameters(), self._bytes)

    def expect(self, parameter_bytes: int) -> None:
        """Tell how large the parameter of the next kernels is; the true driver knows it from the code."""
        self._bytes = parameter_bytes
        self.library.fake_parameter_bytes(ctypes.c_size_t(parameter_bytes))


class FakeGpus:
    """What torch tells about GPUs, where there are none.

    Parameters
    ----------
    monkeypatch : pytest.MonkeyPatch
        Takes back what is changed in torch.
    capabilities : tuple of tuple of int
        Compute capability of each GPU; torch's current one is the last.
    """

    def __init__(
        self, monkeypatch: pytest.MonkeyPatch, capabilities: tuple[tuple[int, int], ...] = ((9, 0), (9, 0))
    ) -> None:
        self.guarded: list[int] = []  # devices that are torch's current one, innermost last
        self.capturing = False
        fakes = {
            "is_available": lambda: bool(capabilities),
            "device_count": lambda: len(capabilities),
            "current_device": lambda: len(capabilities) - 1,
            "get_device_capability": lambda index: capabilities[index],
            "is_current_stream_capturing": lambda: self.capturing,
            "current_stream": lambda index: SimpleNamespace(cuda_stream=self.stream(index)),
            "device": self._guard,
        }
        for name, fake in fakes.items():
            monkeypatch.setattr(torch.cuda, name, fake)

    @staticmethod
    def stream(index: int) -> int:
        """Handle of the current stream of a device, of more than 32 bits as addresses are."""
        return 0x7F0012345600 + index

    @contextmanager
    def _guard(self, index: int) -> Iterator[None]:
        self.guarded.append(index)
        try:
            yield
        finally:
            self.guarded.pop()

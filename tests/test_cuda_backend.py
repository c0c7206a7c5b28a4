"""The CUDA backend on GPUs that are made up: why it can't run, and on which device and stream it does."""

import ctypes
import logging
import subprocess
import sys
from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import kernel_cases as cases
import pytest
import torch
from cuda_emulator import Emulator
from cuda_fakes import FakeCompiler, FakeDriverLibrary, FakeGpus

from arwkv_kernels import BackendError, cuda_backend, cuda_launch, op, reference, registry, select, wkv7_sweep
from arwkv_kernels.cuda_driver import CudaDriver, Kernel
from arwkv_kernels.cuda_launch import Launch
from arwkv_kernels.kept_file import CACHE_VARIABLE
from arwkv_kernels.nvrtc_library import NvrtcNotFound

GPU = torch.device("cuda", 1)
HERE = torch.device("cuda")  # torch's current one, which is the last of `FakeGpus`
LAUNCH = Launch(cuda_launch.KERNELS[0], (5, 1, 1), (128, 1, 1), 0, cuda_launch.SweepArguments())


@pytest.fixture(scope="module")
def library(tmp_path_factory: pytest.TempPathFactory) -> FakeDriverLibrary:
    return FakeDriverLibrary(tmp_path_factory.mktemp("driver"))


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCompiler:
    fake = FakeCompiler()
    monkeypatch.setattr(cuda_backend, "nvrtc", lambda: fake)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path))
    return fake


@pytest.fixture
def gpus(
    monkeypatch: pytest.MonkeyPatch, library: FakeDriverLibrary, compiler: FakeCompiler
) -> Iterator[FakeGpus]:
    """Two GPUs that nothing has been loaded on, and a driver and a compiler for them."""
    library.forget()
    driver = CudaDriver(library.library)
    monkeypatch.setattr(cuda_backend, "cuda_driver", lambda: driver)
    monkeypatch.setattr(cuda_backend, "_kernels", {})
    monkeypatch.setattr(cuda_backend, "_failures", {})
    monkeypatch.delenv(registry.ENVIRONMENT_VARIABLE, raising=False)
    registry._choose.cache_clear()
    yield FakeGpus(monkeypatch)
    registry._choose.cache_clear()


def reason(device: torch.device = GPU, dtype: torch.dtype = torch.float32) -> str | None:
    return cuda_backend.unavailable(device, dtype)


def test_kernels_are_loaded_once_on_each_device(
    gpus: FakeGpus, library: FakeDriverLibrary, compiler: FakeCompiler
) -> None:
    for _ in range(2):
        for device in (GPU, HERE, torch.device("cuda", 0)):
            for dtype in (torch.float32, torch.bfloat16, torch.float16):
                assert reason(device, dtype) is None
    assert [context for context, _ in library.calls("cuModuleLoadDataEx")] == [101, 100]
    assert len(library.calls("cuModuleGetFunction")) == 2 * len(cuda_launch.KERNELS)
    assert [options[-1] for options in compiler.asked] == ["--gpu-architecture=sm_90"]  # both GPUs are alike
    assert gpus.guarded == []
    assert len(library.calls("cuCtxPushCurrent_v2")) == len(library.calls("cuCtxPopCurrent_v2"))


def test_launches_are_on_torchs_stream_of_the_device(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    for device, index in ((torch.device("cuda", 0), 0), (GPU, 1), (HERE, 1)):
        with cuda_backend.executor(device) as run:
            assert gpus.guarded == [index]
            run(LAUNCH)
        assert gpus.guarded == []
        launched = library.calls("cuLaunchKernel")[-1]
        assert (launched[0], launched[9]) == (100 + index, gpus.stream(index))
    assert library.calls()[-1] == ("cuCtxPopCurrent_v2",)


def test_what_fails_leaves_torchs_device_as_it_was(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    assert reason() is None
    library.fail("cuLaunchKernel", 1)
    with pytest.raises(RuntimeError, match="CUDA_ERROR_INVALID_VALUE"), cuda_backend.executor(GPU) as run:
        run(LAUNCH)
    assert gpus.guarded == []
    assert library.calls()[-1] == ("cuCtxPopCurrent_v2",)


def test_forward_backward_and_sweep_launch_what_they_should(
    gpus: FakeGpus, library: FakeDriverLibrary, monkeypatch: pytest.MonkeyPatch
) -> None:
    """On tensors of the CPU, which the fake driver does not touch: the executor is the real one."""
    inputs = cases.inputs(2, 40, 3)
    launched: list[str] = []
    launch = CudaDriver.launch

    def watched(driver: CudaDriver, kernel: Kernel, *rest: Any) -> None:
        arguments = rest[-1]
        library.expect(ctypes.sizeof(arguments))
        launch(driver, kernel, *rest)
        assert library.parameters() == bytes(arguments)
        launched.append(kernel.name)

    monkeypatch.setattr(CudaDriver, "launch", watched)
    y = cuda_backend.forward(*inputs)
    assert y.shape == inputs[3].shape
    forward = len(launched)
    gradients = cuda_backend.backward(cases.incoming(2, 40, 3), *inputs)
    assert [x.shape for x in gradients] == [x.shape for x in inputs]
    backward = len(launched)
    _, state = cuda_backend.sweep(*inputs[:6], torch.zeros(2, 3, 64, 64), True)
    assert state.shape == (2, 3, 64, 64)
    assert 0 < forward < backward < len(launched)
    assert len(library.calls("cuLaunchKernel")) == len(launched)
    assert gpus.guarded == []


def test_the_operator_computes_with_it(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """From the operator to the launch, where the emulator takes over from the driver; gradients included."""
    emulator = Emulator(tmp_path_factory.mktemp("emulator"))

    def emulate(driver: CudaDriver, kernel: Kernel, *rest: Any) -> None:
        grid, block, shared_bytes, stream, arguments = rest
        assert stream == gpus.stream(1)
        emulator(Launch(kernel.name, grid, block, shared_bytes, arguments))

    (real,) = (one for one in registry.backends() if one.name == "cuda")
    monkeypatch.setattr(CudaDriver, "launch", emulate)
    monkeypatch.setattr(registry, "_backends", {})
    registry.register(replace(real, unavailable=lambda device, dtype: None))
    inputs = [x.clone().requires_grad_() for x in cases.inputs(1, 17, 2)]
    y, gradients = cases.expected(1, 17, 2, "trained", torch.float32)
    found = op.bi_wkv7(*inputs)
    tolerance = cases.TOLERANCE[torch.float32]
    cases.assert_close("y", found, y, tolerance)
    found.backward(cases.incoming(1, 17, 2))
    for name, x, gradient in zip(cases.NAMES, inputs, gradients, strict=True):
        assert x.grad is not None
        cases.assert_close(f"d{name}", x.grad, gradient, tolerance)
    with torch.no_grad():
        state = torch.randn(1, 2, 64, 64)
        for reverse in (False, True):
            wanted = reference.wkv7_sweep(*inputs[:6], state, reverse)
            for name, one, other in zip(
                ("y", "state"), wkv7_sweep(*inputs[:6], state, reverse), wanted, strict=True
            ):
                cases.assert_close(name, one, other, tolerance)


def test_double_precision_is_not_for_it(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    assert reason(dtype=torch.float64) == "computes in float32, not in float64"
    assert library.calls("cuModuleLoadDataEx") == []


def test_without_a_gpu(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpus(monkeypatch, ())
    assert reason() == "torch finds no CUDA device"


def test_other_makers_gpus(gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(torch.version, "hip", "6.4")
    assert reason() == "needs a GPU of NVIDIA's, and this torch is built for AMD's"


def test_a_driver_that_is_too_old(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    library.library.fake_version(12040)
    expected = "the driver knows CUDA 12.4 and is too old for code of NVRTC 13.0 (nowhere): install a newer driver, or"
    assert reason() == f"{expected} pip install nvidia-cuda-nvrtc-cu12"


def test_a_driver_of_an_older_minor_version_will_do(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    library.library.fake_version(13000)
    assert reason() is None


def test_a_gpu_that_is_too_old(gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpus(monkeypatch, ((6, 1), (6, 1)))
    assert "this GPU is sm_61, and NVRTC 13.0 compiles for sm_75 and newer" in str(reason())


def test_a_gpu_newer_than_the_compiler_gets_assembly(
    gpus: FakeGpus, compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGpus(monkeypatch, ((10, 3), (13, 1)))
    assert reason(torch.device("cuda", 0)) is None
    assert reason(GPU) is None
    assert [options[-1] for options in compiler.asked] == [
        "--gpu-architecture=compute_100",
        "--gpu-architecture=compute_120",
    ]


def test_the_reason_is_logged_once_and_the_next_backend_taken(
    gpus: FakeGpus, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    tried = []

    def missing() -> None:
        tried.append(1)
        raise NvrtcNotFound("NVRTC was not found: pip install nvidia-cuda-nvrtc-cu12 has it")

    monkeypatch.setattr(cuda_backend, "nvrtc", missing)
    for dtype in (torch.float32, torch.bfloat16):
        for sweep in (False, True):
            assert select(GPU, dtype, sweep=sweep).name != "cuda"
    said = [record for record in caplog.records if record.getMessage().startswith("the CUDA kernel")]
    assert [record.levelno for record in said] == [logging.WARNING]
    expected = "can't run on cuda:1: NVRTC was not found: pip install nvidia-cuda-nvrtc-cu12 has it"
    assert expected in said[0].getMessage()
    assert len(tried) == 1


@pytest.mark.parametrize(
    ("error", "said"),
    [
        (
            "a note\nbi_wkv7.cu(3): error: no such thing\n1 error detected",
            r"bi_wkv7.cu\(3\): error: no such thing",
        ),
        ("it went away", "it went away"),
    ],
)
def test_forced_it_fails_with_the_reason_and_the_way_out(
    gpus: FakeGpus,
    monkeypatch: pytest.MonkeyPatch,
    caplog: pytest.LogCaptureFixture,
    error: str,
    said: str,
) -> None:
    monkeypatch.setenv(registry.ENVIRONMENT_VARIABLE, "cuda")
    monkeypatch.setattr(cuda_backend, "nvrtc", lambda: FakeCompiler(error=error))
    expected = rf"ARWKV_BACKEND=cuda can't run torch.float32 on cuda:1: its kernel can't be compiled \({said}\); unset"
    with pytest.raises(BackendError, match=expected):
        select(GPU, torch.float32)
    assert caplog.records == []  # the error says it


def test_code_that_the_driver_refuses(gpus: FakeGpus, library: FakeDriverLibrary) -> None:
    library.fail("cuModuleLoadDataEx", 218)
    assert str(reason()).startswith(
        "cuModuleLoadDataEx: CUDA_ERROR_INVALID_PTX (a PTX JIT compilation failed)"
    )
    library.forget()
    assert reason() is not None  # it is not tried again
    assert library.calls() == []


def test_loading_while_a_graph_is_captured_is_refused_and_may_be_done_later(gpus: FakeGpus) -> None:
    gpus.capturing = True
    for _ in range(2):
        with pytest.raises(BackendError, match=r"cuda:1.*call the model once before the capture"):
            select(GPU, torch.float32)
    gpus.capturing = False
    assert select(GPU, torch.float32).name == "cuda"
    gpus.capturing = True
    assert select(GPU, torch.bfloat16).name == "cuda"  # what is loaded is no matter
    with cuda_backend.executor(GPU) as run:
        run(LAUNCH)


def test_on_the_cpu_it_says_where_it_runs(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.ENVIRONMENT_VARIABLE, "cuda")
    expected = (
        r"ARWKV_BACKEND=cuda can't run torch.float32 on cpu: runs on NVIDIA's GPUs only \(--device cuda\)"
    )
    with pytest.raises(BackendError, match=expected):
        op.bi_wkv7(*cases.inputs(1, 2, 1))


def test_without_a_gpu_nothing_of_it_is_imported() -> None:
    program = """
import sys, torch
from arwkv_kernels import bi_wkv7
x = torch.zeros(1, 3, 2, 64)
bi_wkv7(x, x, x, x, x, x, torch.zeros(1, 3, 2))
print(*(name for name in sys.modules if name.startswith("arwkv_kernels.") and ("cuda" in name or "nvrtc" in name)))
"""
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split() == []

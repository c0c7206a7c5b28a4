"""What ``arwkv doctor`` tells about the CUDA kernels, with and without GPUs."""

from pathlib import Path

import pytest
import torch
from cuda_fakes import DOUBLE, FakeCompiler, FakeGpus

from arwkv_core.diagnosis import cuda
from arwkv_core.diagnosis.check import Check
from arwkv_core.diagnosis.doctor import SECTIONS
from arwkv_kernels import build, cuda_build, cuda_launch, nvrtc
from arwkv_kernels.kept_file import CACHE_VARIABLE
from arwkv_kernels.nvrtc_library import NvrtcNotFound


@pytest.fixture(autouse=True)
def compiler(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> FakeCompiler:
    fake = FakeCompiler()
    (tmp_path / "double.cu").write_text(DOUBLE)
    monkeypatch.setattr(cuda_launch, "SOURCE", tmp_path / "double.cu")
    monkeypatch.setattr(nvrtc, "nvrtc", lambda: fake)
    monkeypatch.setattr(cuda_build, "nvrtc", lambda: fake)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    return fake


def found() -> dict[str, Check]:
    return {check.name: check for check in cuda.check_cuda()}


def test_it_is_a_section_of_doctor() -> None:
    assert cuda.check_cuda in [section for _, section, _ in SECTIONS]


def test_without_a_gpu_nothing_is_wrong(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpus(monkeypatch, ())
    checks = found()
    assert checks["GPUs for cuda"].found.startswith("torch finds none")
    assert checks["NVRTC"].found == "13.0, compiles for sm_75 to sm_120, nowhere"
    assert checks["CUDA cache"].found.endswith("nothing kept")
    assert not any(check.ok is False for check in checks.values())
    list(build(["sm_90", "sm_80"]))
    assert found()["CUDA cache"].found.endswith("kept for sm_80, sm_90")


def test_it_tells_for_which_gpu_nothing_is_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpus(monkeypatch, ((9, 0), (8, 0), (12, 1)))
    assert "GPUs for cuda" not in found()
    list(build(["sm_90"]))
    cache = found()["CUDA cache"].found
    assert "kept for sm_90; not yet for cuda:1 (sm_80), cuda:2 (compute_120)" in cache
    assert "arwkv kernels build" in cache
    list(build())
    assert found()["CUDA cache"].found.endswith("kept for sm_80, sm_90, compute_120")


def test_a_damaged_file_is_not_kept(monkeypatch: pytest.MonkeyPatch) -> None:
    FakeGpus(monkeypatch, ())
    (code,) = build(["sm_90"])
    assert code.file is not None
    code.file.write_bytes(code.file.read_bytes()[:-1])
    assert found()["CUDA cache"].found.endswith("nothing kept")


@pytest.mark.parametrize("gpus", [(), ((9, 0),)])
def test_a_missing_compiler_matters_where_there_is_a_gpu(
    gpus: tuple[tuple[int, int], ...], monkeypatch: pytest.MonkeyPatch
) -> None:
    def missing() -> None:
        raise NvrtcNotFound("NVRTC was not found")

    FakeGpus(monkeypatch, gpus)
    monkeypatch.setattr(nvrtc, "nvrtc", missing)
    monkeypatch.setattr(torch.version, "cuda", "12.4")
    check = found()["NVRTC"]
    assert check.found == "NVRTC was not found"
    assert check.ok is (False if gpus else None)
    assert check.way_out == ("pip install nvidia-cuda-nvrtc-cu12" if gpus else "")

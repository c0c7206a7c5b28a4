"""``arwkv kernels``: the backends that there are, and the CUDA kernels compiled where there is no GPU."""

import json
import logging
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import pytest
from cuda_fakes import DOUBLE, FakeCompiler, FakeGpus, real_compiler
from typer.testing import CliRunner

import arwkv_kernels
from arwkv_cli.app import app
from arwkv_kernels import cuda_build, cuda_cache, cuda_launch, op, registry  # noqa: F401
from arwkv_kernels.cuda_target import EVERY
from arwkv_kernels.kept_file import CACHE_VARIABLE
from arwkv_kernels.nvrtc_library import NvrtcNotFound


@pytest.fixture(autouse=True)
def source(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A small source in the place of the kernels, an empty cache, and no GPU."""
    path = tmp_path / "double.cu"
    path.write_text(DOUBLE)
    monkeypatch.setattr(cuda_launch, "SOURCE", path)
    monkeypatch.setenv(CACHE_VARIABLE, str(tmp_path / "cache"))
    monkeypatch.setattr(cuda_cache, "_complained", set())
    monkeypatch.delenv(registry.ENVIRONMENT_VARIABLE, raising=False)
    FakeGpus(monkeypatch, ())
    return path


@pytest.fixture
def compiler(monkeypatch: pytest.MonkeyPatch) -> FakeCompiler:
    fake = FakeCompiler()
    monkeypatch.setattr(cuda_build, "nvrtc", lambda: fake)
    return fake


def run(*arguments: str) -> Any:
    return CliRunner().invoke(app, ["kernels", *arguments], catch_exceptions=False)


def archs(asked: Sequence[tuple[str, ...]]) -> list[str]:
    return [options[-1].removeprefix("--gpu-architecture=") for options in asked]


def test_build_compiles_once_and_says_where(compiler: FakeCompiler, tmp_path: Path) -> None:
    done = run("build", "--arch", "sm_90", "--arch", "sm_75")
    assert done.exit_code == 0
    header, first, second = done.stdout.splitlines()
    assert header.split() == ["arch", "file"]
    for line, arch in ((first, "sm_90"), (second, "sm_75")):
        name, file = line.split(maxsplit=1)
        assert name == arch
        assert Path(file.strip()).is_file()
        assert Path(file).is_relative_to(tmp_path / "cache")
    assert "sm_90: compiled in 0.0 s" in done.stderr
    assert archs(compiler.asked) == ["sm_90", "sm_75"]
    again = run("build", "--arch", "sm_90")
    assert again.stderr == "sm_90: was compiled already\n"
    assert len(compiler.asked) == 2


def test_report_of_the_true_compiler() -> None:
    real_compiler()
    done = run("build", "--arch", "sm_80", "--report")
    assert done.exit_code == 0, done.stderr
    header, row = done.stdout.splitlines()
    assert header.split()[:3] == ["arch", "kernel", "registers"]
    arch, kernel, registers, *bytes_ = row.split()
    assert (arch, kernel) == ("sm_80", "scale")
    assert 0 < int(registers) <= 32
    assert bytes_ == ["128", "0", "0", "0"]


@pytest.mark.parametrize("report", [False, True])
def test_json(report: bool, compiler: FakeCompiler) -> None:
    options = ["--report"] if report else []
    done = run("build", "--arch", "sm_90", "--format", "json", *options)
    document = json.loads(done.stdout)
    assert document["schema_version"] == 1
    (build,) = document["builds"]
    assert (build["arch"], build["cached"]) == ("sm_90", False)
    assert build["bytes"] == len(b"code\nof --gpu-architecture=sm_90")
    assert ("kernels" in build) == report
    if report:
        (kernel,) = build["kernels"]
        amounts = {"registers": 14, "shared_bytes": 128, "stack_bytes": 0, "barriers": 1}
        spills = {"spill_store_bytes": 0, "spill_load_bytes": 0}
        assert kernel == {"kernel": "scale"} | amounts | spills


def test_all_stands_for_what_the_compiler_knows(
    compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch, caplog: pytest.LogCaptureFixture
) -> None:
    assert run("build", "--arch", "all").exit_code == 0
    assert tuple(archs(compiler.asked)) == EVERY
    assert caplog.records == []
    compiler.architectures = (75, 80, 86, 89, 90)  # type: ignore[assignment]
    done = run("build", "--arch", "all")
    assert done.exit_code == 0
    assert len(done.stdout.splitlines()) == 1 + 5
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert record.getMessage() == "left out, as NVRTC 13.0 does not know it: sm_100, sm_120"


def test_without_a_gpu_architectures_must_be_named(compiler: FakeCompiler) -> None:
    done = run("build")
    assert done.exit_code == 2
    assert "torch finds no GPU to compile for: name architectures, such as --arch sm_90" in done.stderr
    assert done.stdout == ""


def test_by_default_it_compiles_for_the_gpus_there_are(
    compiler: FakeCompiler, monkeypatch: pytest.MonkeyPatch
) -> None:
    FakeGpus(monkeypatch, ((9, 0), (8, 0), (9, 0), (12, 1)))
    assert run("build").exit_code == 0
    assert archs(compiler.asked) == ["sm_90", "sm_80", "compute_120"]


@pytest.mark.parametrize("name", ["90", "sm_10", "compute_90", "", "ALL", "sm_90;rm"])
def test_an_architecture_that_is_none_is_wrong_usage(name: str, compiler: FakeCompiler) -> None:
    done = run("build", "--arch", "sm_90", "--arch", name)
    assert done.exit_code == 2
    assert f"--arch {name}: not " in done.stderr
    assert "sm_120" in done.stderr
    assert compiler.asked == []


def test_without_a_compiler_the_package_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    def missing() -> None:
        raise NvrtcNotFound("NVRTC was not found: pip install nvidia-cuda-nvrtc-cu12 has it")

    monkeypatch.setattr(cuda_build, "nvrtc", missing)
    done = run("build", "--arch", "sm_90")
    assert done.exit_code == 1
    assert done.stderr == "arwkv: error: NVRTC was not found: pip install nvidia-cuda-nvrtc-cu12 has it\n"


def test_what_the_compiler_says_is_passed_on(source: Path) -> None:
    real_compiler()
    source.write_text(DOUBLE.replace("long long count", "long count_"))
    done = run("build", "--arch", "sm_80")
    assert done.exit_code == 1
    assert "double.cu can't be compiled with --std=c++17" in done.stderr
    assert 'has no member "count"' in done.stderr
    assert "Traceback" not in done.stderr


def test_a_cache_that_can_not_be_written_is_a_failure(
    compiler: FakeCompiler, tmp_path: Path, caplog: pytest.LogCaptureFixture
) -> None:
    (tmp_path / "cache").write_text("no folder")
    done = run("build", "--arch", "sm_90", "--arch", "sm_80", "--report")
    assert done.exit_code == 1
    assert [line.split()[0] for line in done.stdout.splitlines()] == ["arch", "sm_90", "sm_80"]
    (record,) = caplog.records
    assert str(tmp_path / "cache") in record.getMessage()
    assert "not kept" in run("build", "--arch", "sm_90").stdout


def test_the_command_is_a_function(compiler: FakeCompiler) -> None:
    (code,) = arwkv_kernels.build(["sm_90"])
    assert (code.arch, code.cached) == ("sm_90", False)
    assert code.file is not None


def test_list_tells_what_runs_and_why_others_do_not() -> None:
    lines = [line.split(maxsplit=2) for line in run("list").stdout.splitlines()]
    rows = {backend: rest[0].strip() for _, backend, *rest in lines[1:]}
    assert lines[0] == ["device", "backend"]
    assert rows["cuda"] == "runs on NVIDIA's GPUs only (--device cuda), not on cpu"
    assert rows["reference"] == "runs"
    assert [backend for backend, rest in rows.items() if rest.startswith("chosen")] == ["numba"]


def test_list_as_json(monkeypatch: pytest.MonkeyPatch) -> None:
    document = json.loads(run("list", "--format", "json").stdout)
    assert document["schema_version"] == 1
    found = {one["backend"]: one for one in document["backends"]}
    assert found["numba"] == {"backend": "numba", "device": "cpu", "reason": None, "chosen": True}
    assert found["cuda"]["reason"].startswith("runs on NVIDIA's GPUs only")
    monkeypatch.setenv(registry.ENVIRONMENT_VARIABLE, "reference")
    registry._choose.cache_clear()
    forced = {
        one["backend"]: one["chosen"] for one in json.loads(run("list", "-f", "json").stdout)["backends"]
    }
    assert [name for name, chosen in forced.items() if chosen] == ["reference"]
    registry._choose.cache_clear()


def test_list_with_a_backend_that_there_is_not(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(registry.ENVIRONMENT_VARIABLE, "abacus")
    done = run("list")
    assert done.exit_code == 2
    assert "ARWKV_BACKEND=abacus: no such backend; there are cuda, numba" in done.stderr

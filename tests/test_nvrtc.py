"""NVRTC is found wherever it may lie, compiles for every architecture, and says what is wrong."""

import ctypes
import os
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_fakes import DOUBLE, SPILLING, real_compiler

from arwkv_core.errors import UsageError
from arwkv_kernels import nvrtc_library, ptxas_report
from arwkv_kernels.cuda_target import EVERY, Target, UnsupportedGpu, target_of, targets_named
from arwkv_kernels.nvrtc import CompileError, Nvrtc, NvrtcError

OPTIONS = ("--std=c++17", "--ptxas-options=-v")


@pytest.fixture(scope="module")
def compiler() -> Nvrtc:
    return real_compiler()


@pytest.fixture
def only(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> Path:
    """The one folder where libraries are looked for."""
    monkeypatch.setattr(nvrtc_library, "_folders", lambda: iter([tmp_path]))
    monkeypatch.setattr(nvrtc_library, "LOADER_NAMES", ())
    return tmp_path


@pytest.mark.parametrize("arch", EVERY)
def test_machine_code_for_every_architecture(arch: str, compiler: Nvrtc) -> None:
    if int(arch.removeprefix("sm_")) not in compiler.architectures:
        pytest.skip(f"NVRTC {compiler.version_text} does not know {arch}")
    compiled = compiler.compile(DOUBLE, "double.cu", (*OPTIONS, Target(arch).option))
    assert compiled.code.startswith(b"\x7fELF")
    (kernel,) = ptxas_report.parse(compiled.log)
    assert kernel.kernel == "scale"
    assert 0 < kernel.registers <= 32
    assert (kernel.shared_bytes, kernel.spill_store_bytes, kernel.spill_load_bytes) == (128, 0, 0)


def test_spills_are_seen(compiler: Nvrtc) -> None:
    compiled = compiler.compile(SPILLING, "crowded.cu", (*OPTIONS, "--gpu-architecture=sm_80"))
    (kernel,) = ptxas_report.parse(compiled.log)
    assert kernel.registers == 32
    assert min(kernel.spill_store_bytes, kernel.spill_load_bytes, kernel.stack_bytes) > 0


def test_assembly_for_a_gpu_that_is_not_known_yet(compiler: Nvrtc) -> None:
    target = target_of((99, 0), compiler)
    assert target.arch == f"compute_{compiler.architectures[-1]}"
    compiled = compiler.compile(DOUBLE, "double.cu", (*OPTIONS, target.option))
    assert b".entry scale" in compiled.code
    assert ptxas_report.parse(compiled.log) == []


def test_what_is_wrong_with_a_source_is_said(compiler: Nvrtc) -> None:
    source = DOUBLE.replace("arguments.factor", "arguments.tractor")
    with pytest.raises(CompileError, match="tractor") as caught:
        compiler.compile(source, "double.cu", (*OPTIONS, "--gpu-architecture=sm_80"))
    assert caught.value.first_error.startswith("double.cu(7): error")
    assert "--gpu-architecture=sm_80" in str(caught.value)


def test_an_option_that_is_not_known_is_said(compiler: Nvrtc) -> None:
    with pytest.raises(CompileError, match="--no-such-option"):
        compiler.compile(DOUBLE, "double.cu", ("--no-such-option",))


PROGRAM = """
import sys
from pathlib import Path
from arwkv_kernels import nvrtc_library
nvrtc_library._folders = lambda: iter([Path(sys.argv[1])])
nvrtc_library.LOADER_NAMES = ()
from arwkv_kernels.nvrtc import nvrtc
nvrtc().compile(sys.argv[2], "double.cu", ("--gpu-architecture=sm_80",))
print(nvrtc().place)
"""


def test_any_path_will_do(compiler: Nvrtc, tmp_path: Path) -> None:
    """In a process of its own, where nothing has loaded the library or its builtins before."""
    found = Path(compiler.place)
    if not found.is_file():
        pytest.skip("the system's loader knows where NVRTC is, and we do not")
    folder = tmp_path / "Füße und 目 [x] %41"
    folder.mkdir()
    for path in found.parent.iterdir():
        if "nvrtc" in path.name:
            (folder / path.name).symlink_to(path)
    environment = {name: value for name, value in os.environ.items() if name != "LD_LIBRARY_PATH"}
    command = [sys.executable, "-c", PROGRAM, str(folder), DOUBLE]
    done = subprocess.run(command, capture_output=True, text=True, check=False, env=environment)
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder / found.name)


@pytest.mark.parametrize(
    "name",
    [
        "libnvrtc.so.13",
        "libnvrtc.so.12",
        "libnvrtc.so.11.2",
        "libnvrtc.so",
        "libnvrtc-672ee683.so.11.2",
        "nvrtc64_120_0.dll",
        "nvrtc64_112_0.dll",
    ],
)
def test_file_names_of_the_library(name: str) -> None:
    assert nvrtc_library.LIBRARY.fullmatch(name)
    assert not nvrtc_library.BUILTINS.fullmatch(name)


@pytest.mark.parametrize(
    "name", ["libnvrtc.alt.so.13", "libnvrtc_static.a", "nvrtc64_120_0.alt.dll", "libnvrtc.so.12.bak"]
)
def test_file_names_of_other_things(name: str) -> None:
    assert not nvrtc_library.LIBRARY.fullmatch(name)
    assert not nvrtc_library.BUILTINS.fullmatch(name)


@pytest.mark.parametrize("name", ["libnvrtc-builtins.so.13.0", "nvrtc-builtins64_128.dll"])
def test_file_names_of_the_builtins(name: str) -> None:
    assert nvrtc_library.BUILTINS.fullmatch(name)
    assert not nvrtc_library.LIBRARY.fullmatch(name)


def test_the_version_of_torch_goes_first(only: Path) -> None:
    for name in ("libnvrtc.so.13", "libnvrtc.so.12", "libnvrtc.so.11.2", "libnvrtc-builtins.so.12.4"):
        (only / name).touch()
    assert [path.name[-2:] for path in nvrtc_library.libraries("12.4")] == ["12", "13", ".2"]
    assert [path.name[-2:] for path in nvrtc_library.libraries("13.1")] == ["13", "12", ".2"]
    assert [path.name[-2:] for path in nvrtc_library.libraries(None)] == ["13", "12", ".2"]


def test_a_broken_library_is_passed_over(only: Path, compiler: Nvrtc) -> None:
    if not Path(compiler.place).is_file():
        pytest.skip("the system's loader knows where NVRTC is, and we do not")
    (only / "libnvrtc.so.13").write_bytes(b"not a library")
    (only / "libnvrtc.so.12").symlink_to(compiler.place)
    assert nvrtc_library.load("13.0")[1] == str(only / "libnvrtc.so.12")


@pytest.mark.parametrize(
    ("version", "package"),
    [
        ("12.4", "nvidia-cuda-nvrtc-cu12"),
        ("13.0", r"'nvidia-cuda-nvrtc==13\.\*'"),
        ("11.8", "nvidia-cuda-nvrtc-cu11"),
    ],
)
def test_without_a_library_the_package_is_named(only: Path, version: str, package: str) -> None:
    (only / "libnvrtc.so.13").write_bytes(b"not a library")
    with pytest.raises(nvrtc_library.NvrtcNotFound, match=f"libnvrtc.so.13.*pip install {package}"):
        nvrtc_library.load(version)


@pytest.mark.skipif(sys.platform != "linux", reason="needs a library that is everywhere and is not NVRTC")
def test_a_library_of_another_kind_is_an_error_that_names_it() -> None:
    with pytest.raises(NvrtcError, match=r"libc\.so is no NVRTC that arwkv can use: it has no nvrtc"):
        Nvrtc(ctypes.CDLL("libc.so.6"), "libc.so")


def test_gpus_older_than_the_compiler_are_refused(compiler: Nvrtc) -> None:
    with pytest.raises(UnsupportedGpu, match=r"this GPU is sm_20, .* compiles for sm_\d+ and newer"):
        target_of((2, 0), compiler)


def test_architectures_by_name(compiler: Nvrtc) -> None:
    targets, unknown = targets_named(["sm_90", "all", "sm_90"], compiler)
    assert targets[0] == Target("sm_90")
    assert sorted([*(target.arch for target in targets), *unknown]) == sorted(EVERY)
    for wrong, what in (("sm_10", "not one of"), ("90", "not the name of one"), ("sm_90a", "not the name")):
        with pytest.raises(UsageError, match=f"--arch {wrong}: {what}.*sm_80"):
            targets_named([wrong], compiler)

"""Compiled CUDA kernels are kept, found again, made again where damaged, and done without where they can't be kept."""

import logging
import os
import subprocess
import sys
import threading
from collections.abc import Callable
from pathlib import Path

import pytest
from cuda_fakes import DOUBLE, FakeCompiler
from test_kernels_cache import cut_short, with_another_byte

from arwkv_kernels import cuda_cache
from arwkv_kernels.cuda_cache import CudaCode, cache_directory, cuda_code
from arwkv_kernels.cuda_target import Target
from arwkv_kernels.kept_file import CACHE_VARIABLE
from arwkv_kernels.nvrtc import CompileError

PROGRAM = Path(__file__).with_name("cuda_cache_program.py")


@pytest.fixture(autouse=True)
def cache(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """The user's cache directory: not there yet, with a name that not every encoding can write."""
    folder = tmp_path / "Кэш für alles"
    monkeypatch.setenv(CACHE_VARIABLE, str(folder))
    monkeypatch.setattr(cuda_cache, "_complained", set())
    return folder


@pytest.fixture
def source(tmp_path: Path) -> Path:
    path = tmp_path / "double.cu"
    path.write_text(DOUBLE)
    return path


def get(source: Path, compiler: FakeCompiler, arch: str = "sm_90") -> CudaCode:
    return cuda_code(source, Target(arch), compiler)  # type: ignore[arg-type]


def files(cache: Path) -> list[Path]:
    return [path for path in cache.rglob("*") if path.is_file()]


def test_the_second_call_does_not_compile(source: Path, cache: Path) -> None:
    compiler = FakeCompiler()
    first, second = get(source, compiler), get(source, compiler)
    assert len(compiler.asked) == 1
    assert (first.cached, second.cached) == (False, True)
    assert (second.code, second.log, second.kernels) == (first.code, first.log, first.kernels)
    assert second.code == b"code\nof --gpu-architecture=sm_90"
    assert [kernel.kernel for kernel in second.kernels] == ["scale"]
    assert files(cache) == [second.file]
    assert second.file is not None
    assert second.file.parent == cache_directory()
    assert second.file.name.startswith("double-sm_90-")


def test_whatever_may_change_the_code_has_a_file_of_its_own(
    source: Path, cache: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    get(source, FakeCompiler())
    assert not get(source, FakeCompiler(), "sm_80").cached
    assert not get(source, FakeCompiler((12, 4))).cached
    with monkeypatch.context() as patch:
        patch.setattr(cuda_cache, "OPTIONS", ("--std=c++20",))
        assert not get(source, FakeCompiler()).cached
    with monkeypatch.context() as patch:
        patch.setattr(cuda_cache, "FORMAT", 0)
        assert not get(source, FakeCompiler()).cached
    assert get(source, FakeCompiler()).cached
    source.write_text(DOUBLE + "\n")
    assert not get(source, FakeCompiler()).cached
    assert len(files(cache)) == 6


@pytest.mark.parametrize("damage", [cut_short, with_another_byte, lambda content: b""])
def test_a_damaged_file_is_made_again(damage: Callable[[bytes], bytes], source: Path, cache: Path) -> None:
    compiler = FakeCompiler()
    get(source, compiler)
    (path,) = files(cache)
    path.write_bytes(damage(path.read_bytes()))
    again = get(source, compiler)
    assert (again.cached, len(compiler.asked)) == (False, 2)
    assert again.code == b"code\nof --gpu-architecture=sm_90"
    assert get(source, compiler).cached


@pytest.mark.parametrize("taken", ["cache", "file", "lock"])
def test_without_a_place_for_it_there_is_code_and_one_message(
    taken: str, source: Path, cache: Path, caplog: pytest.LogCaptureFixture
) -> None:
    """Something else is there instead of a folder or file: permissions would not stop an administrator."""
    if taken == "cache":
        cache.write_text("not a folder")
    else:
        get(source, FakeCompiler())
        (path,) = files(cache)
        path.unlink()
        (path if taken == "file" else path.with_name(f".{path.name}.lock")).mkdir()
    compiler = FakeCompiler()
    for _ in range(2):
        code = get(source, compiler)
        assert (code.cached, code.file) == (False, None)
        assert code.code == b"code\nof --gpu-architecture=sm_90"
    assert len(compiler.asked) == 2
    (record,) = caplog.records
    assert record.levelno == logging.WARNING
    assert str(cache) in record.getMessage()
    assert CACHE_VARIABLE in record.getMessage()


def test_a_source_that_can_not_be_compiled_leaves_nothing(source: Path, cache: Path) -> None:
    for _ in range(2):
        with pytest.raises(CompileError, match="no such thing"):
            get(source, FakeCompiler(error="double.cu(3): error: no such thing"))
    assert files(cache) == []


def start(source: Path, seconds: float) -> "subprocess.Popen[str]":
    command = [sys.executable, str(PROGRAM), str(source), str(seconds)]
    return subprocess.Popen(command, stdout=subprocess.PIPE, text=True, env=os.environ)


def output(process: "subprocess.Popen[str]") -> list[str]:
    said, _ = process.communicate(timeout=120)
    assert process.returncode == 0
    return said.split()


def wait_for_start(process: "subprocess.Popen[str]") -> None:
    assert process.stdout is not None
    assert process.stdout.readline() == "start\n"


def test_of_two_processes_one_compiles(source: Path, cache: Path) -> None:
    first = start(source, 4)
    wait_for_start(first)
    second = start(source, 0)
    assert (output(first), output(second)) == (["compiled"], ["cached"])
    assert len(files(cache)) == 1


def test_of_many_threads_one_compiles(source: Path, cache: Path) -> None:
    compiler = FakeCompiler()
    together = threading.Barrier(8)
    found: list[CudaCode] = []

    def run() -> None:
        together.wait()
        found.append(get(source, compiler))

    threads = [threading.Thread(target=run) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(code.cached for code in found) == [False] + [True] * 7
    assert len(files(cache)) == 1


def test_a_process_that_is_killed_while_it_compiles_stands_in_nobodys_way(source: Path, cache: Path) -> None:
    first = start(source, 600)
    wait_for_start(first)
    first.kill()
    first.communicate()
    assert output(start(source, 0)) == ["start", "compiled"]
    assert len(files(cache)) == 1

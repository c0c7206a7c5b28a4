"""Compiled kernels are kept, found again by the next process, and done without where they can't be kept."""

import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import pytest

import arwkv_kernels

pytest.importorskip("numba")

PROGRAM = Path(__file__).with_name("kernel_cache_program.py")

# Imports the package from a folder, whatever way it is installed, and runs the program with it.
LAUNCHER = """
import importlib.util, runpy, sys
program, folder = sys.argv[1:]
sys.meta_path[:] = [finder for finder in sys.meta_path if "editable" not in getattr(finder, "__module__", "")]
start = folder + "/__init__.py"
spec = importlib.util.spec_from_file_location("arwkv_kernels", start, submodule_search_locations=[folder])
sys.modules["arwkv_kernels"] = package = importlib.util.module_from_spec(spec)
spec.loader.exec_module(package)
runpy.run_path(program, run_name="__main__")
"""

INSTALLED = Path(arwkv_kernels.__file__).parent


def start(cache: Path, package: Path = INSTALLED, **variables: str) -> "subprocess.Popen[str]":
    environment = {name: value for name, value in os.environ.items() if name != "NUMBA_CACHE_DIR"}
    places = {"XDG_CACHE_HOME": str(cache), "HOME": str(cache), "LOCALAPPDATA": str(cache)}
    return subprocess.Popen(
        [sys.executable, "-c", LAUNCHER, str(PROGRAM), str(package)],
        env=environment | places | variables,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )


def finish(process: "subprocess.Popen[str]") -> tuple[str, str]:
    """The program's output and warnings."""
    output, errors = process.communicate(timeout=120)
    assert process.returncode == 0, errors
    return output.strip(), errors


def files(folder: Path) -> list[Path]:
    return [path for path in folder.rglob("small_kernel.*") if path.is_file()]


def test_the_second_process_does_not_compile(tmp_path: Path) -> None:
    assert finish(start(tmp_path)) == ("compiled", "")
    assert len(files(tmp_path)) == 1
    assert finish(start(tmp_path)) == ("loaded", "")


def test_two_processes_may_compile_at_once(tmp_path: Path) -> None:
    both = [start(tmp_path), start(tmp_path)]
    assert [finish(process)[1] for process in both] == ["", ""]
    assert finish(start(tmp_path)) == ("loaded", "")


def cut_short(content: bytes) -> bytes:
    return content[:20]


def with_another_byte(content: bytes) -> bytes:
    middle = len(content) // 2
    return content[:middle] + bytes([content[middle] ^ 1]) + content[middle + 1 :]


@pytest.mark.parametrize("damage", [cut_short, with_another_byte, lambda content: b""])
def test_a_damaged_cache_is_made_again(damage: Callable[[bytes], bytes], tmp_path: Path) -> None:
    finish(start(tmp_path))
    (path,) = files(tmp_path)
    path.write_bytes(damage(path.read_bytes()))
    assert finish(start(tmp_path)) == ("compiled", "")
    assert finish(start(tmp_path)) == ("loaded", "")


def test_without_a_place_for_it_there_is_a_warning_and_a_result(tmp_path: Path) -> None:
    occupied = tmp_path / "file"
    occupied.write_text("not a folder")  # permission bits would not stop an administrator
    output, errors = finish(start(occupied))
    assert output == "compiled"
    assert "NUMBA_CACHE_DIR" in errors
    assert str(occupied) in errors


def test_the_users_own_choice_of_directory_holds(tmp_path: Path) -> None:
    finish(start(tmp_path / "home", NUMBA_CACHE_DIR=str(tmp_path / "chosen")))
    assert len(files(tmp_path / "chosen")) == 1
    assert files(tmp_path / "home") == []


def test_another_cpu_or_other_settings_have_a_cache_of_their_own(tmp_path: Path) -> None:
    finish(start(tmp_path))
    assert finish(start(tmp_path, NUMBA_CPU_NAME="generic")) == ("compiled", "")
    assert finish(start(tmp_path, NUMBA_CPU_FEATURES="")) == ("compiled", "")
    assert finish(start(tmp_path, NUMBA_OPT="1")) == ("compiled", "")
    assert len(files(tmp_path)) == 4
    assert finish(start(tmp_path)) == ("loaded", "")


def test_nothing_but_the_result_is_left_in_the_cache(tmp_path: Path) -> None:
    finish(start(tmp_path))
    assert [path for path in tmp_path.rglob("*") if path.is_file()] == files(tmp_path)


def test_nothing_is_written_beside_the_sources(tmp_path: Path) -> None:
    package, cache = tmp_path / "site" / "arwkv_kernels", tmp_path / "cache"
    shutil.copytree(INSTALLED, package, ignore=shutil.ignore_patterns("__pycache__"))
    package.chmod(0o555)
    try:
        assert finish(start(cache, package, PYTHONDONTWRITEBYTECODE="1")) == ("compiled", "")
        assert files(package) == []
        assert finish(start(cache, package, PYTHONDONTWRITEBYTECODE="1")) == ("loaded", "")
    finally:
        package.chmod(0o755)
    # other sources, other cache: an upgrade never meets the code of the version before it
    (package / "numba_more.py").write_text("")
    assert finish(start(cache, package)) == ("compiled", "")

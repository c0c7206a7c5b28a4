"""The CUDA kernels as the compiler makes them: for every architecture, all in registers, with the arguments we pass."""

import ctypes
import json
import re
import shutil
import subprocess
from dataclasses import asdict
from pathlib import Path

import kernel_cases as cases
import pytest
import torch
from conftest import RunArwkv
from cuda_fakes import real_compiler

from arwkv_kernels import cuda_launch
from arwkv_kernels.cuda_cache import CudaCode, cuda_code
from arwkv_kernels.cuda_launch import KERNELS, SOURCE, Launch
from arwkv_kernels.cuda_target import EVERY, Target
from arwkv_kernels.kept_file import CACHE_VARIABLE

PARAMETERS = re.compile(r"\.entry (\w+)\(([^)]*)\)", re.DOTALL)
STRUCT = re.compile(r"\.param \.align 8 \.b8 \w+\[(\d+)\]")


@pytest.fixture(scope="module")
def cache(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A cache directory for all tests of this file: compiling takes seconds."""
    return tmp_path_factory.mktemp("cache")


@pytest.fixture(autouse=True)
def own_cache(cache: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(CACHE_VARIABLE, str(cache))


def code_for(arch: str) -> CudaCode:
    compiler = real_compiler()
    if int(arch.split("_")[1]) not in compiler.architectures:
        pytest.skip(f"NVRTC {compiler.version_text} does not know {arch}")
    return cuda_code(SOURCE, Target(arch), compiler)


@pytest.mark.parametrize("arch", EVERY)
def test_kernels_compile_and_keep_everything_in_registers(arch: str) -> None:
    found = {one.kernel: one for one in code_for(arch).kernels}
    assert sorted(found) == sorted(KERNELS)
    spilled = {
        name: (one.spill_store_bytes, one.spill_load_bytes, one.stack_bytes)
        for name, one in found.items()
        if one.spill_store_bytes or one.spill_load_bytes or one.stack_bytes
    }
    assert spilled == {}


def launches() -> list[Launch]:
    """Of one call of everything there is, in each dtype."""
    seen: list[Launch] = []
    for dtype in (torch.float32, torch.bfloat16, torch.float16):
        inputs = cases.in_dtype(cases.inputs(1, 40, 2), dtype)
        cuda_launch.forward(seen.append, *inputs)
        cuda_launch.backward(seen.append, cases.incoming(1, 40, 2).to(dtype), *inputs)
        cuda_launch.sweep(seen.append, *inputs[:6], torch.zeros(1, 2, 64, 64), False)
    return seen


def test_launches_pass_what_the_kernels_take() -> None:
    """One structure by value, as large in Python as the compiler has it."""
    taken = {}
    for name, parameters in PARAMETERS.findall(code_for("compute_80").code.decode(errors="replace")):
        (size,) = STRUCT.findall(parameters)
        assert parameters.count(".param") == 1
        taken[name] = int(size)
    assert sorted(taken) == sorted(KERNELS)
    for launch in launches():
        assert ctypes.sizeof(launch.arguments) == taken[launch.kernel], launch.kernel


@pytest.mark.parametrize("arch", ["sm_75", "sm_90"])
def test_every_launch_fits_on_a_multiprocessor(arch: str) -> None:
    """Registers are given out to warps in units of 8 a thread; a multiprocessor has 65,536."""
    found = {one.kernel: one for one in code_for(arch).kernels}
    for launch in launches():
        one = found[launch.kernel]
        threads = launch.block[0] * launch.block[1] * launch.block[2]
        assert threads * (-(-one.registers // 8) * 8) <= 65_536
        assert one.shared_bytes + launch.shared_bytes <= 64 * 1024  # of sm_75, which has the least
        assert max(launch.grid[1:]) < 65_536


def disassembler() -> str | None:
    """One of the toolkit's, or that of triton, which comes with torch."""
    if found := shutil.which("cuobjdump"):
        return found
    try:
        import triton
    except ImportError:
        return None
    found = Path(triton.__file__).parent / "backends" / "nvidia" / "bin" / "cuobjdump"
    return str(found) if found.is_file() else None


@pytest.mark.parametrize("arch", ["sm_80", "sm_90"])
def test_the_report_is_what_the_machine_code_says(arch: str, tmp_path: Path) -> None:
    tool = disassembler()
    if tool is None:
        pytest.skip("needs cuobjdump, of the CUDA toolkit or of triton")
    code = code_for(arch)
    path = tmp_path / "kernels.cubin"
    path.write_bytes(code.code)
    done = subprocess.run([tool, "-res-usage", str(path)], capture_output=True, text=True, check=True)
    said = re.findall(r"Function (\w+):\s+REG:(\d+) STACK:(\d+)", done.stdout)
    expected = [(one.kernel, one.registers, one.stack_bytes) for one in code.kernels]
    assert sorted((name, int(registers), int(stack)) for name, registers, stack in said) == expected


def test_the_command_finds_them_in_the_cache(run_arwkv: RunArwkv) -> None:
    code = code_for("sm_80")
    done = run_arwkv("kernels", "build", "--arch", "sm_80", "--report", "--format", "json")
    assert (done.returncode, done.stderr) == (0, "sm_80: was compiled already\n")
    (build,) = json.loads(done.stdout)["builds"]
    assert build["file"] == str(code.file)
    assert build["kernels"] == [asdict(one) for one in code.kernels]

"""The script that measures a GPU, where there is none: on the emulator, and with what it must refuse."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import cuda_emulator
import pytest
import torch
from torch import Tensor

from arwkv_kernels import cuda_launch

needs_compiler = pytest.mark.skipif(
    not cuda_emulator.available(), reason="needs g++, which compiles the kernels' source for the CPU"
)


@pytest.fixture(autouse=True)
def scripts(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))


@pytest.fixture
def run(monkeypatch: pytest.MonkeyPatch) -> Callable[..., None]:
    def main(*arguments: str) -> None:
        import gpu  # type: ignore[import-not-found]  # a script's folder, on the path for these tests only

        monkeypatch.setattr("sys.argv", ["gpu.py", *arguments])
        gpu.main()

    return main


@needs_compiler
def test_everything_is_checked_and_then_timed(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    import gpu  # as above

    checked: list[Any] = []
    real = gpu.check

    def check(here: Any, shape: tuple[int, ...], dtype: torch.dtype) -> None:
        real(here, shape, dtype)
        checked.append((shape, dtype))

    monkeypatch.setattr(gpu, "check", check)
    run("--device", "emulator", "--minutes", "0.2", "--format", "json")
    document = json.loads(capsys.readouterr().out)
    assert checked == [(shape, dtype) for shape in gpu.CHECKED_EMULATED for dtype in gpu.DTYPES.values()]
    assert "NOT a GPU" in document["device"]
    assert document["is_gpu"] is False
    assert [row["what"] for row in document["rows"]] == [
        "forward",
        "backward",
        "cat + flip, forward",
        "attention, forward",
        "tag 0.2 min, a-rwkv-t-open",
    ]
    assert all(row["seconds"] > 0 for row in document["rows"])


@needs_compiler
def test_nothing_is_timed_when_a_result_is_off(
    run: Callable[..., None], capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    real = cuda_launch.backward

    def off(*arguments: Any) -> tuple[Tensor, ...]:
        dr, *others = real(*arguments)
        return 1.01 * dr, *others

    monkeypatch.setattr(cuda_launch, "backward", off)
    with pytest.raises(SystemExit) as stopped:
        run("--device", "emulator")
    assert "dr of (1, 1, 1), torch.float32" in str(stopped.value)
    assert "nothing is timed" in str(stopped.value)
    assert capsys.readouterr().out == ""


@pytest.mark.skipif(torch.cuda.is_available(), reason="there is a GPU here")
def test_without_a_gpu_it_says_so(run: Callable[..., None]) -> None:
    with pytest.raises(SystemExit, match=r"--device cuda: .*torch finds no CUDA device.*--device emulator"):
        run()


def test_without_a_compiler_the_emulator_says_so(
    run: Callable[..., None], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(cuda_emulator, "available", lambda: False)
    with pytest.raises(SystemExit, match=r"--device emulator: needs g\+\+"):
        run("--device", "emulator")

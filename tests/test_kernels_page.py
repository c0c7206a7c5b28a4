"""``docs/kernels.md``: its example works, and its numbers are those of the programs that it names."""

import importlib.util
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import kernel_cases as cases
import pytest
import torch

from arwkv_core.errors import ArwkvError
from arwkv_kernels import backends, bi_wkv7, op, registry, wkv7_sweep  # noqa: F401  # op registers the backends
from arwkv_kernels.nvrtc import nvrtc


@pytest.fixture
def page(checkout: Path) -> str:
    return (checkout / "docs" / "kernels.md").read_text("utf-8")


@pytest.fixture
def own_registry(monkeypatch: pytest.MonkeyPatch) -> Iterator[None]:
    monkeypatch.setattr(registry, "_backends", dict(registry._backends))
    registry._choose.cache_clear()
    yield
    registry._choose.cache_clear()


@pytest.fixture
def writer(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    spec = importlib.util.spec_from_file_location("write_kernels", checkout / "docs" / "write_kernels.py")
    assert spec is not None
    assert spec.loader is not None
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    return module


@pytest.mark.usefixtures("own_registry")
def test_the_backend_of_the_example_computes(page: str, monkeypatch: pytest.MonkeyPatch) -> None:
    (example,) = re.findall(r"```python\n(.*?)```", page, re.DOTALL)
    exec(compile(example, "docs/kernels.md", "exec"), {})
    monkeypatch.setenv("ARWKV_BACKEND", "exact")
    leaves = [x.clone().requires_grad_() for x in cases.inputs(1, 5, 2)]
    y = bi_wkv7(*leaves)
    y.backward(cases.incoming(1, 5, 2))
    expected, gradients = cases.expected(1, 5, 2, "trained", torch.float32)
    cases.assert_close("y", y.detach(), expected, 1e-6)
    for name, leaf, gradient in zip(cases.NAMES, leaves, gradients, strict=True):
        assert leaf.grad is not None
        cases.assert_close(f"d{name}", leaf.grad, gradient, 1e-6)
    *inputs, _ = cases.inputs(1, 5, 2)
    y, state = wkv7_sweep(*inputs, reverse=True)
    assert (y.dtype, state.dtype) == (torch.float32,) * 2


def test_every_backend_is_in_the_tables(page: str) -> None:
    first, second = re.findall(r"\n\n(\|(?:.*\n)+?)\n", page)[:2]
    names = [name for name in registry.ORDER if name in {one.name for one in backends()}]
    assert re.findall(r"^\| `(\w+)` \|", first, re.MULTILINE) == names
    assert re.findall(r"`(\w+)`", second.splitlines()[0]) == names


def test_registers_are_those_of_the_compiler(page: str, writer: Any) -> None:
    """On one architecture: to compile for all takes minutes."""
    try:
        version = nvrtc().version_text
    except ArwkvError as error:
        pytest.skip(str(error))
    table = writer.section("resources").search(page)[0]
    if f"NVRTC {version}." not in table:
        pytest.skip(f"the page was written with another version than NVRTC {version}")
    header, _, *lines = [
        [cell.strip(" `") for cell in line.split("|")[1:-1]] for line in table.split("\n\n")[1].splitlines()
    ]
    place = header.index("sm_90")
    found = {line[0]: (line[1], line[place]) for line in lines}
    assert found == {
        name: (f"{writer.shared_bytes(name):,}", registers)
        for name, registers in writer.column("sm_90").items()
    }, "run: python docs/write_kernels.py"
    assert not any("+" in cell for line in lines for cell in line), "registers are spilled"


def test_costs_are_those_of_the_model(page: str, checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """What does not depend on registers: bytes, and what is assumed."""
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))
    import gpu_roofline  # type: ignore[import-not-found]  # a script's folder, on the path for this test only

    found, notes = gpu_roofline.rows(torch.bfloat16, [1, 32, 256], False, False)
    for row in found:
        _, model, shape, path, of_token, *_ = gpu_roofline.cells(row)
        assert f"| {model} | {shape} | {path} | {of_token} |" in page, "run: python docs/write_kernels.py"
    for note in notes[3:]:
        assert f"- {note}\n" in page, "run: python docs/write_kernels.py"

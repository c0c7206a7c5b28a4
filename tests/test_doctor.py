"""``arwkv doctor``: what is checked, and the way out where something is not as it should be."""

import importlib
import json
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from broken_backend import broken_backend
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from typer.testing import CliRunner

import arwkv_core
import arwkv_models
from arwkv_cli.app import app
from arwkv_core.benchmark import plain_features
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.diagnosis import devices, front_end, kernels, models, packages, processor
from arwkv_core.diagnosis.check import Check, checked
from arwkv_core.diagnosis.doctor import SECTIONS


def by_name(checks: Iterator[Check]) -> dict[str, Check]:
    return {check.name: check for check in checks}


def test_all_is_well_here() -> None:
    done = CliRunner().invoke(app, ["doctor", "--format", "json"], catch_exceptions=False)
    document = json.loads(done.stdout)
    failed = [check for check in document["checks"] if check["ok"] is False]
    assert failed == []
    assert done.exit_code == 0
    assert (document["schema_version"], document["ok"]) == (1, True)
    assert {check["section"] for check in document["checks"]} == {title for title, _, _ in SECTIONS}
    named = {check["name"]: check["found"] for check in document["checks"]}
    assert named["arwkv"] == arwkv_core.__version__
    assert "libsndfile" in named["soundfile"]
    assert "against fp32: bf16" in named["a matrix product"]
    assert "a-rwkv-t-open in fp32" in named


@pytest.fixture
def one_section(monkeypatch: pytest.MonkeyPatch) -> None:
    """Doctor looks at log-mels only."""
    from arwkv_core.diagnosis import doctor

    monkeypatch.setattr(
        doctor, "SECTIONS", ((front_end.SECTION, front_end.check_features, front_end.WAY_OUT),)
    )


@pytest.mark.usefixtures("one_section")
def test_a_failure_is_shown_with_its_way_out(monkeypatch: pytest.MonkeyPatch) -> None:
    def off(sound: Any) -> Any:
        return np.zeros_like(plain_features.plain_log_mel(sound))

    assert CliRunner().invoke(app, ["doctor"]).stdout.splitlines()[-1].strip() == "all is well"
    monkeypatch.setattr(plain_features, "log_mel", off)
    done = CliRunner().invoke(app, ["doctor"], catch_exceptions=False)
    assert done.exit_code == 1
    assert "FAILED" in done.stdout
    assert f"→ {front_end.WAY_OUT}" in done.stdout
    assert done.stdout.splitlines()[-1].strip() == "failed: 1"


def test_an_exception_in_a_section_is_a_failed_check() -> None:
    def section() -> Iterator[Check]:
        yield Check("section", "first", "fine", True)
        raise OSError("libfoo.so: cannot open shared object file\nand more")

    first, second = checked("section", section, "install foo")
    assert first.ok
    assert (second.ok, second.way_out) == (False, "install foo")
    assert second.found == "OSError: libfoo.so: cannot open shared object file"


def test_a_package_that_is_missing_or_broken_is_named(monkeypatch: pytest.MonkeyPatch) -> None:
    real = importlib.import_module

    def without(name: str, *rest: Any) -> Any:
        if name in ("soxr", "numba"):
            raise ImportError(f"no module named {name}")
        return real(name, *rest)

    monkeypatch.setattr(importlib, "import_module", without)
    monkeypatch.setattr(packages, "version_of", lambda name: None if name == "soxr" else "1.0")
    found = by_name(packages.check_packages())
    assert (found["soxr"].ok, found["soxr"].found) == (False, "not installed")
    assert "can't be imported (no module named numba)" in found["numba"].found
    assert found["numba"].way_out == "pip install --force-reinstall numba"
    assert found["torch"].ok


def test_a_backend_that_computes_wrongly_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_backend(monkeypatch) as name:
        found = by_name(kernels.check_kernels())
    assert found[f"{name} on cpu"].ok is False
    assert "computes wrongly" in found[f"{name} on cpu"].found
    assert found["numba on cpu"].ok


def test_a_backend_that_is_forced_but_unknown_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "nonsense")
    chosen = by_name(kernels.check_kernels())["chosen for float32 on cpu"]
    assert chosen.ok is False
    assert "no such backend" in chosen.found
    assert "unset ARWKV_BACKEND" in chosen.way_out


def test_the_slow_loop_is_no_good_choice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("ARWKV_BACKEND", "reference")
    chosen = by_name(kernels.check_kernels())["chosen for float32 on cpu"]
    assert chosen.ok is False
    assert "slower" in chosen.found


def test_a_cache_that_can_not_be_written_is_found(monkeypatch: pytest.MonkeyPatch, tmp_path: Path) -> None:
    (tmp_path / "file").write_text("no folder")
    monkeypatch.setenv("NUMBA_CACHE_DIR", str(tmp_path / "file"))
    (cache,) = kernels.check_cache()
    assert cache.ok is False
    assert "NUMBA_CACHE_DIR" in cache.way_out


def test_more_threads_than_cores_are_found() -> None:
    assert processor._threads(2, 2).ok
    too_many = processor._threads(2, 8)
    assert (too_many.ok, "OMP_NUM_THREADS=2" in too_many.way_out) == (False, True)


def test_a_precision_that_is_slower_than_float32_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    from arwkv_core.benchmark import precisions

    monkeypatch.setattr(precisions, "choose", lambda: ("bf16", "because"))
    monkeypatch.setattr(devices, "product_rates", lambda: {"fp32": 100.0, "bf16": 2.0, "int8": 90.0})
    found = by_name(devices.check_precision())["a matrix product"]
    assert found.ok is False
    assert "--precision fp32" in found.way_out


def test_a_damaged_model_is_found() -> None:
    folder = arwkv_models.user_folder() / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "")
    assert by_name(models.check_models())["gate"].ok
    weights = arwkv_models.find("gate").weights
    weights.write_bytes(weights.read_bytes()[:-1] + b"x")
    found = by_name(models.check_models())
    assert found["gate"].ok is False
    assert str(folder) in found["gate"].way_out
    assert found["a-rwkv-t-open"].ok


def test_a_bundled_model_that_hears_something_else_is_found(monkeypatch: pytest.MonkeyPatch) -> None:
    with broken_backend(monkeypatch):
        found = by_name(models.check_bundled_model())
    assert all(check.ok is False and "--precision fp32" in check.way_out for check in found.values())

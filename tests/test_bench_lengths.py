"""The curve of time and memory over the length of what is heard at once."""

import json
import sys
from pathlib import Path

import pytest
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config

from arwkv_core.benchmark import length_curve, process
from arwkv_core.benchmark.length_curve import measure_curves
from arwkv_core.benchmark.settings import Settings
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import ArwkvError


def test_a_point_is_measured_in_a_process_of_its_own(tmp_path: Path) -> None:
    save_model_folder(tmp_path / "tiny", random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "")
    command = [sys.executable, "-m", "arwkv_core.benchmark.length_point"]
    found = json.loads(process.run([*command, "arwkv", str(tmp_path / "tiny"), "20", "fp32", "1"]).output)
    assert found["seconds"] > 0
    assert found["bytes"] is None or found["bytes"] >= 0


def test_a_curve_ends_where_its_next_point_would_take_too_long(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], threads: int | None) -> process.Finished:
        kind, _, seconds = command[3:6]
        took = float(seconds) * 0.001 if kind == "arwkv" else 0.002 * float(seconds) ** 2
        return process.Finished(1.0, None, json.dumps({"seconds": took, "bytes": 1_000_000}))

    monkeypatch.setattr(length_curve, "run", run)
    monkeypatch.setattr(type(length_curve.ast.PEER), "obstacle", lambda peer: None)
    points = list(measure_curves(Settings(model=("T",), precision=("fp32",)), lambda what: None))
    ours = [point.sound_seconds for point in points if point.model == "A-RWKV-T, fp32"]
    theirs = [point.sound_seconds for point in points if point.model == "AST-B, fp32"]
    assert ours == list(length_curve.LENGTHS)
    assert theirs == [10, 30, 60, 120], "300 s would take 180 s"


def test_a_curve_ends_where_a_point_fails(monkeypatch: pytest.MonkeyPatch) -> None:
    def run(command: list[str], threads: int | None) -> process.Finished:
        if float(command[5]) > 30:
            raise ArwkvError("killed")
        return process.Finished(1.0, None, json.dumps({"seconds": 0.1, "bytes": None}))

    monkeypatch.setattr(length_curve, "run", run)
    monkeypatch.setattr(type(length_curve.ast.PEER), "obstacle", lambda peer: "not installed")
    points = list(measure_curves(Settings(model=("T",), precision=("fp32",)), lambda what: None))
    assert [point.sound_seconds for point in points] == [10, 30]

"""``arwkv models``."""

import json
import subprocess
import sys
from pathlib import Path

import pytest
from fake_models import THREE_CLASSES, THREE_LABELS, published_file, random_model, three_class_config
from typer.testing import CliRunner

import arwkv_models
from arwkv_cli.models import app
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import LabelError, ModelNotFound, UsageError


def run(*arguments: str | Path) -> str:
    """What a command that works prints on stdout."""
    result = CliRunner().invoke(app, [str(argument) for argument in arguments], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture
def gate() -> arwkv_models.ZooModel:
    """An added model of three classes."""
    folder = arwkv_models.user_folder() / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "# Gate\n")
    return arwkv_models.find("gate")


def test_the_list_is_a_table(gate: arwkv_models.ZooModel) -> None:
    lines = run("list").splitlines()
    assert lines[0].split()[:2] == ["name", "classes"]
    assert [line.split()[0] for line in lines[1:]] == ["a-rwkv-t-open", "gate"]
    assert lines[2].split() == ["gate", "3", "1", "×", "64", "frequency", "sigmoid", "added"]


def test_the_list_as_json(gate: arwkv_models.ZooModel) -> None:
    listed = {entry["name"]: entry for entry in json.loads(run("list", "--format", "json"))}
    assert listed["gate"] == {
        "schema_version": 1,
        "name": "gate",
        "origin": "added",
        "folder": str(gate.folder),
        "problem": None,
        "architecture": {"depth": 1, "width": 64, "classes": 3, "position": "frequency"},
        "score_function": "sigmoid",
        "window_frames": 992,
    }


def test_a_broken_model_is_listed_with_its_reason(gate: arwkv_models.ZooModel) -> None:
    gate.weights.unlink()
    result = CliRunner().invoke(app, ["list"], catch_exceptions=False)
    assert result.exit_code == 0
    assert "broken" in result.stdout
    assert f"broken: gate: {gate.folder}" in result.stderr
    listed = {entry["name"]: entry for entry in json.loads(run("list", "-f", "json"))}
    assert "there is no such file" in listed["gate"]["problem"]


def test_show_tells_all(gate: arwkv_models.ZooModel) -> None:
    shown = run("show", "gate")
    for text in (
        "A-RWKV, 1 blocks, width 64, frequency positions",
        "3 classes: Speech; Music; Garden gate, squeaking",
        "kaldi-log-mel, 32000 Hz, mean -4.421761, std 4.32408",
        "sigmoid of the logits, active from 0.5",
        "992 frames, 9.92 s; takes any length",
        'a "garden", 3 h',
        "metrics test mAP  0.5",
        "CC0-1.0",
        "intact",
        str(gate.folder),
    ):
        assert text in shown


def test_show_as_json(gate: arwkv_models.ZooModel) -> None:
    shown = json.loads(run("show", "gate", "--format", "json"))
    assert shown["labels"][1] == {"mid": "/m/04rlf", "name": "Music"}
    assert shown["front_end"] == {
        "kind": "kaldi-log-mel",
        "sample_rate": 32000,
        "mean": -4.421761,
        "std": 4.32408,
    }
    assert shown["training"] == {"data": 'a "garden", 3 h', "clips": 120}
    assert shown["metrics"] == {"test": {"mAP": 0.5}}
    assert shown["weights"]["bytes"] == gate.weights.stat().st_size
    assert gate.config is not None
    assert shown["weights"]["sha256"] == gate.config.weights_sha256


def test_brackets_are_no_markup(gate: arwkv_models.ZooModel) -> None:
    config = gate.folder / "config.toml"
    config.write_text(config.read_text().replace("CC0-1.0", "[bold]CC0[/]"))
    assert "[bold]CC0[/]" in run("show", "gate")


def test_a_published_file_is_added(tmp_path: Path) -> None:
    said = run("add", published_file(tmp_path / "audio_model.pth"), "--name", "published")
    folder = arwkv_models.user_folder() / "published"
    assert said == f"added published: {folder}\n"
    shown = run("show", "published")
    assert "527 classes" in shown
    assert "softmax of the logits" in shown
    assert "takes that length only" in shown
    assert "not stated" in shown


def test_a_file_of_own_classes_is_added_with_labels_and_score_function(tmp_path: Path) -> None:
    file = published_file(tmp_path / "a.pth", THREE_CLASSES)
    THREE_LABELS.write(tmp_path / "labels.csv")
    options = ["--labels", tmp_path / "labels.csv", "--score-function", "sigmoid"]
    run("add", file, "--name", "gate", *options)
    assert arwkv_models.find("gate").labels == THREE_LABELS
    run("add", file, "--name", "gate", *options, "--overwrite")


@pytest.mark.parametrize(
    ("arguments", "error"),
    [
        (["show", "no-such-model"], ModelNotFound),
        (["add", "no-such.pth", "--name", "x"], ModelNotFound),
        (["add", "no-such.pth", "--name", "../x"], UsageError),
        (["add", "no-such.pth", "--name", "x", "--labels", "no-such.csv"], LabelError),
    ],
)
def test_what_cannot_be_done_is_an_error_for_people(arguments: list[str], error: type[Exception]) -> None:
    result = CliRunner().invoke(app, arguments)
    assert isinstance(result.exception, error)


@pytest.mark.parametrize(
    "arguments",
    [["add", "x.pth"], ["list", "--format", "xml"], ["add", "x", "--name", "y", "--score-function", "z"]],
)
def test_wrong_usage_exits_with_2(arguments: list[str]) -> None:
    assert CliRunner().invoke(app, arguments).exit_code == 2


@pytest.mark.parametrize("command", [["list"], ["list", "-f", "json"], ["show", "gate"]])
def test_looking_at_models_does_not_load_torch(gate: arwkv_models.ZooModel, command: list[str]) -> None:
    script = (
        "import sys; from arwkv_cli.models import app\n"
        f"app({command!r}, standalone_mode=False)\n"
        "heavy = {'torch', 'numpy', 'numba', 'safetensors', 'soundfile'} & set(sys.modules)\n"
        "assert not heavy, heavy\n"
    )
    subprocess.run([sys.executable, "-c", script], check=True, capture_output=True)

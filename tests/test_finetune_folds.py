"""``arwkv finetune --folds``: each fold tested by a model that learnt from the others, killed or not."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
from finetune_calls import quick_recipe, run
from own_sounds import class_folders, label_tracks, tiny_model, write_csv, write_sound
from test_training_processes import start
from typer.testing import CliRunner

import arwkv_core
import arwkv_models
from arwkv_cli.app import app
from arwkv_core.errors import DatasetError, UsageError
from arwkv_core.labelled.fold_split import with_test_fold
from arwkv_core.labelled.problems import Problems
from arwkv_core.labelled.segment import Segment

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Files of two kinds, in folds 1 to 3 by their names."""
    return class_folders(tmp_path_factory.mktemp("folders") / "sounds", kinds=("hum", "hiss"), each=9)


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_recipe(tmp_path_factory.mktemp("recipe") / "quick.toml")


def command(data: Path, model: Path, recipe: Path, folder: Path, *more: str | Path) -> list[str]:
    fixed = ["--name", "mine", "--model", model, "--recipe", recipe, "--run", folder / "runs"]
    where = ["--cache", folder.parent / "mels of folds", "--device", "cpu", "--quiet", "--format", "json"]
    return [str(each) for each in ("finetune", data, *fixed, *where, *more)]


def test_every_fold_is_tested_by_a_model_that_did_not_hear_it(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path
) -> None:
    more = ("--folds", "name", "--steps", "40", "--batch", "4", "--rate", "0.003")
    call = command(folders, tiny, quick, tmp_path, *more)
    report = run(call)
    assert report["schema_version"] == 1
    assert report["model"] == "tiny"
    assert {name: fold["clips"] for name, fold in report["folds"].items()} == {"1": 6, "2": 6, "3": 6}
    whole = report["cross_validation"]
    assert whole["clips"] == 18
    assert whole["accuracy"] == pytest.approx(
        np.mean([fold["accuracy"] for fold in report["folds"].values()])
    )
    assert whole["accuracy"] > 0.6, report
    assert report["folder"] == str(tmp_path / "runs")
    assert sorted(path.name for path in (tmp_path / "runs").iterdir()) == ["fold-1", "fold-2", "fold-3"]
    assert "mine" not in [model.name for model in arwkv_models.list_models()], "no model is delivered"
    assert len(list((tmp_path.parent / "mels of folds").glob("*.f16"))) == 1, "sounds are decoded once"
    logs = {path: path.read_text() for path in (tmp_path / "runs").glob("*/log.jsonl")}
    assert len(logs) == 3
    assert run(call) == report
    assert {path: path.read_text() for path in logs} == logs, "it is done: nothing is repeated"


def test_a_killed_run_ends_in_the_same_numbers(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path
) -> None:
    def call(folder: str, *more: str) -> list[str]:
        arguments = ("--folds", "2", "--steps", "20", "--batch", "4", *more)
        return [
            sys.executable,
            "-m",
            "arwkv_cli",
            *command(folders, tiny, quick, tmp_path / folder, *arguments),
        ]

    environment = os.environ | ONE_THREAD
    process = subprocess.Popen(call("killed", "--checkpoint-seconds", "0"), env=environment)
    second = tmp_path / "killed" / "runs" / "fold-2" / "checkpoint.pt"
    while not second.exists() and process.poll() is None:
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    outputs = []
    for folder in ("killed", "whole"):
        done = subprocess.run(call(folder), capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
        outputs.append(json.loads(done.stdout) | {"folder": ""})
    assert outputs[0] == outputs[1]
    for fold in ("fold-1", "fold-2"):
        found, expected = (
            (tmp_path / folder / "runs" / fold / "mine" / "model.safetensors").read_bytes()
            for folder in ("killed", "whole")
        )
        assert found == expected


def test_folds_of_a_table_are_taken_and_its_test_split_is_left_out(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path
) -> None:
    files = sorted(folders.glob("*/*.wav"))
    places = ("a,train", "b,valid", "c,test")  # which of them validate is chosen anew for each fold
    rows = [f"{file},{file.parent.name},{places[number % 3]}" for number, file in enumerate(files)]
    data = write_csv(tmp_path / "data.csv", "file,label,fold,split", *rows)
    report = run(command(data, tiny, quick, tmp_path, "--folds", "column", "--steps", "2", "--batch", "2"))
    assert {name: fold["clips"] for name, fold in report["folds"].items()} == {"a": 6, "b": 6}


def test_the_table_shows_folds_and_their_mean(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    call = command(folders, tiny, quick, tmp_path, "--folds", "2", "--steps", "2", "--batch", "2")
    result = CliRunner().invoke(app, [*call, "--format", "table"])
    assert result.exit_code == 0, result.output
    assert "mean ± deviation" in result.stdout
    assert "classes, all folds" in result.stdout


def test_label_files_and_kept_classes_are_taken(tiny: Path, quick: Path, tmp_path: Path) -> None:
    data = label_tracks(tmp_path / "nights")
    more = ("--folds", "2", "--steps", "2", "--batch", "2", "--background", "--keep-classes")
    report = run(command(data, tiny, quick, tmp_path, *more))
    assert report["score_function"] == "sigmoid"
    assert report["cross_validation"]["accuracy"] is None
    assert report["cross_validation"]["clips"] == 24  # four kinds of parts in each of six recordings
    assert [each["name"] for each in report["cross_validation"]["classes"]] == ["hiss", "hum"]


@pytest.mark.parametrize(
    ("options", "problem", "code"),
    [
        (["--folds", "1"], "--folds: expected at least 2, or name, found 1", 2),
        (["--folds", "some"], "--folds: expected at least 2, or name, found some", 2),
        (["--folds", "column"], "--folds column: expected a table with the column fold, found none", 1),
        (["--folds", "2", "--name", "../x"], "--name: expected up to", 2),
        (["--folds", "2", "--output", "x"], "--output: does not go with --folds", 2),
        (["--folds", "2", "--valid-fold", "1"], "--valid-fold: does not go with --folds", 2),
        (["--folds", "2", "--valid-share", "1"], "--valid-share: expected a number above 0, at most 0.5", 2),
    ],
)
def test_options_that_do_not_fit_are_refused(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path, options: list[str], problem: str, code: int
) -> None:
    result = CliRunner().invoke(app, command(folders, tiny, quick, tmp_path, *options))
    assert result.exit_code == code
    assert problem in result.stderr
    assert not (tmp_path / "runs").exists()


def test_two_processes_share_the_folds(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    more = ("--folds", "2", "--steps", "2", "--batch", "2")
    for process in start(command(folders, tiny, quick, tmp_path, *more), tmp_path / "errors"):
        assert process.wait() == 0, (tmp_path / "errors.0").read_text()
    assert len(list((tmp_path / "runs").glob("fold-*/mine/model.safetensors"))) == 2


def segment(number: int, label: str, fold: str) -> Segment:
    return Segment(Path(f"{number}.wav"), (label,), f"line {number}", fold=fold)


def test_splits_while_a_fold_is_tested() -> None:
    segments = [segment(number, "ab"[number % 2], str(number % 4 // 2)) for number in range(24)]
    problems = Problems("data")
    found = with_test_fold(segments, "0", 0.3, 0, problems)
    assert problems.found == []
    assert [each.file for each in found] == [each.file for each in segments], (
        "in the same order: decoded once"
    )
    assert all((each.split == "test") == (was.fold == "0") for each, was in zip(found, segments, strict=True))
    counts = {split: sum(each.split == split for each in found) for split in ("train", "valid", "test")}
    assert counts == {"train": 8, "valid": 4, "test": 12}


def test_a_label_that_is_tested_and_not_learnt_is_told(tiny: Path, tmp_path: Path) -> None:
    """Of two recordings of a click, one is in the fold, and the other is all there is to validate on."""
    problems = Problems("data")
    segments = [segment(number, "a", "01"[number % 2]) for number in range(8)]
    segments += [segment(8, "click", "0"), segment(9, "click", "1")]
    with_test_fold(segments, "0", 0.5, 0, problems)
    (problem,) = problems.found
    assert problem.startswith(
        "line 8: expected 'click' among what is learnt from while fold 0 is tested, found it in"
    )
    class_folders(tmp_path / "data", kinds=("hum", "hiss"), each=4)
    for index in range(2):
        write_sound(tmp_path / "data" / "click" / f"{index + 1}-{index}-A-9.wav", "click", 0.5, index)
    with pytest.raises(DatasetError, match="'click' among what is learnt from"):
        arwkv_core.finetune_folds(
            tmp_path / "data", "x", folds="name", model=tiny, run=tmp_path / "run", progress=False
        )


def test_a_missing_model_is_told_before_sounds_are_read(tmp_path: Path) -> None:
    with pytest.raises((UsageError, arwkv_core.ArwkvError), match="no-such-model"):
        arwkv_core.finetune_folds(tmp_path / "gone", "x", folds=2, model="no-such-model", progress=False)

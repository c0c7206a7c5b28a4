"""A fine-tuning that is killed, stopped or started twice ends as one that was not."""

import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from finetune_calls import command, quick_recipe, run
from own_sounds import class_folders, tiny_model, write_sound
from typer.testing import CliRunner

from arwkv_cli.app import app

ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return quick_recipe(tmp_path_factory.mktemp("recipe") / "quick.toml")


def test_a_killed_run_ends_in_the_same_weights(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path
) -> None:
    def call(folder: str, *more: str) -> list[str]:
        return [
            sys.executable,
            "-m",
            "arwkv_cli",
            *command(folders, "mine", tiny, quick, tmp_path / folder, "--steps", "40", *more),
        ]

    environment = os.environ | ONE_THREAD
    process = subprocess.Popen(call("killed", "--checkpoint-seconds", "0"), env=environment)
    while not (tmp_path / "killed" / "run" / "checkpoint.pt").exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.3))
    process.send_signal(signal.SIGKILL)
    process.wait()
    for folder in ("killed", "whole"):
        done = subprocess.run(call(folder), capture_output=True, text=True, env=environment, check=False)
        assert done.returncode == 0, done.stderr
    found, expected = (tmp_path / folder / "model" / "model.safetensors" for folder in ("killed", "whole"))
    assert found.read_bytes() == expected.read_bytes()


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
def test_a_run_that_is_stopped_is_kept_and_says_how_to_go_on(
    number: signal.Signals, folders: Path, tiny: Path, quick: Path, tmp_path: Path
) -> None:
    arguments = command(folders, "mine", tiny, quick, tmp_path, "--steps", "2000", "--patience", "0")
    call = [sys.executable, "-m", "arwkv_cli", *arguments]
    process = subprocess.Popen(call, env=os.environ | ONE_THREAD, stderr=subprocess.PIPE, text=True)
    while not (tmp_path / "run" / "log.jsonl").exists() and process.poll() is None:
        time.sleep(0.02)
    second = CliRunner().invoke(app, arguments)  # into the same folder
    process.send_signal(number)
    _, messages = process.communicate()
    assert process.returncode == 130, messages
    assert second.exit_code == 1
    assert "another process trains there" in second.stderr
    assert "--run" in second.stderr
    assert f"this goes on: arwkv finetune {folders}" in messages
    assert (tmp_path / "run" / "checkpoint.pt").is_file()


def test_sounds_that_have_changed_under_their_names_make_another_run(
    tiny: Path, quick: Path, tmp_path: Path
) -> None:
    """Else the model of the old ones would be taken for one of the new."""
    folder = class_folders(tmp_path / "sounds", kinds=("hum", "hiss"), each=3)
    call = command(folder, "mine", tiny, quick, tmp_path, "--steps", "1", "--batch", "1")
    run(call)
    moved = folder.rename(tmp_path / "elsewhere")
    again = [each.replace(str(folder), str(moved)) for each in call]
    run(again)
    write_sound(moved / "hum" / "1-0-A-0.wav", "hum", 0.6, 99)
    result = CliRunner().invoke(app, again)
    assert result.exit_code == 1
    assert "belongs to another recipe or corpus" in result.stderr

"""Training as its user meets it: a recipe and a folder in, a model out, whatever happens in between."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from small_corpus import make_corpus, write_recipe
from typer.testing import CliRunner

import arwkv_core
from arwkv_cli.app import app

HOLD_FOLDER = """
import sys, time
from arwkv_core.training.run_folder import RunFolder
folder = RunFolder(sys.argv[1], "mine")
print("held", flush=True)
time.sleep(60)
"""
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


def command(recipe: Path, corpus: Path, output: Path, *more: str) -> list[str]:
    where = ["--data", str(corpus), "--output", str(output), "--cache", str(corpus.parent / "mels")]
    return ["train", str(recipe), *where, "--device", "cpu", *more]


def weights(output: Path) -> bytes:
    return (output / "small" / "model.safetensors").read_bytes()


def log(output: Path) -> list[dict]:
    return [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]


@pytest.fixture(scope="module")
def uninterrupted(corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> tuple[Path, Path]:
    folder = tmp_path_factory.mktemp("whole")
    recipe = write_recipe(folder / "small.toml", steps=60, optimiser="muon")
    done = subprocess.run(
        [sys.executable, "-m", "arwkv_cli", *command(recipe, corpus, folder / "run")],
        capture_output=True,
        text=True,
        env=os.environ | ONE_THREAD,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(folder / "run" / "small")
    return recipe, folder / "run"


def test_it_learns(uninterrupted: tuple[Path, Path], corpus: Path) -> None:
    _, output = uninterrupted
    losses = [entry["step_loss"] for entry in log(output) if "step_loss" in entry]
    assert losses[-1] < 0.93 * losses[0], losses
    tagger = arwkv_core.load(output / "small", device="cpu")
    result = tagger.tag(corpus / "audio" / "001.wav", top_k=3)
    assert set(result.names) == {"Hum", "Hiss", "Clicks"}
    assert result.names[0] == "Hiss", result


@pytest.mark.parametrize("attempt", range(2))
def test_a_killed_run_ends_in_the_same_weights(
    attempt: int, uninterrupted: tuple[Path, Path], corpus: Path, tmp_path: Path
) -> None:
    recipe, whole = uninterrupted
    call = [
        sys.executable,
        "-m",
        "arwkv_cli",
        *command(recipe, corpus, tmp_path / "run", "--checkpoint-seconds", "0"),
    ]
    process = subprocess.Popen(
        call, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ | ONE_THREAD
    )
    checkpoint = tmp_path / "run" / "checkpoint.pt"
    while not checkpoint.exists() and process.poll() is None:
        time.sleep(0.02)
    time.sleep(random.uniform(0, 0.5))
    process.send_signal(signal.SIGKILL)
    process.wait()
    rest = subprocess.run(call, capture_output=True, text=True, env=os.environ | ONE_THREAD, check=False)
    assert rest.returncode == 0, rest.stderr
    assert weights(tmp_path / "run") == weights(whole), (
        "model.safetensors differs from the uninterrupted run's"
    )
    steps = [entry["step"] for entry in log(tmp_path / "run")]
    assert steps == [entry["step"] for entry in log(whole)], "the log repeats or lacks steps"


def test_a_finished_run_is_not_repeated(uninterrupted: tuple[Path, Path], corpus: Path) -> None:
    recipe, output = uninterrupted
    before = (output / "log.jsonl").read_text()
    result = CliRunner().invoke(app, command(recipe, corpus, output, "--quiet"))
    assert result.exit_code == 0, result.output
    assert (output / "log.jsonl").read_text() == before


def test_another_recipe_is_refused_until_told(
    uninterrupted: tuple[Path, Path], corpus: Path, tmp_path: Path
) -> None:
    recipe = write_recipe(tmp_path / "small.toml", steps=4)
    output = tmp_path / "run"
    assert CliRunner().invoke(app, command(recipe, corpus, output, "--quiet")).exit_code == 0
    kept = weights(output)
    write_recipe(recipe, steps=5)
    refused = CliRunner().invoke(app, command(recipe, corpus, output, "--quiet"))
    assert refused.exit_code == 1
    assert "--overwrite" in refused.stderr
    assert "--output" in refused.stderr
    assert weights(output) == kept
    again = CliRunner().invoke(app, command(recipe, corpus, output, "--quiet", "--overwrite"))
    assert again.exit_code == 0, again.output
    assert log(output)[-1]["step"] == 5


def test_two_runs_cannot_share_a_folder(corpus: Path, tmp_path: Path) -> None:
    pytest.importorskip("fcntl")
    recipe = write_recipe(tmp_path / "small.toml", steps=4)
    output = tmp_path / "run"
    with subprocess.Popen(
        [sys.executable, "-c", HOLD_FOLDER, str(output)], stdout=subprocess.PIPE, text=True
    ) as holder:
        assert holder.stdout is not None
        assert holder.stdout.readline() == "held\n"
        result = CliRunner().invoke(app, command(recipe, corpus, output, "--quiet"))
        holder.kill()
    assert result.exit_code == 1
    assert "another process" in result.stderr
    assert CliRunner().invoke(app, command(recipe, corpus, output, "--quiet")).exit_code == 0


def test_a_damaged_checkpoint_is_named(corpus: Path, tmp_path: Path) -> None:
    recipe = write_recipe(tmp_path / "small.toml", steps=4)
    output = tmp_path / "run"
    output.mkdir()
    (output / "checkpoint.pt").write_bytes(b"PK\x03\x04 cut short")
    result = CliRunner().invoke(app, command(recipe, corpus, output, "--quiet"))
    assert result.exit_code == 1
    assert "checkpoint.pt" in result.stderr


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("depth = 1", "depht = 1", "network.depht: unknown"),
        ("rate = 3e-3", 'rate = "fast"', "optimiser.rate: expected float"),
        ("until = [0.7, 1.0]", "until = [0.7, 0.9]", "sampling.until"),
        ("warm_up = 3", "warm_up = 400", "optimiser.warm_up"),
        ('metric = "known_map"', 'metric = "luck"', "validation.metric: expected one of"),
        ("[network]", "[network", "not TOML"),
    ],
)
def test_a_bad_recipe_is_refused(corpus: Path, tmp_path: Path, old: str, new: str, message: str) -> None:
    recipe = write_recipe(tmp_path / "small.toml")
    text = recipe.read_text()
    assert old in text
    recipe.write_text(text.replace(old, new))
    result = CliRunner().invoke(app, command(recipe, corpus, tmp_path / "run"))
    assert result.exit_code == 1
    assert message in result.stderr
    assert str(recipe) in result.stderr


def test_evaluate_prints_valid_json(uninterrupted: tuple[Path, Path], corpus: Path) -> None:
    _, output = uninterrupted
    call = ["evaluate", str(output / "small"), str(corpus / "manifest.csv"), "--split", "train", "--quiet"]
    result = CliRunner().invoke(app, [*call, "--format", "json"])
    assert result.exit_code == 0, result.output
    ours, teacher = json.loads(result.stdout)["results"]
    assert ours["clips"] == 24
    assert teacher["model"] == "teacher"
    assert ours["esc10_accuracy"] is None  # NaN is no JSON
    table = CliRunner().invoke(app, call)
    assert table.exit_code == 0, table.output
    assert "known labels: mAP" in table.stdout

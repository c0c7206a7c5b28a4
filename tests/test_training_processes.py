"""Several processes train as one does, and go on as if never stopped."""

import json
import os
import re
import signal
import socket
import subprocess
import sys
import time
from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file
from small_corpus import make_corpus, write_recipe
from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.training.processes import Processes

if not torch.distributed.is_available():
    pytest.skip("this build of torch has no distributed package", allow_module_level=True)

STEPS = 24
ONE_THREAD = {"OMP_NUM_THREADS": "1", "NUMBA_NUM_THREADS": "1"}


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), clips=24)


@pytest.fixture(scope="module")
def recipe(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Examples of two lengths, mixed and masked; in float32, whose rounding is small beside what is compared."""
    path = write_recipe(tmp_path_factory.mktemp("recipe") / "small.toml", steps=STEPS)
    text = path.read_text().replace("batch = [6, 3]", "batch = [6, 4]")
    path.write_text(text.replace("[optimiser]", '[optimiser]\naccumulate = 2\nprecision = "float32"'))
    return path


def arguments(recipe: Path, corpus: Path, output: Path, *more: str) -> list[str]:
    where = ["--data", str(corpus), "--output", str(output), "--cache", str(corpus.parent / "mels")]
    return ["train", str(recipe), *where, "--device", "cpu", "--quiet", *more]


@pytest.fixture(scope="module")
def together(recipe: Path, corpus: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A run of two processes, as docs/training.md starts it."""
    output = tmp_path_factory.mktemp("together") / "run"
    launch = ["-m", "torch.distributed.run", "--standalone", "--nproc-per-node", "2", "-m", "arwkv_cli"]
    done = subprocess.run(
        [sys.executable, *launch, *arguments(recipe, corpus, output)],
        capture_output=True,
        text=True,
        env=os.environ | ONE_THREAD,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout.strip() == str(output / "small")  # said once
    return output


def losses(output: Path) -> list[dict[str, float]]:
    entries = [json.loads(line) for line in (output / "log.jsonl").read_text().splitlines()]
    return [
        {key: entry[key] for key in entry if key.endswith("loss")} for entry in entries if "loss" in entry
    ]


def test_two_processes_do_what_one_does_with_twice_the_batch_of_each(
    together: Path, recipe: Path, corpus: Path, tmp_path: Path
) -> None:
    result = CliRunner().invoke(app, arguments(recipe, corpus, tmp_path / "alone"))
    assert result.exit_code == 0, result.output
    alone, shared = losses(tmp_path / "alone"), losses(together)
    assert len(alone) == 2
    for one, two in zip(alone, shared, strict=True):
        assert one.keys() == two.keys() == {"loss", "step_loss", "clip_loss"}
        for name, value in one.items():
            assert two[name] == pytest.approx(value, rel=2e-4, abs=2e-4), name
    weights = [load_file(folder / "small" / "model.safetensors") for folder in (tmp_path / "alone", together)]
    for name, value in weights[0].items():
        difference = (weights[1][name].float() - value.float()).abs().max()
        assert difference <= 0.02 * value.float().abs().max() + 1e-4, name  # stored in bfloat16


def start(arguments: list[str], log: Path) -> list[subprocess.Popen[bytes]]:
    """Two processes with what torchrun tells its own."""
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port = free.getsockname()[1]
    own = {"WORLD_SIZE": "2", "MASTER_ADDR": "127.0.0.1", "MASTER_PORT": str(port)} | ONE_THREAD
    return [
        subprocess.Popen(
            [sys.executable, "-m", "arwkv_cli", *arguments],
            env=os.environ | own | {"RANK": str(rank), "LOCAL_RANK": str(rank)},
            stdout=subprocess.DEVNULL,
            stderr=log.with_suffix(f".{rank}").open("wb"),
        )
        for rank in range(2)
    ]


def test_two_killed_processes_end_in_the_same_weights(
    together: Path, recipe: Path, corpus: Path, tmp_path: Path
) -> None:
    call = arguments(recipe, corpus, tmp_path / "run", "--checkpoint-seconds", "0")
    running = start(call, tmp_path / "first")
    while not (tmp_path / "run" / "checkpoint.pt").exists() and running[0].poll() is None:
        time.sleep(0.02)
    for process in running:
        process.send_signal(signal.SIGKILL)
        process.wait()
    for process in start(call, tmp_path / "second"):
        assert process.wait() == 0, (tmp_path / "second.0").read_text()
    assert losses(tmp_path / "run")[-1] == losses(together)[-1]
    found, expected = (folder / "small" / "model.safetensors" for folder in (tmp_path / "run", together))
    assert found.read_bytes() == expected.read_bytes()


def test_a_batch_that_cannot_be_shared_is_refused(
    recipe: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    odd = tmp_path / "odd.toml"
    odd.write_text(re.sub(r"batch = \[6, 4\]", "batch = [6, 3]", recipe.read_text()))
    monkeypatch.setattr(Processes, "__init__", _pretend_to_be_two)
    result = CliRunner().invoke(app, arguments(odd, corpus, tmp_path / "run"))
    assert result.exit_code == 1
    assert "sampling.batch: expected a multiple of the 2 processes that share it, found 3" in result.stderr


def _pretend_to_be_two(self: Processes, device: str = "auto") -> None:
    self.rank, self.count, self.device = 0, 2, torch.device(device)
    self.shared = lambda value: value  # type: ignore[method-assign]  # there is nobody else
    self.mean = list  # type: ignore[assignment,method-assign]

"""``--precision``: what it takes, what auto takes, and that results say and keep it."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from typer.testing import CliRunner

import arwkv_core
from arwkv_cli.app import app
from arwkv_core.errors import UsageError
from arwkv_core.precision import bfloat16_is_fast, choose_precision
from arwkv_core.score_file import StoredScores

SPEECH = Path(__file__).parents[1] / "examples" / "speech.flac"
CPU = torch.device("cpu")
TOLERANCE = {"fp32": 0.0, "bf16": 0.02, "int8": 0.1}  # of scores


@pytest.mark.parametrize("has_instructions", [True, False])
def test_auto_goes_by_the_cpu(monkeypatch: pytest.MonkeyPatch, has_instructions: bool) -> None:
    for probe in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, probe, lambda: has_instructions, raising=False)
    chosen, reason = choose_precision(CPU)
    assert chosen == ("bf16" if has_instructions else "fp32")
    assert "bfloat16" in reason
    assert bfloat16_is_fast(CPU) is has_instructions


def test_other_devices_get_what_they_can() -> None:
    cuda = torch.device("cuda")
    assert choose_precision(cuda)[0] == "fp32"
    assert choose_precision(cuda, "bf16")[0] == "bf16"
    with pytest.raises(UsageError, match="--precision int8: runs on the CPU only"):
        choose_precision(cuda, "int8")


def test_what_is_no_precision_is_refused() -> None:
    with pytest.raises(UsageError, match="--precision: expected auto, fp32, bf16 or int8, found fp8"):
        arwkv_core.load(precision="fp8")
    done = CliRunner().invoke(app, ["tag", str(SPEECH), "--precision", "fp8"])
    assert done.exit_code == 2
    assert "--precision: expected auto, fp32, bf16 or int8, found fp8" in done.stderr


@pytest.mark.parametrize("precision", TOLERANCE)
def test_scores_of_every_precision(precision: str) -> None:
    tagger = arwkv_core.load(precision=precision)
    assert tagger.precision == precision
    assert tagger.provenance["model"]["precision"] == precision
    exact = arwkv_core.load(precision="fp32").step_scores(SPEECH).values
    found = tagger.step_scores(SPEECH).values
    assert np.abs(found - exact).max() <= TOLERANCE[precision]


def test_scores_are_kept_by_precision(tmp_path: Path) -> None:
    def run(precision: str) -> StoredScores:
        done = CliRunner().invoke(
            app, ["tag", str(SPEECH), "--scores", str(tmp_path), "--precision", precision, "-q"]
        )
        assert done.exit_code == 0, done.output
        (kept,) = tmp_path.glob("*.parquet")
        return StoredScores(kept)

    assert run("fp32").meta["model"]["precision"] == "fp32"
    assert run("int8").meta["model"]["precision"] == "int8"  # not taken from what is there


def test_a_run_into_a_folder_remembers_it(tmp_path: Path) -> None:
    arguments = ["tag", str(SPEECH), "--output-dir", str(tmp_path), "--format", "csv", "-q"]
    assert CliRunner().invoke(app, [*arguments, "--precision", "fp32"]).exit_code == 0
    assert json.loads((tmp_path / "run.json").read_text())["options"]["precision"] == "fp32"
    other = CliRunner().invoke(app, [*arguments, "--precision", "int8"])
    assert other.exit_code == 2
    assert "precision" in other.stderr


def test_kept_scores_have_the_precision_that_they_have(tmp_path: Path) -> None:
    assert CliRunner().invoke(app, ["tag", str(SPEECH), "--scores", str(tmp_path), "-q"]).exit_code == 0
    done = CliRunner().invoke(app, ["tag", "--from", str(tmp_path), "--precision", "fp32"])
    assert done.exit_code == 2
    assert "--precision and --from" in done.stderr

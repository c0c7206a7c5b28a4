"""``--context`` on the command line, as a process."""

import csv
import io
import json
from pathlib import Path

import pytest
from conftest import RunArwkv
from fake_models import PUBLISHED, THREE_CLASSES, THREE_LABELS, random_model, three_class_config

from arwkv_core.checkpoint import save_model_folder
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig
from arwkv_core.score_file import StoredScores


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Length-free, with random weights."""
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


@pytest.fixture(scope="module")
def bound_model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """With a table of positions, as the published ones."""
    folder = tmp_path_factory.mktemp("models") / "bound"
    config = ModelConfig(name="bound", architecture=PUBLISHED, score_function="softmax")
    save_model_folder(folder, random_model(PUBLISHED), config, LabelSet.audioset(), "card")
    return folder


def test_the_bundled_model_hears_a_recording_at_once(run_arwkv: RunArwkv, examples: Path) -> None:
    """All contexts hear the same things in the example, and none the same numbers."""
    found = {}
    for context in ("own", "30", "full"):
        options = [] if context == "own" else ["--context", context]
        done = run_arwkv("tag", examples / "minute.mp3", "-f", "csv", *options, check=True)
        rows = list(csv.DictReader(io.StringIO(done.stdout)))
        assert {row["decoded_seconds"] for row in rows} == {"75.0"}
        found[context] = {row["name"]: float(row["mean"]) for row in rows}
    assert len({tuple(scores.items()) for scores in found.values()}) == 3
    for name in ("Speech", "Music"):
        means = [scores[name] for scores in found.values()]
        assert max(means) - min(means) < 0.1, (name, means)


def test_contexts_that_cover_the_recording_are_full(
    run_arwkv: RunArwkv, examples: Path, model: Path, tmp_path: Path
) -> None:
    records = []
    for context in ("full", "75.2", "1000"):
        options = ["--model", model, "-f", "jsonl", "--context", context, "--scores", tmp_path / context]
        done = run_arwkv("tag", examples / "minute.mp3", *options, check=True)
        records.append(json.loads(done.stdout)["tags"])
    assert records[1] == records[2]
    for tag, other in zip(records[0], records[1], strict=True):
        assert tag["name"] == other["name"]
        assert tag["mean"] == pytest.approx(other["mean"], abs=0.002)  # the store rounds
    windows = [StoredScores(path).meta["windows"] for path in sorted(tmp_path.rglob("*.scores.parquet"))]
    assert [(w["frames"], w["hop_frames"]) for w in windows] == [
        (100_000, 50_000),
        (7520, 3760),
        (None, None),
    ]


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (
            ["--context", "0.1"],
            "expected 0.16 to 1000000 seconds, or full for the whole recording, found 0.1",
        ),
        (["--context", "whole"], "--context: expected 0.16 to 1000000 seconds, or full"),
        (["--context", "nan"], "--context: expected 0.16 to 1000000 seconds, or full"),
        (["--context", "full", "--hop", "5"], "--hop: expected none with --context full"),
        (["--context", "2", "--hop", "5"], "--hop: expected 0.16 to 1.92 seconds"),
    ],
)
def test_wrong_usage_is_one_line(
    run_arwkv: RunArwkv, examples: Path, model: Path, options: list[str], message: str
) -> None:
    done = run_arwkv("tag", examples / "rain.wav", "--model", model, *options)
    assert done.returncode == 2, done.stderr
    assert message in " ".join(done.stderr.split())
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_a_model_with_a_table_of_positions_says_why_it_refuses(
    run_arwkv: RunArwkv, examples: Path, bound_model: Path
) -> None:
    done = run_arwkv("tag", examples / "rain.wav", "--model", bound_model, "--context", "full")
    assert done.returncode == 2, done.stderr
    assert "--context: expected none, found full: bound has learned a table of positions" in done.stderr

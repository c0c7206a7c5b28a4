"""Kept scores and output folders: no number of one calibration is taken for that of another."""

import json
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from typer.testing import CliRunner

import arwkv_core
import arwkv_models
from arwkv_cli.app import app
from arwkv_core.calibration import Calibration, ClassCurve
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import ScoreFileError
from arwkv_core.score_codec import rounded
from arwkv_core.score_curves import ScoreCurves
from arwkv_core.score_file import StoredScores
from arwkv_core.timelines import timeline_of

FIRST = [ClassCurve(1.3, -1.0), ClassCurve(0.6, 0.4), ClassCurve(2.0, 1.0)]
SECOND = [ClassCurve(1.0, 2.0)] * 3


def write(folder: Path, curves: list[ClassCurve]) -> str:
    calibration = Calibration(dict(zip(THREE_LABELS.mids, curves, strict=True)))
    (folder / "calibration.csv").write_text(calibration.text(), "utf-8")
    return calibration.digest


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "rec" / "noise.wav"
    path.parent.mkdir()
    loud = np.repeat(np.random.default_rng(0).uniform(0.001, 0.5, 30), 8_000)
    soundfile.write(path, loud * np.random.default_rng(1).standard_normal(len(loud)) / 4, 32_000)
    return path


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """A model in the user's zoo, not calibrated."""
    folder = tmp_path / "made"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return arwkv_models.add(folder, "gate").folder


@pytest.fixture
def run(noise: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., str]:
    monkeypatch.chdir(tmp_path)

    def invoke(*arguments: str, code: int = 0) -> str:
        done = CliRunner().invoke(app, [*arguments, "--quiet"])
        assert done.exit_code == code, done.output
        return done.output

    return invoke


def test_a_calibration_is_applied_on_reading(model: Path, noise: Path, run: Callable[..., str]) -> None:
    keep = ("tag", "rec", "--model", "gate", "--scores", "kept", "-f", "json")
    scores = json.loads(run(*keep))[0]
    assert scores["calibration"] is None
    kept = Path("kept") / "noise.wav.scores.parquet"
    made = kept.stat().st_mtime_ns, kept.read_bytes()
    read = ("tag", "--from", "kept", "-f", "json")
    for curves in (FIRST, SECOND):  # the scores of before there was any serve both
        digest = write(model, curves)
        for command in (keep, read):
            found = json.loads(run(*command))[0]
            assert found["calibration"] == digest
            assert found["active_threshold"] == 0.5
            exact = ScoreCurves(curves).of_scores(np.concatenate(list(StoredScores(kept)))).max(0)
            assert {tag["mid"]: tag["max"] for tag in found["tags"]} == {
                mid: round(float(value), 6) for mid, value in zip(THREE_LABELS.mids, exact, strict=True)
            }
        raw = json.loads(run(*read, "--raw-scores"))[0]
        assert raw["tags"] == scores["tags"]
        assert raw["calibration"] is None
    assert (kept.stat().st_mtime_ns, kept.read_bytes()) == made  # nothing was heard again


@pytest.mark.parametrize("calibrated", [False, True])
def test_events_and_step_scores_of_kept_scores_are_those_of_fresh_ones(
    calibrated: bool, model: Path, noise: Path, run: Callable[..., str]
) -> None:
    if calibrated:
        write(model, FIRST)
        (model / "events.csv").write_text("mid,on\n*,0.3\n")
    find = ("--on", "0.1", "--min-duration", "0", "--no-roll-up", "-f")
    for format in ("csv", "json", "sed-scores"):
        fresh = run("timeline", "rec/noise.wav", "--model", "gate", *find, format)
        assert run("timeline", "rec/noise.wav", "--model", "gate", "--scores", "kept", *find, format) == fresh
        assert run("timeline", "--from", "kept", *find, format).replace("kept/", "rec/") == fresh
    values = np.loadtxt(fresh.splitlines()[1:], delimiter="\t", ndmin=2)[:, 2:]
    expected = rounded(arwkv_core.load("gate").step_scores(noise, raw_scores=True).values)
    if calibrated:
        expected = ScoreCurves(FIRST).of_scores(expected)
    np.testing.assert_allclose(values, expected, rtol=1e-5)


def test_kept_scores_of_a_calibrated_model_that_is_gone_are_refused(
    model: Path, noise: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    digest = write(model, FIRST)
    run("tag", "rec", "--model", "gate", "--scores", "kept", "-o", "a.json")
    elsewhere = tmp_path / "elsewhere"
    model.rename(elsewhere)
    for command in ("tag", "timeline"):
        said = run(command, "--from", "kept", "-f", "json", code=1)
        assert "expected the calibrated model gate" in said
        assert "--model FOLDER" in said
        assert (
            json.loads(run(command, "--from", "kept", "-f", "json", "--raw-scores"))[0]["calibration"] is None
        )
        named = run(command, "--from", "kept", "-f", "json", "--model", str(elsewhere))
        assert json.loads(named)[0]["calibration"] == digest
    with pytest.raises(ScoreFileError, match="--raw-scores does without"):
        timeline_of(StoredScores(tmp_path / "kept" / "noise.wav.scores.parquet"))


def test_outputs_of_another_calibration_are_not_added_to(
    model: Path, noise: Path, run: Callable[..., str], tmp_path: Path
) -> None:
    command = ("tag", "rec", "--model", "gate", "--output-dir", "out", "-f", "csv")
    run(*command)
    record = tmp_path / "out" / "run.json"
    old = json.loads(record.read_text())
    del old["options"]["raw_scores"], old["model"]["calibration"]  # as it was before there were calibrations
    record.write_text(json.dumps(old))
    run(*command)
    digest = write(model, FIRST)
    assert (
        f"expected the calibration None, with which the outputs in out were made (run.json), found {digest}"
        in (run(*command, code=2))
    )
    run(*command, "--overwrite")
    assert "--raw-scores: expected false" in run(*command, "--raw-scores", code=2)
    write(model, SECOND)
    assert f"expected the calibration {digest}" in run(*command, code=2)
    run(*command, "--raw-scores", "--overwrite")
    write(model, FIRST)
    run(*command, "--raw-scores")  # scores of the network are the same under any calibration

"""``arwkv evaluate --events`` as its user meets it: annotated recordings in, numbers or a clear message out."""

import json
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.checkpoint import save_model_folder

RATE = 16_000


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "# Gate\n")
    return folder


@pytest.fixture(scope="module")
def recordings(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("audio")
    rng = np.random.default_rng(0)
    for name, seconds in (("dawn.wav", 6.3), ("dusk.flac", 3.0)):
        soundfile.write(folder / name, 0.1 * rng.standard_normal(round(seconds * RATE)), RATE)
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--device", "cpu", "--quiet"])
    return result.exit_code, result.stdout, result.stderr


def annotate(path: Path, text: str) -> Path:
    path.write_text(text.replace("|", "\t"))
    return path


ROWS = "filename|onset|offset|event_label\ndawn.wav|0.5|2.0|Speech\ndusk|1.0|2.5|Music\n"


def test_annotations_of_every_kind_give_the_same(model: Path, recordings: Path, tmp_path: Path) -> None:
    folder = tmp_path / "labels"
    folder.mkdir()
    annotate(folder / "dawn.wav.labels.txt", "0.5|2.0|Speech\n")
    annotate(folder / "dusk.txt", "Selection|Begin Time (s)|End Time (s)|Species\n1|1.0|2.5|Music\n")
    table = annotate(
        tmp_path / "mine.csv", "file,start,end,label\ndawn.wav,0.5,2,speech\ndusk,1,2.5,/m/04rlf\n"
    )
    found = []
    for events in (annotate(tmp_path / "events.tsv", ROWS), folder, table):
        code, out, err = run(model, "--events", events, "--audio", recordings, "--format", "json")
        assert code == 0, err
        found.append(json.loads(out))
    assert found[0] == found[1] == found[2]
    (result,) = found[0]["results"]
    assert (result["model"], result["recordings"], result["events"]) == ("gate", 2, 2)
    assert result["seconds"] == pytest.approx(9.3)
    assert [each["name"] for each in result["classes"]] == ["Speech", "Music"]
    assert all(0 <= result[name] <= 1 for name in ("segment_map", "psds1", "psds2", "event_f1_macro"))


def test_recordings_beside_the_annotations_are_found(model: Path, recordings: Path) -> None:
    events = annotate(recordings / "events.tsv", ROWS.replace("dusk|", "dusk.flac|"))
    code, out, err = run(model, "--events", events)
    assert code == 0, err
    assert "segments: mAP" in out
    assert "PSDS 1" in out
    assert "Speech" in out


def test_what_the_model_lacks_is_told(model: Path, recordings: Path, tmp_path: Path) -> None:
    events = annotate(tmp_path / "events.tsv", ROWS + "dawn.wav|3|4|Unicorn\n")
    code, out, err = run(model, "--events", events, "--audio", recordings, "--format", "json")
    assert code == 0, err
    (result,) = json.loads(out)["results"]
    assert result["unknown_classes"] == ["Unicorn"]
    assert result["events"] == 2
    assert "Unicorn" in run(model, "--events", events, "--audio", recordings)[1]


def test_requirements_decide_the_exit_code(model: Path, recordings: Path, tmp_path: Path) -> None:
    call = (model, "--events", annotate(tmp_path / "events.tsv", ROWS), "--audio", recordings)
    assert run(*call, "--require", "segment_map=0.0")[0] == 0
    code, out, err = run(*call, "--require", "segment_map=0", "--require", "psds1=1.01", "--format", "csv")
    assert code == 1
    assert out.startswith(
        "model,name,mid,events,seconds,segment_ap,segment_f1,event_f1\ngate,Speech,/m/09x0r,1,1.5,"
    )
    assert "gate: psds1: expected at least 1.01, found " in err
    assert "segment_map" not in err


@pytest.mark.parametrize(
    ("rows", "problem"),
    [
        ("filename|onset|offset|event_label\nnight.wav|0|1|Speech\n", "no recording night.wav"),
        ("filename|onset|offset|event_label\ndawn.wav|0|1|Unicorn\n", "expected classes of"),
        ("filename|onset|offset|event_label\ndawn.wav|||\n", "found no event at all"),
        ("filename|onset|offset|event_label\ndawn.wav|2|1|Speech\n", "line 2: expected 0 <= start < end"),
        ("filename|onset|event_label\n", "missing offset"),
        (ROWS + "dawn|0|1|Music\n", "expected one annotation of"),
    ],
)
def test_bad_annotations_are_named(
    model: Path, recordings: Path, tmp_path: Path, rows: str, problem: str
) -> None:
    code, _, err = run(model, "--events", annotate(tmp_path / "e.tsv", rows), "--audio", recordings)
    assert code == 2
    assert problem in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        ([], "expected a manifest, --events or --hear, found none of them"),
        (["manifest.csv", "--events", "e.tsv"], "--events or --hear, found a manifest and --events"),
        (["manifest.csv", "--segment", "2"], "--segment: goes with --events only"),
        (["manifest.csv", "--context", "60"], "--context: goes with --events only"),
        (["--events", "e.tsv", "--split", "valid"], "--split: goes with a manifest only"),
        (["--events", "e.tsv", "--confusion", "c.png"], "--confusion: goes with a manifest only"),
        (["--events", "e.tsv", "--segment", "0"], "--segment: expected 0.01 to 3600, found 0"),
        (["--events", "e.tsv", "--collar", "nan"], "--collar: expected 0 to 3600, found nan"),
        (["--events", "e.tsv", "--offset-share", "2"], "--offset-share: expected 0 to 1, found 2"),
        (["--events", "e.tsv", "--require", "psds1"], "--require: expected NAME=NUMBER, found 'psds1'"),
        (["--events", "e.tsv", "--require", "known_map=1"], "--require: expected one of segment_map, "),
        (["manifest.csv", "--require", "psds1=1"], "--require: expected one of known_map, "),
        (["manifest.csv", "--output", "gone/a.json"], "--output gone/a.json: there is no folder gone"),
    ],
)
def test_options_that_do_not_fit_are_refused(
    model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, options: list[str], problem: str
) -> None:
    monkeypatch.chdir(tmp_path)
    code, _, err = run(model, *options)
    assert code == 2
    assert problem in err

"""``arwkv timeline`` as its users run it: mostly in a process of its own."""

import csv
import io
import json
import os
import shutil
import subprocess
import sys
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RunArwkv
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from typer.testing import CliRunner, Result

from arwkv_cli.app import app
from arwkv_cli.timeline import TimelineFormat
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.constants import STEP_SECONDS
from arwkv_core.writers import TIMELINE_FORMATS

RATE = 32_000
SECONDS = (40_000 / RATE, 30_000 / 22_050)
ALWAYS = ("--on", "0", "--min-duration", "0")
"""Each class is one event from the start to the end."""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two recordings, the first with a start in its name, and one that is none, in a folder."""
    folder = tmp_path / "sounds"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "20260514_235959.wav", rng.normal(0, 0.1, 40_000).astype(np.float32), RATE)
    soundfile.write(folder / "sub/b.flac", rng.normal(0, 0.1, (30_000, 2)), 22_050)
    (folder / "bad.wav").write_bytes(b"this is no sound")
    return folder


A = "sounds/20260514_235959.wav"


@pytest.fixture
def invoke(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``arwkv timeline`` in this process: quicker, for what does not depend on the process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, **options: object) -> Result:
        command = ["timeline", *map(str, arguments)]
        if "--from" not in command:
            command += ["--model", str(model)]
        return CliRunner().invoke(app, command, **options)

    return run


def rows_of(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(io.StringIO(text)))


def test_a_folder_with_a_bad_file_from_the_outside(sounds: Path, model: Path, run_arwkv: RunArwkv) -> None:
    done = run_arwkv("timeline", "sounds", "--model", model, *ALWAYS, "--format", "json")
    assert done.returncode == 1
    records = json.loads(done.stdout)
    assert [record["file"] for record in records] == [A, "sounds/sub/b.flac"]
    for record, seconds in zip(records, SECONDS, strict=True):
        assert {event["name"] for event in record["events"]} == set(THREE_LABELS.names)
        for event in record["events"]:
            assert event["start"] == 0
            assert event["end"] == pytest.approx(seconds, abs=1e-6)
            assert 0 <= event["mean"] <= event["max"] <= 1
        assert record["settings"]["on"] == 0
    assert "arwkv: failed: sounds/bad.wav: " in done.stderr
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr


def test_scores_that_are_kept_give_the_same_without_model_and_torch(
    sounds: Path, model: Path, run_arwkv: RunArwkv
) -> None:
    options = ("--on", 0.345, "--off", 0.34, "--median", 0, "--min-duration", 0, "-f", "csv")
    (sounds / "bad.wav").unlink()
    plain = run_arwkv("timeline", "sounds", "--model", model, *options, check=True)
    keeping = run_arwkv("timeline", "sounds", "--model", model, *options, "--scores", "kept", check=True)
    again = run_arwkv("timeline", "sounds", "--model", model, *options, "--scores", "kept", check=True)
    program = (
        "import sys; from arwkv_cli.app import app\n"
        "try: app()\n"
        "finally: print([m for m in ('torch', 'numba', 'soundfile', 'av') if m in sys.modules], file=sys.stderr)"
    )
    command = [sys.executable, "-c", program, "timeline", "--from", "kept", *map(str, options)]
    kept = subprocess.run(command, capture_output=True, text=True, cwd=sounds.parent, check=True)
    assert plain.stdout == keeping.stdout == again.stdout == kept.stdout
    assert len(rows_of(plain.stdout)) > 2
    assert kept.stderr.splitlines()[-1] == "[]"


def test_every_format_in_one_run(sounds: Path, invoke: Callable[..., Result]) -> None:
    (sounds / "bad.wav").unlink()
    formats = [format.value for format in TimelineFormat if format is not TimelineFormat.TABLE]
    assert formats == list(TIMELINE_FORMATS)
    chosen = [part for format in formats for part in ("-f", format)]
    done = invoke("sounds", *ALWAYS, "--output-dir", "out", *chosen)
    assert done.exit_code == 0, done.stderr
    written = {str(path.relative_to("out")) for path in Path("out").rglob("*") if path.is_file()}
    suffixes = [format.suffix for format in TIMELINE_FORMATS.values()]
    names = ("20260514_235959.wav", "sub/b.flac")
    assert written == {"run.json"} | {name + suffix for name in names for suffix in suffixes}
    table = Path("out/20260514_235959.wav.scores.tsv").read_text("utf-8").splitlines()
    assert table[0].split("\t") == ["onset", "offset", *THREE_LABELS.names]
    assert len(table) == 1 + 8
    assert float(table[-1].split("\t")[1]) == SECONDS[0]
    kept = invoke("--from", "kept", "-f", "sed-scores")
    assert kept.exit_code == 2
    invoke("sounds", "--scores", "kept", "-f", "csv")
    again = invoke(A, "--from", "kept", "-f", "sed-scores")
    assert again.exit_code == 0
    assert again.stdout.splitlines() == table  # as they are kept, or rounded in passing
    (only,) = (invoke(A, "--from", "kept", "-f", "sed-scores", "--include", "Music"),)
    assert only.stdout.splitlines()[0].split("\t") == ["onset", "offset", "Music"]


def test_step_scores_leave_no_file_behind(
    sounds: Path, invoke: Callable[..., Result], monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (tmp_path / "temporary").mkdir()
    monkeypatch.setenv("TMPDIR", str(tmp_path / "temporary"))
    monkeypatch.setattr("tempfile.tempdir", None)
    assert invoke(A, "-f", "sed-scores").exit_code == 0
    assert list((tmp_path / "temporary").iterdir()) == []
    monkeypatch.setattr("tempfile.tempdir", None)


def test_the_time_of_day(sounds: Path, invoke: Callable[..., Result]) -> None:
    (row,) = rows_of(invoke(A, *ALWAYS, "--include", "Speech", "-f", "csv").stdout)
    assert row["start_time"].startswith("2026-05-14T23:59:59")
    assert row["end_time"].startswith("2026-05-15T00:00:00.25")
    (told,) = rows_of(
        invoke(A, *ALWAYS, "--include", "Speech", "-f", "csv", "--start", "2026-01-01T00:00:00+02:00").stdout
    )
    assert told["start_time"].startswith("2026-01-01T00:00:00")
    assert told["start_time"].endswith("+02:00")
    several = invoke("sounds", "--start", "2026-01-01T00:00:00")
    assert several.exit_code == 2
    assert "--start: expected one recording" in several.stderr
    assert invoke("--from", "nowhere").exit_code == 2
    invoke(A, "--scores", "kept")
    (kept,) = rows_of(invoke(A, *ALWAYS, "--include", "Speech", "-f", "csv", "--from", "kept").stdout)
    assert kept["start_time"] == row["start_time"]


def test_groups(sounds: Path, invoke: Callable[..., Result]) -> None:
    rows = rows_of(invoke(A, *ALWAYS, "--groups", "basic", "-f", "csv").stdout)
    assert {(row["name"], row["mid"]) for row in rows} == {
        ("speech", "group:speech"),
        ("music", "group:music"),
    }
    Path("own.toml").write_text('[groups]\nall = ["own:gate", "Speech", "Music"]\n', "utf-8")
    (row,) = rows_of(invoke(A, *ALWAYS, "--groups", "own.toml", "-f", "csv").stdout)
    assert row["name"] == "all"
    Path("own.toml").write_text('[groups]\nall = ["Speeech"]\n', "utf-8")
    wrong = invoke(A, "--groups", "own.toml")
    assert wrong.exit_code == 2
    assert "did you mean 'Speech'" in wrong.stderr


def test_roll_up_can_be_switched_off(sounds: Path, tmp_path: Path, run_arwkv: RunArwkv) -> None:
    from arwkv_core.labels import LabelSet

    labels = LabelSet(["/m/0jbk", "/m/0bt9lr", "/m/05tny_"], ["Animal", "Dog", "Bark"])
    save_model_folder(tmp_path / "dogs", random_model(THREE_CLASSES), three_class_config(), labels, "card")
    for option, expected in (("--roll-up", {"Bark"}), ("--no-roll-up", {"Animal", "Dog", "Bark"})):
        done = run_arwkv("timeline", A, "--model", "dogs", *ALWAYS, "-f", "csv", option, check=True)
        assert {row["name"] for row in rows_of(done.stdout)} == expected


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--on", "1.5"], "--on: expected a score from 0 to 1, found 1.5"),
        (["--on", "nan"], "--on"),
        (["--on", "0.2", "--off", "0.3"], "--off: expected at most 0.2"),
        (["--off", "0.9"], "--off: expected at most 0.5"),
        (["--median", "-1"], "--median"),
        (["--min-duration", "inf"], "--min-duration"),
        (["--merge-gap", "-0.1"], "--merge-gap"),
        (["--include", "Speeech"], "did you mean 'Speech'"),
        (["--groups", "nowhere.toml"], "--groups nowhere.toml: can't be read"),
        (["--start", "yesterday"], "--start"),
        (["--top", "0"], "--top"),
        (["--hop", "99"], "--hop"),
        (["--format", "xml"], "format"),
        (["-f", "csv", "-f", "json"], "--output-dir"),
        (["-o", "events.xyz"], "its ending tells no format"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke(A, *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert "Traceback" not in done.stderr
    assert done.stdout == ""


def test_the_ending_of_the_output_tells_its_format(sounds: Path, invoke: Callable[..., Result]) -> None:
    for format in TIMELINE_FORMATS.values():
        done = invoke(A, *ALWAYS, "-o", f"a{format.suffix}")
        assert done.exit_code == 0, (format.name, done.stderr)
        assert Path(f"a{format.suffix}").stat().st_size > 0
    assert "IntervalTier" in Path("a.TextGrid").read_text("utf-8")
    assert Path("a.selections.txt").read_text("utf-8").startswith("Selection\t")
    two = invoke(A, "sounds/sub", "-o", "a.srt", "--overwrite")
    assert two.exit_code == 2
    assert "--output-dir" in two.stderr


@pytest.mark.skipif(os.name != "posix", reason="pseudo-terminals of POSIX")
@pytest.mark.parametrize(("no_color", "columns"), [(False, "60"), (True, "60"), (True, "0")])
def test_lanes_on_a_terminal(sounds: Path, model: Path, no_color: bool, columns: str) -> None:
    import pty

    ours, theirs = pty.openpty()
    environment = os.environ | {"COLUMNS": columns, "TERM": "xterm-256color"}
    environment |= {"NO_COLOR": "1"} if no_color else {}
    command = [sys.executable, "-m", "arwkv_cli", "timeline", A, "--model", str(model), *ALWAYS, "--quiet"]
    process = subprocess.Popen(
        command,
        stdin=subprocess.DEVNULL,
        stdout=theirs,
        stderr=subprocess.PIPE,
        cwd=sounds.parent,
        env=environment,
    )
    os.close(theirs)
    seen = b""
    while True:
        try:
            block = os.read(ours, 65536)
        except OSError:  # the other end is closed
            break
        if not block:
            break
        seen += block
    os.close(ours)
    assert process.wait() == 0
    assert process.stderr is not None
    process.stderr.close()
    text = seen.decode()
    assert ("\x1b[32m" in text) is not no_color  # green
    for name in ("Speech", "Music", "Garden gate"):
        assert name in text
    assert "from 2026-05-14 23:59:59" in text
    assert text.count("1.2 s") + text.count("1.3 s") >= 3
    assert STEP_SECONDS < 1.25


def test_lanes_into_a_file_and_fewer_of_them(sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke(A, *ALWAYS, "-f", "table", "-o", "lanes.txt", "--top", "2", env={"COLUMNS": "72"})
    assert done.exit_code == 0, done.stderr
    lines = Path("lanes.txt").read_text("utf-8").splitlines()
    assert len(lines) == 1 + 2 + 2 + 1 + 1  # title, axis, lanes, axis, the rest
    assert lines[-1] == "  1 more class: --top 3"
    assert "\x1b" not in "".join(lines)


def test_kept_scores_take_the_numbers_of_a_named_model(
    sounds: Path, model: Path, tmp_path: Path, invoke: Callable[..., Result]
) -> None:
    always = ("-f", "csv", "--min-duration", "0", "--include", "Speech")
    assert invoke(A, "--scores", "kept", "-f", "csv").exit_code == 0
    own = tmp_path / "own"
    shutil.copytree(model, own)
    (own / "events.csv").write_text("mid,on\n/m/09x0r,0\n", "utf-8")
    loud = rows_of(invoke(A, "--from", "kept", *always, "--model", own).stdout)
    assert [(row["start"], row["end"]) for row in loud] == [("0.0", "1.25")]
    (own / "events.csv").write_text("mid,on\n/m/09x0r,1\n", "utf-8")
    none = rows_of(invoke(A, "--from", "kept", *always, "--model", own).stdout)
    assert [row["name"] for row in none] == [""]  # the row of a recording without events
    (own / "events.csv").write_text("mid,on\n/m/09x0r,2\n", "utf-8")
    done = invoke(A, "--from", "kept", *always, "--model", own)
    assert done.exit_code == 1
    assert "events.csv, line 2: on: expected a score" in done.stderr

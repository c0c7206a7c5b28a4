"""``arwkv extract`` as its users run it."""

import csv
import io
import json
import os
import signal
import subprocess
import sys
import time
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RunArwkv
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from typer.testing import CliRunner, Result

from arwkv_cli.app import app
from arwkv_core.checkpoint import save_model_folder

posix = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")
EVERYTHING = ("--on", "0.001", "--no-roll-up")  # a random model's scores are never so low
TABLE = """file,start,end,name,mid,mean,max
{0}a.wav,0.16,0.48,Dog,/m/0bt9lr,0.5,0.9
{0}sub/b.flac,0.0,1.0,Cat,x,0.5,0.6
"""


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two recordings and one that is none."""
    folder = tmp_path / "sounds"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", rng.normal(0, 0.1, 40_000).astype(np.float32), 32_000, subtype="PCM_16")
    soundfile.write(folder / "sub/b.flac", rng.normal(0, 0.1, (30_000, 2)), 22_050)
    (folder / "bad.wav").write_bytes(b"this is no sound")
    return folder


@pytest.fixture
def invoke(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``arwkv`` in this process: quicker, for what does not depend on the process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, **options: object) -> Result:
        return CliRunner().invoke(app, [*map(str, arguments)], **options)

    return run


def table(path: Path) -> list[dict[str, str]]:
    with path.open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def check(folder: Path, base: Path) -> list[dict[str, str]]:
    """Every clip in the table is there, and holds what the table says."""
    rows = table(folder / "clips.csv")
    for row in rows:
        clip, rate = soundfile.read(folder / row["clip"], dtype="int16", always_2d=True)
        whole, _ = soundfile.read(base / row["file"], dtype="int16", always_2d=True)
        first = round(float(row["clip_start"]) * rate)
        assert np.array_equal(clip, whole[first : first + int(row["frames"])])
        assert (str(rate), str(clip.shape[1])) == (row["sample_rate"], row["channels"])
    files = {str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file()}
    assert files == {"clips.csv", *(row["clip"] for row in rows)}
    return rows


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_a_folder_with_a_bad_file(sounds: Path, model: Path, run_arwkv: RunArwkv, jobs: str) -> None:
    done = run_arwkv("extract", "sounds", "--model", model, *EVERYTHING, "--jobs", jobs)
    assert done.returncode == 1
    rows = check(sounds.parent / "clips", sounds.parent)
    assert {row["file"] for row in rows} == {"sounds/a.wav", "sounds/sub/b.flac"}
    assert {row["name"] for row in rows} == set(THREE_LABELS.names)
    assert [row["end"] for row in rows[:3]] == ["1.25"] * 3
    assert done.stdout == ""
    assert "arwkv: failed: sounds/bad.wav: " in done.stderr
    assert "arwkv: 6 clips of 2 recordings in clips, 1 failed" in done.stderr
    assert "Traceback" not in done.stderr
    if jobs == "1":
        again = run_arwkv("extract", "sounds", "--model", model, *EVERYTHING)
        assert "6 clips (6 kept) of 2 recordings" in again.stderr


def test_the_clips_lie_in_the_folder_that_is_searched(
    sounds: Path, model: Path, invoke: Callable[..., Result]
) -> None:
    for _ in range(2):
        invoke("extract", "sounds", "--model", model, *EVERYTHING, "-d", "sounds/clips")
        assert len(check(sounds / "clips", sounds.parent)) == 6


def test_kept_scores_need_no_model(sounds: Path, model: Path, run_arwkv: RunArwkv) -> None:
    (sounds / "bad.wav").unlink()
    first = run_arwkv("extract", "sounds", "--model", model, *EVERYTHING, "--scores", "kept")
    assert first.returncode == 0, first.stderr
    code = (
        "import sys; from arwkv_cli.app import main\n"
        "try: main()\nfinally: assert 'torch' not in sys.modules and 'numba' not in sys.modules"
    )
    for files in ([], ["sounds"]):
        folder = sounds.parent / f"from{len(files)}"
        done = subprocess.run(
            [sys.executable, "-c", code, "extract", *files, "--from", "kept", "-d", folder, *EVERYTHING],
            cwd=sounds.parent,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr
        assert check(folder, sounds.parent) == table(sounds.parent / "clips/clips.csv")


def test_a_recording_that_changed_since_it_was_heard_is_not_cut(
    sounds: Path, model: Path, invoke: Callable[..., Result]
) -> None:
    invoke("extract", "sounds", "--model", model, *EVERYTHING, "--scores", "kept", "--dry-run")
    soundfile.write(sounds / "a.wav", np.zeros(40_000), 32_000, subtype="PCM_16")
    (sounds / "sub/b.flac").rename(sounds / "c.flac")
    done = invoke("extract", "--from", "kept", *EVERYTHING)
    assert done.exit_code == 1
    assert "sounds/a.wav: has changed since it was heard" in done.stderr
    assert "its recording is gone: expected sounds/sub/b.flac" in done.stderr
    assert not list(Path("clips").glob("*.wav"))


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "parquet"])
def test_events_of_a_timeline(sounds: Path, model: Path, invoke: Callable[..., Result], format: str) -> None:
    (sounds / "bad.wav").unlink()
    heard = invoke("timeline", "sounds", "--model", model, *EVERYTHING, "-o", f"events.{format}")
    assert heard.exit_code == 0, heard.output
    done = invoke("extract", "--events", f"events.{format}", "--include", THREE_LABELS.names[1])
    assert done.exit_code == 0, done.output
    rows = check(Path("clips"), Path())
    assert [row["name"] for row in rows] == [THREE_LABELS.names[1]] * 2
    assert {row["model"] for row in rows} == {"gate"}


def test_a_table_made_by_hand(sounds: Path, invoke: Callable[..., Result]) -> None:
    Path("mine.csv").write_text(TABLE.format("sounds/"))
    done = invoke(
        "extract", "--events", "mine.csv", "--name-template", "{class}/{stem}_{score}", "--pad", "0.1"
    )
    assert done.exit_code == 0, done.output
    assert [row["clip"] for row in check(Path("clips"), Path())] == ["Dog/a_0.90.wav", "Cat/b_0.60.wav"]
    (sounds / "mine.csv").write_text(TABLE.format(""))  # beside the recordings
    done = invoke("extract", "--events", "sounds/mine.csv", "sounds/a.wav", "-d", "one", "--max-per-class", 1)
    assert [row["file"] for row in check(Path("one"), Path())] == ["sounds/a.wav"]
    done = invoke("extract", "--events", "sounds/mine.csv", "sounds", "-d", "all")
    assert done.exit_code == 0
    assert "warning: sounds/bad.wav: nothing of it in sounds/mine.csv" in done.stderr
    assert len(check(Path("all"), Path())) == 2
    Path("short.csv").write_text("start,end,name\n0.5,0.75,rustling\n")
    done = invoke(
        "extract", "sounds/a.wav", "--events", "short.csv", "-d", "short", "--start", "2026-05-14T05:30:00Z"
    )
    (row,) = check(Path("short"), Path())
    assert row["clip_start_time"] == "2026-05-14T05:30:00.500000+00:00"


def test_a_dry_run_prints_the_table_and_writes_nothing(sounds: Path, invoke: Callable[..., Result]) -> None:
    Path("mine.csv").write_text(TABLE.format("sounds/"))
    before = sorted(Path().rglob("*"))
    done = invoke("extract", "--events", "mine.csv", "--dry-run")
    assert done.exit_code == 0
    assert sorted(Path().rglob("*")) == before
    planned = list(csv.DictReader(io.StringIO(done.stdout)))
    assert invoke("extract", "--events", "mine.csv").exit_code == 0
    assert [row["clip"] for row in planned] == [row["clip"] for row in table(Path("clips/clips.csv"))]


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        ((), "expected FILES"),
        (("-",), "expected files"),
        (("--events", "gone.csv"), "can't be read"),
        (("--events", "mine.csv", "--on", "0.5"), "--on and --events"),
        (("--events", "mine.csv", "--from", "kept"), "--from and --events"),
        (("--events", "mine.csv", "--include", "Dgo"), "did you mean 'Dog'"),
        (
            ("--events", "mine.csv", "--start", "2026-05-14T05:30:00"),
            "--start: expected one recording, found 2",
        ),
        (("--events", "mine.csv", "sounds/a.wav", "--start", "dawn"), "--start: expected a date"),
        (("--events", "mine.csv", "--pad", "-1"), "--pad: expected"),
        (("--events", "mine.csv", "sounds/bad.wav"), "found none of them there"),
        (("--events", "mine.csv", "-d", "mine.csv"), "expected a folder, found a file"),
        (("--events", "mine.csv", "--name-template", "../{stem}"), "--name-template"),
        (("sounds", "--start", "2026-05-14T05:30:00"), "--start: expected one recording, found 3"),
        (("sounds", "--on", "7"), "--on: expected"),
        (("sounds/a.wav", "--include", "Dgo"), "did you mean 'Dog'"),  # told by the model
        (("sounds/a.wav", "--model", "nothing"), "nothing"),
    ],
)
def test_wrong_usage(
    sounds: Path, invoke: Callable[..., Result], arguments: tuple[str, ...], problem: str
) -> None:
    Path("mine.csv").write_text(TABLE.format("sounds/"))
    done = invoke("extract", *arguments)
    assert done.exit_code == 2, done.output
    assert problem in done.stderr
    assert not Path("clips").exists()


def test_recordings_without_events_are_no_failure(
    sounds: Path, model: Path, invoke: Callable[..., Result]
) -> None:
    done = invoke("extract", "sounds/a.wav", "--model", model, "--on", "1")
    assert done.exit_code == 0
    assert "0 clips of 0 recordings" in done.stderr
    assert table(Path("clips/clips.csv")) == []


@posix
def test_an_interrupted_run_says_how_to_go_on(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "long.wav", np.zeros((60 * 96_000, 2)), 96_000, subtype="FLOAT")
    rows = "".join(f"long.wav,{start},{start + 30},Class {start}\n" for start in range(30))
    (tmp_path / "mine.csv").write_text(f"file,start,end,name\n{rows}")
    command = [sys.executable, "-m", "arwkv_cli", "extract", "--events", "mine.csv", "-f", "flac"]
    listening = (  # in the background, the tests themselves may have Ctrl-C ignored
        "import signal, os, sys; signal.signal(signal.SIGINT, signal.default_int_handler); "
        "os.execv(sys.argv[1], sys.argv[1:])"
    )
    running = subprocess.Popen(
        [sys.executable, "-c", listening, *command], cwd=tmp_path, stderr=subprocess.PIPE, text=True
    )
    while running.poll() is None and not list(tmp_path.glob("clips/long*.flac")):
        time.sleep(0.01)
    running.send_signal(signal.SIGINT)
    _, errors = running.communicate()
    assert running.returncode == 130, errors
    assert "this goes on: arwkv extract --events mine.csv -f flac" in errors
    assert not [path for path in (tmp_path / "clips").iterdir() if "clip-partial" in path.name]
    finished = len(list((tmp_path / "clips").glob("long*.flac")))
    assert 0 < finished < 30
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    assert f"30 clips ({finished} kept)" in done.stderr
    assert len(table(tmp_path / "clips/clips.csv")) == 30
    about = json.loads(soundfile.SoundFile(tmp_path / "clips/long_00003.000_Class 3.flac").comment)
    assert about["class"] == "Class 3"

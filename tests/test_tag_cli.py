"""``arwkv tag`` as its users run it: mostly in a process of its own."""

import csv
import io
import json
import os
import signal
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
from arwkv_cli.tag import Format
from arwkv_cli.tag_formats import TAG_FORMATS
from arwkv_core.checkpoint import save_model_folder

posix = pytest.mark.skipif(os.name != "posix", reason="signals and pipes of POSIX")


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


@pytest.fixture
def sounds(tmp_path: Path) -> Path:
    """Two recordings, one that is none, and an empty one, in a folder."""
    folder = tmp_path / "sounds"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    soundfile.write(folder / "a.wav", rng.normal(0, 0.1, 40_000).astype(np.float32), 32_000)
    soundfile.write(folder / "sub/b.flac", rng.normal(0, 0.1, (30_000, 2)), 22_050)
    (folder / "bad.wav").write_bytes(b"this is no sound")
    (folder / "empty.mp3").touch()
    return folder


@pytest.fixture
def invoke(model: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Result]:
    """Run ``arwkv tag`` in this process: quicker, for what does not depend on the process."""
    monkeypatch.chdir(tmp_path)

    def run(*arguments: str | Path, **options: object) -> Result:
        return CliRunner().invoke(app, ["tag", *map(str, arguments), "--model", str(model)], **options)

    return run


def test_a_folder_with_bad_files_from_the_outside(sounds: Path, model: Path, run_arwkv: RunArwkv) -> None:
    done = run_arwkv("tag", "sounds", "--model", model, "--format", "json", "--top-k", 2)
    assert done.returncode == 1
    records = json.loads(done.stdout)
    assert [record["file"] for record in records] == ["sounds/a.wav", "sounds/sub/b.flac"]
    for record, seconds in zip(records, (1.25, 30_000 / 22_050), strict=True):
        assert record["schema_version"] == 1
        assert record["model"] == "gate"
        assert record["coverage"]["decoded_seconds"] == pytest.approx(seconds, abs=1e-6)
        assert len(record["tags"]) == 2
        for found in record["tags"]:
            assert found["name"] in THREE_LABELS.names
            assert 0 <= found["mean"] <= found["max"] <= 1
            assert 0 <= found["active_seconds"] <= record["coverage"]["decoded_seconds"]
    errors = done.stderr.splitlines()
    assert [line.split(": ")[:3] for line in errors if "failed: " in line] == [
        ["arwkv", "failed", "sounds/bad.wav"],
        ["arwkv", "failed", "sounds/empty.mp3"],
    ]
    assert "Traceback" not in done.stderr
    assert "\x1b" not in done.stdout + done.stderr  # no terminal, so neither colours nor progress


def test_csv_is_the_format_where_stdout_is_no_terminal(sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke(sounds / "a.wav")
    rows = list(csv.DictReader(io.StringIO(done.stdout)))
    assert done.exit_code == 0
    assert [row["rank"] for row in rows] == ["1", "2", "3"]
    assert {row["file"] for row in rows} == {str(sounds / "a.wav")}


def test_the_ending_of_the_output_tells_its_format(sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke("sounds/a.wav", "sounds/sub", "-o", "tags.jsonl")
    assert (done.exit_code, done.stdout) == (0, "")
    lines = Path("tags.jsonl").read_text("utf-8").splitlines()
    assert [json.loads(line)["file"] for line in lines] == ["sounds/a.wav", "sounds/sub/b.flac"]
    assert invoke("sounds/a.wav", "-o", "tags.txt").exit_code == 2
    assert invoke("sounds/a.wav", "-o", "tags.txt", "-f", "table").exit_code == 0
    assert Path("tags.txt").read_text("utf-8").startswith("sounds/a.wav")


def test_an_output_is_replaced_only_if_told(sounds: Path, invoke: Callable[..., Result]) -> None:
    Path("tags.json").write_text("precious")
    done = invoke("sounds/a.wav", "-o", "tags.json")
    assert done.exit_code == 2
    assert "--overwrite" in done.stderr
    assert Path("tags.json").read_text() == "precious"
    assert invoke("sounds/a.wav", "-o", "tags.json", "--overwrite").exit_code == 0
    assert len(json.loads(Path("tags.json").read_text("utf-8"))) == 1


def test_a_recording_is_never_replaced_by_its_tags(sounds: Path, invoke: Callable[..., Result]) -> None:
    (sounds / "link.csv").symlink_to(sounds / "a.wav")
    before = (sounds / "a.wav").read_bytes()
    for output in ("sounds/a.wav", "sounds/link.csv"):
        done = invoke("sounds", "-o", output, "-f", "csv", "--overwrite")
        assert done.exit_code == 2
        assert "is one of the recordings" in done.stderr
    assert (sounds / "a.wav").read_bytes() == before


def test_an_output_holds_the_good_ones_and_appears_only_if_there_are(
    sounds: Path, invoke: Callable[..., Result]
) -> None:
    assert invoke("sounds", "-o", "some.csv").exit_code == 1
    assert len(Path("some.csv").read_text("utf-8").splitlines()) == 1 + 2 * 3
    done = invoke("sounds/bad.wav", "-o", "none.csv")
    assert done.exit_code == 1
    assert "none.csv was not written" in done.stderr
    assert not [path for path in Path().iterdir() if "none.csv" in path.name]


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["--top-k", "0"], "--top-k"),
        (["--threshold", "1.5"], "--threshold"),
        (["--hop", "99"], "--hop"),
        (["--include", "Speeech"], "did you mean 'Speech'"),
        (["--device", "abacus"], "--device abacus"),
        (["--pool", "sum"], "pool"),
        (["--format", "xml"], "format"),
        (["-o", "no/such/folder.csv"], "there is no folder"),
    ],
)
def test_wrong_usage(arguments: list[str], message: str, sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke("sounds/a.wav", *arguments)
    assert done.exit_code == 2
    assert message in done.stderr
    assert done.stdout == ""


def test_nothing_to_do_is_wrong_usage(tmp_path: Path, invoke: Callable[..., Result]) -> None:
    (tmp_path / "empty").mkdir()
    done = invoke("empty")
    assert done.exit_code == 2
    assert "no recordings in empty" in done.stderr


def test_a_missing_file_fails_and_the_others_are_done(sounds: Path, invoke: Callable[..., Result]) -> None:
    done = invoke("gone.wav", "sounds/a.wav", "*.ogg", "-f", "jsonl")
    assert done.exit_code == 1
    assert [json.loads(line)["file"] for line in done.stdout.splitlines()] == ["sounds/a.wav"]
    assert "failed: gone.wav: " in done.stderr
    assert "failed: *.ogg: no file matches this pattern" in done.stderr


def test_options_do_what_they_say(sounds: Path, invoke: Callable[..., Result]) -> None:
    def names(*arguments: str) -> list[str]:
        done = invoke("sounds/sub/b.flac", "-f", "json", *arguments)
        assert done.exit_code == 0, done.stderr
        return [found["name"] for found in json.loads(done.stdout)[0]["tags"]]

    assert len(names()) == 3
    chosen = ("--include", "music", "--include", "own:gate", "--exclude", "MUSIC")
    assert names(*chosen) == ["Garden gate, squeaking"]
    assert names("--threshold", "1", "--pool", "max") == []
    assert len(names("--channel", "1", "--hop", "0.5", "--active-threshold", "0.2", "--pool", "active")) == 3
    assert invoke("sounds/sub/b.flac", "--channel", "2").exit_code == 1


def test_stdin(sounds: Path, model: Path, run_arwkv: RunArwkv) -> None:
    command = [sys.executable, "-m", "arwkv_cli", "tag", "-", "--model", str(model), "-f", "jsonl"]
    done = subprocess.run(command, input=(sounds / "a.wav").read_bytes(), capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    record = json.loads(done.stdout)
    assert record["file"] == "-"
    assert record["coverage"]["decoded_seconds"] == 1.25


@pytest.mark.skipif(sys.platform != "linux", reason="file names there are Unicode")
def test_an_undecodable_name_comes_back(sounds: Path, model: Path, tmp_path: Path) -> None:
    name = b"caf\xe9 [x]\n.wav"
    (sounds / "a.wav").rename(os.fsdecode(os.fsencode(tmp_path) + b"/" + name))
    command = [sys.executable, "-m", "arwkv_cli", "tag", name, "--model", str(model), "-f", "json"]
    environment = os.environ | {"LC_ALL": "C.UTF-8"}
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, env=environment, check=False)
    assert done.returncode == 0, done.stderr
    assert os.fsencode(json.loads(done.stdout)[0]["file"]) == name


@posix
def test_a_reader_that_leaves_ends_the_run_quietly(sounds: Path, model: Path) -> None:
    command = [sys.executable, "-m", "arwkv_cli", "tag", *[str(sounds / "a.wav"), str(sounds / "sub")]]
    with subprocess.Popen(
        [*command, "--model", str(model), "-f", "jsonl"], stdout=subprocess.PIPE, stderr=subprocess.PIPE
    ) as process:
        assert process.stdout is not None
        assert process.stderr is not None
        process.stdout.close()
        assert process.stderr.read() == b""
        assert process.wait(300) == 141


@posix
@pytest.mark.parametrize("to_file", [True, False])
def test_ctrl_c_keeps_what_was_finished(to_file: bool, sounds: Path, model: Path, tmp_path: Path) -> None:
    """The second recording comes from a pipe that never ends: the first is done, the second is not."""
    os.mkfifo(tmp_path / "endless.wav")
    arguments = ["tag", "sounds/a.wav", "endless.wav", "--model", str(model), "-f", "json"]
    output = ["-o", "tags.json"] if to_file else []
    with subprocess.Popen(
        [sys.executable, "-m", "arwkv_cli", *arguments, *output],
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        # whoever runs the tests in the background may have had the signal ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    ) as process:
        pipe = os.open(tmp_path / "endless.wav", os.O_WRONLY)  # waits until the first recording is done
        try:
            process.send_signal(signal.SIGINT)
            stdout, stderr = process.communicate(timeout=300)
        finally:
            os.close(pipe)
            process.kill()
    assert process.returncode == 130, stderr
    assert b"Traceback" not in stderr
    text = (tmp_path / "tags.json.partial").read_text("utf-8") if to_file else stdout.decode()
    assert [record["file"] for record in json.loads(text)] == ["sounds/a.wav"]
    assert not (tmp_path / "tags.json").exists()
    assert to_file == (b"tags.json.partial" in stderr)


@posix
def test_a_table_and_progress_on_a_terminal(sounds: Path, model: Path, tmp_path: Path) -> None:
    import pty

    controller, terminal = pty.openpty()
    arguments = ["tag", "sounds/a.wav", "sounds/sub/b.flac", "--model", str(model)]
    command = [sys.executable, "-m", "arwkv_cli", *arguments]
    environment = os.environ | {"COLUMNS": "80", "LINES": "24", "TERM": "xterm-256color"}
    environment.pop("NO_COLOR", None)
    with subprocess.Popen(
        command, cwd=tmp_path, env=environment, stdout=terminal, stderr=terminal
    ) as process:
        os.close(terminal)
        seen = b""
        while True:
            try:
                part = os.read(controller, 4096)
            except OSError:  # Linux says so when the other end is closed
                break
            if not part:
                break
            seen += part
        assert process.wait(300) == 0
    os.close(controller)
    text = seen.decode("utf-8")
    assert "\x1b[1msounds/a.wav\x1b[0m" in text  # a title, in bold
    assert "Garden gate, squeaking" in text
    assert "1/2 sounds/a.wav" in text  # the progress
    assert "2 recordings, 0:02 of audio" in text


def test_formats_of_the_command_are_those_that_can_be_written() -> None:
    assert [format.value for format in Format] == ["table", *TAG_FORMATS]

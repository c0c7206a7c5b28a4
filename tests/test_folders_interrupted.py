"""Runs into folders that are killed, interrupted, or at work at the same time."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest
from folder_command import app
from folder_runs import command, contents, environment, run, worked_on, write
from typer.testing import CliRunner

from arwkv_core.output_files import OutputFiles

pytestmark = pytest.mark.skipif(os.name != "posix", reason="signals of POSIX")


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    """Forty recordings, of which every third takes a while and one is none."""
    slow = {
        f"{index % 3}/{index:02}.wav": "slow" if index % 3 == 2 else "x" * index for index in range(1, 40)
    }
    return write(tmp_path / "rec", slow | {"bad.wav": "bad"})


def start(folder: Path, *arguments: str, log: Path | None = None) -> "subprocess.Popen[bytes]":
    return subprocess.Popen(
        command(*arguments),
        cwd=folder,
        stdin=subprocess.DEVNULL,
        stderr=subprocess.PIPE,
        env=environment(log),
        # whoever runs the tests in the background may have had the signal ignored, and children inherit that
        preexec_fn=lambda: signal.signal(signal.SIGINT, signal.SIG_DFL),
    )


def wait_for(condition: "object", seconds: float = 60.0) -> None:
    assert callable(condition)
    end = time.monotonic() + seconds
    while not condition():
        assert time.monotonic() < end
        time.sleep(0.01)


@pytest.mark.parametrize("jobs", ["1", "2"])
def test_kills_at_any_moment_lose_nothing_and_leave_nothing_behind(
    jobs: str, rec: Path, tmp_path: Path
) -> None:
    arguments = ["rec", "--output-dir", "out", "--jobs", jobs, "-f", "csv", "-f", "json"]
    assert run(tmp_path, "rec", "--output-dir", "whole", "-f", "csv", "-f", "json").returncode == 1
    generator = random.Random(int(jobs))
    log = tmp_path / "log"
    for _ in range(6):
        with start(tmp_path, *arguments, log=log) as process:
            time.sleep(generator.uniform(0.2, 2.0))
            process.kill()
        for name, content in contents(tmp_path / "out").items():
            if not Path(name).name.startswith("."):
                assert content  # what is there is complete
    assert run(tmp_path, *arguments).returncode == 1
    assert contents(tmp_path / "out") == contents(tmp_path / "whole")
    worked_on(log)
    assert run(tmp_path, *arguments, log=log).returncode == 1
    assert worked_on(log) == ["rec/bad.wav"]


@pytest.mark.parametrize("number", [signal.SIGINT, signal.SIGTERM])
@pytest.mark.parametrize("jobs", ["1", "2"])
def test_an_interruption_ends_cleanly_and_says_how_to_go_on(
    number: signal.Signals, jobs: str, tmp_path: Path
) -> None:
    write(tmp_path / "rec", {"a.wav": "1", "b.wav": "22", "c.wav": "endless", "d.wav": "4444"})
    log = tmp_path / "log"
    with start(tmp_path, "rec", "--output-dir", "out", "--jobs", jobs, "--overwrite", log=log) as process:
        expected = ["a.wav.csv", "b.wav.csv"] + (["d.wav.csv"] if jobs == "2" else [])
        wait_for(
            lambda: (
                (log.exists() and b"c.wav" in log.read_bytes())
                and {*contents(tmp_path / "out")} >= {*expected}
            )
        )
        process.send_signal(number)
        _, stderr = process.communicate(timeout=60)
    assert process.returncode == 130
    assert b"Traceback" not in stderr
    assert (
        f"{len(expected)} of 4 recordings are done, in out; this goes on: arwkv sizes rec".encode() in stderr
    )
    assert b"--overwrite" not in stderr
    assert stderr.endswith(b"arwkv: interrupted\n")
    assert [*contents(tmp_path / "out")] == expected
    record = json.loads((tmp_path / "out/run.json").read_text())
    assert (record["finished"], record["counts"]["done"]) == (None, len(expected))
    for entry in log.read_bytes().split(b"\0")[:-1]:
        with pytest.raises(ProcessLookupError):
            os.kill(int(entry.split()[0]), 0)  # no process is left
    log.unlink()
    write(tmp_path / "rec", {"c.wav": "333"})
    assert run(tmp_path, "rec", "--output-dir", "out", log=log).returncode == 0
    assert worked_on(log) == ["rec/c.wav"] + ([] if jobs == "2" else ["rec/d.wav"])


def test_an_output_that_is_there_counts_when_the_interruption_comes_before_its_count(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def write_then_interrupt(self: OutputFiles, file: str, result: object) -> None:
        written(self, file, result)
        if file.endswith("b.wav"):
            wait_for((tmp_path / "out/b.wav.csv").exists)
            signal.raise_signal(signal.SIGINT)

    written = OutputFiles.write
    monkeypatch.setattr(OutputFiles, "write", write_then_interrupt)
    monkeypatch.setattr(sys, "argv", ["arwkv"])
    write(tmp_path / "rec", {"a.wav": "1", "b.wav": "22", "c.wav": "endless"})
    before = signal.signal(signal.SIGINT, signal.default_int_handler)
    try:
        result = CliRunner().invoke(
            app, ["sizes", str(tmp_path / "rec"), "--output-dir", str(tmp_path / "out")]
        )
    finally:
        signal.signal(signal.SIGINT, before)
    assert result.exit_code == 130
    assert "2 of 3 recordings are done" in result.stderr
    assert json.loads((tmp_path / "out/run.json").read_text())["counts"]["done"] == 2


def test_workers_end_with_a_killed_run(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"a.wav": "endless", "b.wav": "endless"})
    log = tmp_path / "log"
    with start(tmp_path, "rec", "--output-dir", "out", "--jobs", "2", log=log) as process:
        wait_for(lambda: log.exists() and log.read_bytes().count(b"\0") == 2)
        process.kill()
        process.wait()
        workers = [int(entry.split()[0]) for entry in log.read_bytes().split(b"\0")[:-1]]
        wait_for(lambda: not any(_is_alive(worker) for worker in workers))


def test_a_run_that_does_all_again_is_gone_on_with(rec: Path, tmp_path: Path) -> None:
    """What was made with the old options is not taken for the new run's, though that was broken off."""
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 1
    with start(tmp_path, "rec", "--output-dir", "out", "--top-k", "1", "--overwrite") as process:
        wait_for(lambda: _options(tmp_path).get("top_k") == 1)
        time.sleep(0.5)
        process.kill()
    old = (tmp_path / "out/run.json").stat().st_mtime_ns
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 2
    assert run(tmp_path, "rec", "--output-dir", "out", "--top-k", "1").returncode == 1
    since = json.loads((tmp_path / "out/run.json").read_text())["valid_since"]
    assert since <= old
    outputs = [*(tmp_path / "out").rglob("*.wav.csv")]
    assert len(outputs) == 39
    assert all(path.stat().st_mtime_ns >= since for path in outputs)


def test_two_runs_never_share_a_folder(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"a.wav": "endless", "b.wav": "1"})
    log = tmp_path / "log"
    with start(tmp_path, "rec", "--output-dir", "out", log=log) as process:
        wait_for(log.exists)
        second = run(tmp_path, "rec", "--output-dir", "out")
        process.kill()
    assert second.returncode == 2
    assert b"another run is at work there" in second.stderr


def _is_alive(process: int) -> bool:
    """Whether a process runs; one that has ended and was not asked about yet does not."""
    try:
        return Path(f"/proc/{process}/stat").read_text().rpartition(")")[2].split()[0] != "Z"
    except FileNotFoundError:
        if Path("/proc/self").exists():
            return False
    try:
        os.kill(process, 0)
    except ProcessLookupError:
        return False
    return True


def _options(folder: Path) -> dict[str, object]:
    try:
        options: dict[str, object] = json.loads((folder / "out/run.json").read_text())["options"]
    except FileNotFoundError:
        return {}
    return options

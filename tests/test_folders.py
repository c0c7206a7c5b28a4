"""Whole folders, from the outside: outputs mirror the tree, and a run that is repeated does what is missing."""

import csv
import io
import json
import os
import sys
from pathlib import Path

import pytest
from folder_runs import contents, run, worked_on, write

RECORDINGS = {"a.wav": "1", "a.mp3": "22", "sub/a.wav": "333", "sub/deep/b.flac": "4444", "sub/notes.txt": ""}
OUTPUTS = ["a.mp3.csv", "a.wav.csv", "sub/a.wav.csv", "sub/deep/b.flac.csv"]

linux_names = pytest.mark.skipif(sys.platform != "linux", reason="file names elsewhere are Unicode")


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", RECORDINGS)


def sizes(table: bytes) -> dict[str, str]:
    return {row["file"]: row["mean"] for row in csv.DictReader(io.StringIO(table.decode(), newline=""))}


def test_outputs_mirror_the_tree_and_a_second_run_does_what_is_missing(rec: Path, tmp_path: Path) -> None:
    out, log = tmp_path / "new" / "out", tmp_path / "log"
    done = run(tmp_path, "rec", "--output-dir", out, log=log)
    assert (done.returncode, done.stdout) == (0, b"")
    assert done.stderr.startswith(b"arwkv: 4 recordings, 0:10 of audio")
    first = contents(out)
    assert list(first) == OUTPUTS
    assert sizes(first["sub/a.wav.csv"]) == {"rec/sub/a.wav": "3.0"}
    assert len(worked_on(log)) == 4

    (out / "sub/a.wav.csv").unlink()
    (out / "a.mp3.csv").write_text("mine")
    done = run(tmp_path, "rec", "--output-dir", out, log=log)
    assert done.returncode == 0
    assert b"1 recording, 0:03 of audio" in done.stderr
    assert b", 3 kept" in done.stderr
    assert worked_on(log) == ["rec/sub/a.wav"]
    assert contents(out) == first | {"a.mp3.csv": b"mine"}

    record = json.loads((out / "run.json").read_text())
    assert record["schema_version"] == 1
    assert record["command"] == "sizes"
    assert record["options"] == {"top_k": 5, "note": None}
    assert len(record["model"]["weights_sha256"]) == 64
    assert set(record["versions"]) == {"arwkv", "torch", "numba", "numpy"}
    assert record["root"] == str(rec)
    assert record["finished"] >= record["started"]
    assert record["counts"] == {"found": 4, "done": 1, "kept": 3, "failed": 0, "audio_seconds": 3.0}


def test_a_changed_recording_is_done_again(rec: Path, tmp_path: Path) -> None:
    run(tmp_path, "rec", "--output-dir", "out")
    (rec / "a.wav").write_text("changed")
    future = rec / "a.mp3"  # from a recorder whose clock was wrong
    os.utime(future, (4e9, 4e9))
    log = tmp_path / "log"
    assert run(tmp_path, "rec", "--output-dir", "out", log=log).returncode == 0
    assert worked_on(log) == ["rec/a.wav"]
    assert sizes((tmp_path / "out/a.wav.csv").read_bytes()) == {"rec/a.wav": "7.0"}


def test_failures_are_listed_until_they_succeed(rec: Path, tmp_path: Path) -> None:
    write(rec, {"sub/x,\n1.wav": "bad", "y.wav": "bad"})
    (rec / "gone.wav").symlink_to(tmp_path / "nowhere")
    done = run(tmp_path, "rec", "*.ogg", "--output-dir", "out")
    assert done.returncode == 1
    assert b"arwkv: failed: rec/y.wav: no sound\n" in done.stderr
    assert b"4 failed" in done.stderr
    listed = tmp_path / "out/failures.csv"
    rows = {row["file"]: row["reason"] for row in csv.DictReader(listed.open(newline=""))}
    assert set(rows) == {"rec/sub/x,\n1.wav", "rec/y.wav", "rec/gone.wav", "*.ogg"}
    assert rows["rec/y.wav"] == "no sound"
    assert rows["*.ogg"] == "no file matches this pattern"
    assert json.loads((tmp_path / "out/run.json").read_text())["counts"]["failed"] == 4

    write(rec, {"sub/x,\n1.wav": "good"})
    assert run(rec, ".", "--output-dir", "../out").returncode == 1  # named otherwise, and the same
    rows = {row["file"]: row["reason"] for row in csv.DictReader(listed.open(newline=""))}
    assert set(rows) == {"./y.wav", "./gone.wav", "*.ogg"}

    write(rec, {"y.wav": "good"})
    (rec / "gone.wav").unlink()
    run(tmp_path, "rec", "--output-dir", "out")
    assert "gone.wav" in listed.read_text()  # of what is not looked at, nothing is said
    write(rec, {"gone.wav": "good"})
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0


def test_without_failures_there_is_no_list_of_them(rec: Path, tmp_path: Path) -> None:
    write(rec, {"y.wav": "bad"})
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 1
    write(rec, {"y.wav": "good"})
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    assert not (tmp_path / "out/failures.csv").exists()


def test_a_crash_costs_one_recording(rec: Path, tmp_path: Path) -> None:
    write(rec, {"b.wav": "crash"})
    for jobs in ("1", "2"):
        done = run(tmp_path, "rec", "--output-dir", f"out{jobs}", "--jobs", jobs)
        assert done.returncode == 1
        assert b"failed: rec/b.wav: the process that read it was killed (signal 9)" in done.stderr
    listed = contents(tmp_path / "out1")
    assert listed == contents(tmp_path / "out2")
    assert [*listed] == ["a.mp3.csv", "a.wav.csv", "failures.csv", *OUTPUTS[2:]]


@pytest.mark.parametrize("format", ["csv", "json", "jsonl", "parquet"])
def test_one_table_of_all_beside_a_file_for_each(format: str, rec: Path, tmp_path: Path) -> None:
    write(rec, {"bad.wav": "bad"})
    assert run(tmp_path, "rec", "-o", f"plain.{format}").returncode == 1
    arguments = ["rec", "--output-dir", "out", "-o", f"out/all.{format}"]
    assert run(tmp_path, *arguments).returncode == 1
    table = tmp_path / f"out/all.{format}"
    expected = (tmp_path / f"plain.{format}").read_bytes()
    if format == "parquet":
        from pyarrow import parquet

        assert parquet.read_table(table).equals(parquet.read_table(tmp_path / "plain.parquet"))
    else:
        assert table.read_bytes() == expected
    before = table.read_bytes()
    (tmp_path / f"out/sub/a.wav.{format}").unlink()
    log = tmp_path / "log"
    assert run(tmp_path, *arguments, log=log).returncode == 1
    assert worked_on(log) == ["rec/bad.wav", "rec/sub/a.wav"]
    assert table.read_bytes() == before


def test_a_table_that_is_not_ours_is_kept(rec: Path, tmp_path: Path) -> None:
    (tmp_path / "all.csv").write_text("precious")
    done = run(tmp_path, "rec", "--output-dir", "out", "-o", "all.csv")
    assert done.returncode == 2
    assert b"--overwrite" in done.stderr
    assert (tmp_path / "all.csv").read_text() == "precious"


def test_outputs_among_the_recordings(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "rec", "--output-dir", "rec").returncode == 0
    assert {path.name for path in rec.iterdir()} >= {"a.wav", "a.wav.csv", "a.mp3.csv", "run.json"}
    assert run(tmp_path, "rec", "--glob", "*", "--output-dir", "rec/out").returncode == 0
    log = tmp_path / "log"
    assert run(tmp_path, "rec", "--glob", "*", "--output-dir", "rec/out", log=log).returncode == 0
    assert worked_on(log) == []  # the outputs in there were not taken for recordings


def test_several_folders_and_files_have_their_deepest_common_folder(rec: Path, tmp_path: Path) -> None:
    write(tmp_path, {"other/x.wav": "1"})
    assert run(tmp_path, "rec/sub", "other/x.wav", "--output-dir", "out").returncode == 0
    assert [*contents(tmp_path / "out")] == [
        "other/x.wav.csv",
        "rec/sub/a.wav.csv",
        "rec/sub/deep/b.flac.csv",
    ]
    assert run(rec, "sub/a.wav", "--output-dir", "../one").returncode == 0
    assert [*contents(tmp_path / "one")] == ["a.wav.csv"]


def test_a_folder_goes_on_with_the_tree_that_it_has(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    (tmp_path / "out/sub/a.wav.csv").unlink()
    assert run(tmp_path, "rec/sub", "--output-dir", "out").returncode == 0
    assert [*contents(tmp_path / "out")] == OUTPUTS
    write(tmp_path, {"other/a.wav": "other"})
    done = run(tmp_path, "other", "--output-dir", "out")  # its output would be that of rec/a.wav
    assert done.returncode == 2
    assert str(rec).encode() in done.stderr
    assert str(tmp_path / "other").encode() in done.stderr


def test_five_hundred_recordings(tmp_path: Path) -> None:
    names = {f"day {index // 100}/{index:04}.wav": "x" * (index % 7 + 1) for index in range(500)}
    write(tmp_path / "rec", names)
    done = run(tmp_path, "rec", "--output-dir", "out", "-o", "all.jsonl", "--jobs", "2")
    assert done.returncode == 0, done.stderr
    records = [json.loads(line) for line in (tmp_path / "all.jsonl").read_text().splitlines()]
    assert [record["file"] for record in records] == [f"rec/{name}" for name in names]
    assert len(contents(tmp_path / "out")) == 500


@linux_names
def test_names_that_are_no_text_come_back_byte_by_byte(tmp_path: Path) -> None:
    below = os.fsencode(tmp_path / "rec") + b"/d\xfcr"
    os.makedirs(below)  # noqa: PTH103 - pathlib knows no bytes
    names = [b"caf\xe9.wav", b"new\nline.wav", "ü\u202e.wav".encode(), b"'\"\\ $x.wav"]
    for name in names:
        with open(below + b"/" + name, "wb") as file:  # noqa: PTH123
            file.write(b"12345")
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    outputs = os.listdir(os.fsencode(tmp_path / "out") + b"/d\xfcr")  # noqa: PTH208
    assert sorted(outputs) == sorted(name + b".csv" for name in names)
    log = tmp_path / "log"
    assert run(tmp_path, "rec", "--output-dir", "out", log=log).returncode == 0
    assert worked_on(log) == []
    like = run(tmp_path, "--like", "out/run.json", "--output-dir", "out2")
    assert like.returncode == 0
    assert contents(tmp_path / "out2") == contents(tmp_path / "out")


def test_lists_of_files(rec: Path, tmp_path: Path) -> None:
    lines = b"\xef\xbb\xbfrec/a.wav\r\n\nrec/sub\nrec/a.wav\n"
    done = run(tmp_path, "--files-from", "-", "-f", "jsonl", stdin=lines)
    assert done.returncode == 0, done.stderr
    named = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert named == ["rec/a.wav", "rec/sub/a.wav", "rec/sub/deep/b.flac"]

    (tmp_path / "list").write_bytes(b"rec/[a].wav\0rec/new\nline.wav\0")
    write(rec, {"[a].wav": "x"} | ({"new\nline.wav": "y"} if sys.platform == "linux" else {}))
    done = run(tmp_path, "rec/a.wav", "--files-from", "list", "-f", "jsonl")
    named = [json.loads(line)["file"] for line in done.stdout.splitlines()]
    assert named[:2] == ["rec/a.wav", "rec/[a].wav"]

    for arguments, message in (
        (["--files-from", "none"], b"--files-from none: can't be read"),
        (["--files-from", "-", "-"], b"not both"),
        (["--files-from", "-"], b"no recordings in the list of files"),
        ([], b"FILES"),
    ):
        done = run(tmp_path, *arguments)
        assert (done.returncode, done.stdout) == (2, b"")
        assert message in done.stderr


def test_stdin_as_a_recording(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "-", "rec/a.wav", "--output-dir", "out").returncode == 0
    assert [*contents(tmp_path / "out")] == ["a.wav.csv", "stdin.csv"]
    again = run(tmp_path, "-", "--output-dir", "out2")
    assert again.returncode == 0
    again = run(tmp_path, "-", "--output-dir", "out2")
    assert again.returncode == 1  # nobody knows whether that is the same sound
    assert b"--overwrite" in again.stderr
    assert run(tmp_path, "-", "rec", "--output-dir", "out3", "--jobs", "2").returncode == 2

"""run.json: what was made otherwise is never mixed in, and a run can be repeated."""

import json
from pathlib import Path

import pytest
from folder_runs import contents, run, write

from arwkv_core.errors import UsageError
from arwkv_core.run_record import RunRecord


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    return write(tmp_path / "rec", {"a.wav": "1", "sub/b.flac": "22", "sub/c.txt": "333"})


def change(path: Path, **values: object) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | values))


def test_other_options_are_refused_with_a_way_out(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    before = contents(tmp_path / "out")
    done = run(tmp_path, "rec", "--output-dir", "out", "--top-k", "2")
    assert done.returncode == 2
    for part in (b"--top-k", b"5", b"2", b"--overwrite", b"another --output-dir", b"run.json"):
        assert part in done.stderr
    assert contents(tmp_path / "out") == before
    # neither how it is written nor by how many processes makes a difference
    assert run(tmp_path, "rec", "--output-dir", "out", "-f", "json", "--jobs", "2", "-q").returncode == 0
    assert run(tmp_path, "rec", "--output-dir", "out", "--top-k", "2", "--overwrite").returncode == 0
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 2


def test_another_command_or_model_is_refused(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    record = tmp_path / "out/run.json"
    model = json.loads(record.read_text())["model"]
    change(record, model=model | {"weights_sha256": "0" * 64})
    done = run(tmp_path, "rec", "--output-dir", "out")
    assert done.returncode == 2
    assert b"--model: expected the weights with the sha256 000" in done.stderr
    like = run(tmp_path, "--like", "out/run.json")
    assert like.returncode == 2
    assert b"000" in like.stderr
    assert run(tmp_path, "--like", "out/run.json", "--model", model["name"]).returncode == 0
    change(record, model=model, command="timeline")
    for arguments in (["rec", "--output-dir", "out"], ["--like", "out/run.json"]):
        done = run(tmp_path, *arguments)
        assert done.returncode == 2
        assert b"`arwkv timeline`" in done.stderr


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ("{", "found no JSON"),
        ("[]", "found other JSON"),
        ('{"command": "sizes", "schema_version": 99}', "expected schema_version 1, found 99"),
        ('{"command": "sizes", "schema_version": 1, "speed": 1}', "unknown key 'speed'"),
        ('{"command": "sizes", "schema_version": 1, "options": {}}', "lacks model, root, inputs"),
    ],
)
def test_what_is_no_record_is_refused(content: str, message: str, rec: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    (tmp_path / "out/run.json").write_text(content)
    with pytest.raises(UsageError, match=r"run\.json"):
        RunRecord.read(tmp_path / "out/run.json")
    for arguments in (["--output-dir", "out"], ["--like", "out/run.json"]):
        done = run(tmp_path, "rec", *arguments)
        assert done.returncode == 2
        assert message.encode() in done.stderr
    assert (tmp_path / "out/run.json").read_text() == content


def test_wrong_usage_that_shows_late_leaves_no_record(rec: Path, tmp_path: Path) -> None:
    done = run(tmp_path, "rec", "--output-dir", "out", "--top-k", "0")
    assert done.returncode == 2
    assert contents(tmp_path / "out") == {}
    assert not (tmp_path / "out/run.json").exists()
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0


def test_a_run_like_another(rec: Path, tmp_path: Path) -> None:
    arguments = ["rec", "--glob", "*.txt", "--glob", "a*", "--top-k", "1", "-f", "json", "-f", "csv"]
    assert run(tmp_path, *arguments, "--output-dir", "out").returncode == 0
    elsewhere = tmp_path / "else/where"
    elsewhere.mkdir(parents=True)
    assert run(elsewhere, "--like", "../../out/run.json", "--output-dir", "again").returncode == 0
    assert sorted(contents(elsewhere / "again")) == sorted(contents(tmp_path / "out"))
    assert run(tmp_path, "--like", "out/run.json", "--output-dir", "again").returncode == 0
    assert contents(tmp_path / "again") == contents(tmp_path / "out")
    # what is given wins, and then the rule of the folder holds
    assert run(tmp_path, "--like", "out/run.json", "--top-k", "3", "--output-dir", "out").returncode == 2
    named = run(tmp_path, "rec/sub/b.flac", "--like", "out/run.json", "-f", "jsonl")
    assert named.returncode == 0
    assert json.loads(named.stdout)["file"] == "rec/sub/b.flac"


def test_a_run_like_another_with_an_option_that_there_is_not(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "rec", "--output-dir", "out").returncode == 0
    change(tmp_path / "out/run.json", options={"top_k": 5, "smoothing": 2})
    done = run(tmp_path, "--like", "out/run.json")
    assert done.returncode == 2
    assert b"no option --smoothing" in done.stderr


def test_a_list_from_stdin_can_not_be_repeated(rec: Path, tmp_path: Path) -> None:
    assert run(tmp_path, "--files-from", "-", "--output-dir", "out", stdin=b"rec").returncode == 0
    assert run(tmp_path, "--like", "out/run.json").returncode == 2
    listed = run(tmp_path, "--like", "out/run.json", "--files-from", "-", "-q", stdin=b"rec/a.wav")
    assert listed.returncode == 0
    assert b"rec/a.wav" in listed.stdout


def test_a_file_that_an_option_names_must_not_change(rec: Path, tmp_path: Path) -> None:
    arguments = ["rec", "--output-dir", "out", "--note", "note.txt"]
    (tmp_path / "note.txt").write_text("one")
    assert run(tmp_path, *arguments).returncode == 0
    assert run(tmp_path, *arguments).returncode == 0
    (tmp_path / "note.txt").write_text("two")
    done = run(tmp_path, *arguments)
    assert done.returncode == 2
    assert b"--note: note.txt has changed" in done.stderr


def test_a_run_that_came_to_nothing_binds_nobody(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"sub/a.wav": "bad"})
    assert run(tmp_path, "rec/sub", "--output-dir", "out").returncode == 1
    write(tmp_path / "rec", {"sub/a.wav": "good"})
    assert run(tmp_path, "rec", "--output-dir", "out", "--top-k", "1").returncode == 0
    assert [*contents(tmp_path / "out")] == ["sub/a.wav.csv"]

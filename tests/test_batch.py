"""Many recordings: which are found, what becomes of those that fail, and how an output file appears."""

import os
import sys
from pathlib import Path

import pytest

from arwkv_core.batch import run_batch
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.finder import AUDIO_EXTENSIONS, find_recordings
from arwkv_core.results import Failure
from arwkv_core.whole_file import WholeFile

needs_posix_names = pytest.mark.skipif(sys.platform != "linux", reason="file names there are Unicode")


@pytest.fixture
def tree(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with recordings and other things; it is the working directory."""
    for name in (
        "b.wav",
        "a/2.MP3",
        "a/1.flac",
        "a/notes.txt",
        "a/.hidden.wav",
        "a/deep/er/x.opus",
        ".git/y.wav",
        "c.wav.csv",
        "noext",
        "Z.m4a",
        "empty/readme.md",
        "[live].wav",
    ):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.touch()
    monkeypatch.chdir(tmp_path)
    return tmp_path


def names(*inputs: str) -> list[str]:
    found = find_recordings(inputs)
    assert found.failures == []
    return found.files


def test_a_folder_gives_its_recordings_sorted_without_hidden_ones(tree: Path) -> None:
    assert names(".") == [
        "./Z.m4a",
        "./[live].wav",
        "./a/1.flac",
        "./a/2.MP3",
        "./a/deep/er/x.opus",
        "./b.wav",
    ]
    assert names("a") == ["a/1.flac", "a/2.MP3", "a/deep/er/x.opus"]


def test_a_named_file_is_taken_whatever_its_name(tree: Path) -> None:
    inputs = ["noext", "a/.hidden.wav", "a/notes.txt", "not-there.wav", "-", "[live].wav"]
    assert names(*inputs) == inputs


def test_a_hidden_folder_that_is_named_is_entered(tree: Path) -> None:
    assert names(".git") == [".git/y.wav"]


def test_each_recording_once_in_the_order_of_the_inputs(tree: Path) -> None:
    assert names("b.wav", "a", "./b.wav", str(tree / "a/1.flac"), "a", "-", "-") == [
        "b.wav",
        "a/1.flac",
        "a/2.MP3",
        "a/deep/er/x.opus",
        "-",
    ]


@pytest.mark.parametrize(
    ("pattern", "expected"),
    [
        ("*.wav", ["[live].wav", "b.wav"]),
        ("a/?.*", ["a/1.flac", "a/2.MP3"]),
        ("[ab]*", ["a/1.flac", "a/2.MP3", "a/deep/er/x.opus", "b.wav"]),
        ("a/**", ["a/1.flac", "a/2.MP3", "a/deep/er/x.opus"]),
        ("**/*.opus", ["a/deep/er/x.opus"]),
    ],
)
def test_patterns(tree: Path, pattern: str, expected: list[str]) -> None:
    assert names(pattern) == expected


def test_a_pattern_without_a_match_is_a_failure(tree: Path) -> None:
    found = find_recordings(["*.ogg", "b.wav"])
    assert found.files == ["b.wav"]
    assert found.failures == [Failure("*.ogg", "no file matches this pattern")]


def test_a_folder_without_recordings_is_told(tree: Path) -> None:
    found = find_recordings(["empty", "b.wav", "a", "a"])
    assert found.empty == ["empty"]
    assert found.failures == []


@pytest.mark.parametrize("inputs", [["empty"], []])
def test_nothing_at_all_is_wrong_usage(tree: Path, inputs: list[str]) -> None:
    with pytest.raises(UsageError, match="no recordings in"):
        find_recordings(inputs)


def test_links_are_followed_but_never_round_in_circles(tree: Path) -> None:
    (tree / "a/deep/up").symlink_to(tree, target_is_directory=True)
    (tree / "a/self.wav").symlink_to(tree / "a/self.wav")
    (tree / "a/gone.wav").symlink_to(tree / "nowhere")
    other = tree / ".elsewhere"
    other.mkdir()
    (other / "linked.wav").touch()
    (tree / "a/other").symlink_to(other, target_is_directory=True)
    files = names("a")
    assert len(files) == len(set(files))
    assert {"a/other/linked.wav", "a/gone.wav", "a/self.wav", "a/1.flac"} <= set(files)
    assert "a/deep/up/b.wav" in files


@pytest.mark.skipif(os.name != "posix" or os.geteuid() == 0, reason="root may read everything")
def test_a_folder_that_cannot_be_read_is_a_failure(tree: Path) -> None:
    (tree / "a/deep").chmod(0)
    try:
        found = find_recordings(["a"])
    finally:
        (tree / "a/deep").chmod(0o755)
    assert found.files == ["a/1.flac", "a/2.MP3"]
    assert found.failures == [Failure("a/deep", "can't be read: Permission denied")]


def test_a_folder_that_vanishes_is_a_failure(tree: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    scandir = os.scandir

    def failing(path: str) -> object:
        if path.endswith("deep"):
            raise PermissionError(13, "Permission denied", path)
        return scandir(path)

    monkeypatch.setattr(os, "scandir", failing)
    found = find_recordings(["a"])
    assert found.files == ["a/1.flac", "a/2.MP3"]
    assert found.failures == [Failure("a/deep", "can't be read: Permission denied")]


@needs_posix_names
def test_undecodable_names_are_found(tree: Path) -> None:
    Path(os.fsdecode(os.fsencode(tree / "a") + b"/caf\xe9.wav")).touch()
    assert os.fsencode(names("a")[2]) == b"a/caf\xe9.wav"


def test_a_tree_deeper_than_the_limit_of_recursion(tree: Path) -> None:
    here = tree / "a"
    for _ in range(sys.getrecursionlimit() // 10):  # as deep as a path may be long
        here /= "d"
    here.mkdir(parents=True)
    (here / "low.wav").touch()
    assert names("a")[2].endswith("d/low.wav")


def test_extensions_are_plain() -> None:
    assert all(extension == extension.lower().strip(".") for extension in AUDIO_EXTENSIONS)
    assert {
        "wav",
        "flac",
        "mp3",
        "ogg",
        "opus",
        "m4a",
        "mp4",
        "mkv",
        "webm",
        "wma",
        "aac",
    } <= AUDIO_EXTENSIONS


def test_what_fails_is_reported_and_the_others_are_done() -> None:
    def work(file: str) -> int:
        if file == "bad":
            raise AudioError("bad: can't be read as audio:\n  not a sound")
        if file == "gone":
            raise FileNotFoundError(2, "No such file or directory", "gone")
        if file == "locked":
            raise OSError("something")
        return len(file)

    assert list(run_batch(["a", "bad", "bb", "gone", "locked", "ccc"], work)) == [
        1,
        Failure("bad", "can't be read as audio: not a sound"),
        2,
        Failure("gone", "No such file or directory"),
        Failure("locked", "something"),
        3,
    ]


@pytest.mark.parametrize("error", [UsageError("--hop"), ZeroDivisionError(), KeyboardInterrupt()])
def test_wrong_usage_bugs_and_interruptions_end_the_run(error: BaseException) -> None:
    def work(file: str) -> int:
        raise error

    with pytest.raises(type(error)):
        list(run_batch(["a", "b"], work))


def test_a_file_appears_whole(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    file = WholeFile(path)
    file.stream.write("a\nü\udcff\n")
    assert not path.exists()
    file.commit()
    assert path.read_bytes() == "a\nü\\udcff\n".encode()
    assert list(tmp_path.iterdir()) == [path]


def test_an_interrupted_file_is_kept_beside(tmp_path: Path) -> None:
    file = WholeFile(tmp_path / "out.csv")
    file.stream.write("half")
    assert file.keep_partial() == tmp_path / "out.csv.partial"
    assert [path.name for path in tmp_path.iterdir()] == ["out.csv.partial"]


def test_what_exists_is_kept_unless_told_otherwise(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    path.write_text("old")
    with pytest.raises(UsageError, match=r"out\.csv: exists already; --overwrite replaces it"):
        WholeFile(path)
    file = WholeFile(path, overwrite=True)
    file.stream.write("new")
    assert path.read_text() == "old"
    file.commit()
    assert path.read_text() == "new"


def test_what_appears_meanwhile_is_kept_too(tmp_path: Path) -> None:
    path = tmp_path / "out.csv"
    file = WholeFile(path)
    file.stream.write("mine")
    path.write_text("theirs")
    with pytest.raises(UsageError, match=r"exists already.*this run's output is in .*out\.csv\.partial"):
        file.commit()
    assert path.read_text() == "theirs"
    assert (tmp_path / "out.csv.partial").read_text() == "mine"


def test_a_folder_and_a_place_in_no_folder_are_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="expected a file, found a folder"):
        WholeFile(tmp_path, overwrite=True)
    with pytest.raises(UsageError, match="there is no folder"):
        WholeFile(tmp_path / "none" / "out.csv")


def test_a_file_has_the_usual_permissions(tmp_path: Path) -> None:
    (tmp_path / "plain").touch()
    file = WholeFile(tmp_path / "out.csv")
    file.commit()
    assert (tmp_path / "out.csv").stat().st_mode == (tmp_path / "plain").stat().st_mode

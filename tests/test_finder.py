"""Which recordings are found."""

import os
import sys
from pathlib import Path

import pytest

from arwkv_core.errors import UsageError
from arwkv_core.finder import AUDIO_EXTENSIONS, find_recordings
from arwkv_core.results import Failure

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

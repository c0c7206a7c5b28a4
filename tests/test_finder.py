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


@pytest.mark.parametrize(
    ("globs", "expected"),
    [
        (["*.wav"], ["./[live].wav", "./b.wav"]),
        (["*.MP3", "*.opus"], ["./a/2.MP3", "./a/deep/er/x.opus"]),
        (["a/*"], ["./a/1.flac", "./a/2.MP3", "./a/notes.txt"]),
        (["a/**"], ["./a/1.flac", "./a/2.MP3", "./a/deep/er/x.opus", "./a/notes.txt"]),
        (["**/er/*"], ["./a/deep/er/x.opus"]),
        (["a/**/x.*"], ["./a/deep/er/x.opus"]),
        (["./?.wav"], ["./b.wav"]),
        (["[!a-c].*"], ["./Z.m4a", "./a/1.flac", "./a/2.MP3", "./a/deep/er/x.opus"]),
        (["[[]live].wav"], ["./[live].wav"]),
        (["noext", "[12.flac"], ["./noext"]),
    ],
)
def test_globs_choose_from_folders(tree: Path, globs: list[str], expected: list[str]) -> None:
    assert find_recordings(["."], globs=globs).files == expected


def test_globs_do_not_choose_among_named_files(tree: Path) -> None:
    assert find_recordings(["b.wav", "a"], globs=["*.flac"]).files == ["b.wav", "a/1.flac"]
    with pytest.raises(UsageError, match=r"nothing matches --glob \*\.ogg"):
        find_recordings(["a"], globs=["*.ogg"])


@pytest.mark.parametrize("glob", ["/a/*", "a//b", "a/../b", "a/"])
def test_globs_that_can_match_nothing_are_refused(tree: Path, glob: str) -> None:
    with pytest.raises(UsageError, match="--glob"):
        find_recordings(["."], globs=[glob])


def test_listed_names_are_no_patterns(tree: Path) -> None:
    (tree / "b[1].wav").touch()
    assert find_recordings([], listed=["b[1].wav", "*.wav", "a/deep"]).files == [
        "b[1].wav",
        "*.wav",
        "a/deep/er/x.opus",
    ]


def test_the_folder_of_the_outputs_is_left_out(tree: Path) -> None:
    assert find_recordings(["a"], leave_out="a/deep").files == ["a/1.flac", "a/2.MP3"]
    assert find_recordings(["a/deep"], leave_out="a/deep").files == ["a/deep/er/x.opus"]
    assert find_recordings(["a"], leave_out="a").files == find_recordings(["a"]).files


@pytest.mark.parametrize(
    ("inputs", "root"),
    [
        (["a"], "a"),
        (["a/1.flac"], "a"),
        (["a/1.flac", "a/deep"], "a"),
        (["a/deep/er/x.opus", "b.wav"], "."),
        (["a/d*", "a/deep/er"], "a/deep"),
        (["a/deep/../1.flac"], "a"),
        (["-", "a/deep"], "a/deep"),
    ],
)
def test_the_root_is_the_deepest_folder_that_holds_all(tree: Path, inputs: list[str], root: str) -> None:
    assert find_recordings(inputs).root == str((tree / root).resolve())


def test_two_dots_lead_back_from_where_a_link_leads(tree: Path) -> None:
    (tree / "elsewhere").mkdir()
    (tree / "elsewhere/b.wav").touch()
    (tree / "elsewhere/inside").mkdir()
    (tree / "link").symlink_to("elsewhere/inside", target_is_directory=True)
    assert names("b.wav", "link/../b.wav") == ["b.wav", "link/../b.wav"]  # two files
    assert names("elsewhere/b.wav", "link/../b.wav") == ["elsewhere/b.wav"]  # one
    assert names("b..wav", "..wav") == ["b..wav", "..wav"]

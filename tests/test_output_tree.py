"""Where outputs lie: below their folder, each recording's by itself, or nowhere."""

import os
import pickle
import sys
from pathlib import Path

import pytest
from folder_runs import contents, run, write
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.output_tree import OutputTree, PlaceError, conflicts

NAMES = st.lists(
    st.text("aB.é\udcff", min_size=1, max_size=4).filter(lambda name: name.strip(".")), min_size=1
)


def tree(root: str = "/rec", strip: str = "") -> OutputTree:
    return OutputTree("out", root, strip)


@pytest.mark.parametrize(
    ("file", "path"),
    [
        ("/rec/a.wav", "out/a.wav.csv"),
        ("/rec/sub/../a.wav", "out/a.wav.csv"),
        ("/rec//sub/./a.wav", "out/sub/a.wav.csv"),
        ("/rec/noext", "out/noext.csv"),
        ("/rec/..wav", "out/..wav.csv"),
        ("-", "out/stdin.csv"),
    ],
)
def test_a_recording_has_its_place_and_full_name(file: str, path: str) -> None:
    assert tree().path(file, ".csv") == Path(path)


@pytest.mark.parametrize("file", ["/other/a.wav", "/rec/../a.wav", "/rec2/a.wav", "/rec", "a.wav"])
def test_nothing_lies_outside(file: str) -> None:
    with pytest.raises(PlaceError, match="/rec"):
        tree().path(file, ".csv")


def test_kept_scores_stand_for_their_recordings() -> None:
    stripped = tree(strip=".scores.parquet")
    assert stripped.path("/rec/sub/a.wav.scores.parquet", ".csv") == Path("out/sub/a.wav.csv")
    assert pickle.loads(pickle.dumps(stripped)) == stripped


@given(NAMES)
def test_a_place_below_the_root_is_a_place_below_the_folder(names: list[str]) -> None:
    path = tree("/").path("/" + "/".join(names), ".csv")
    assert os.fsencode(path) == os.fsencode("out/" + "/".join(names) + ".csv")


def test_no_output_is_shared() -> None:
    files = ["/rec/a.wav", "/rec/A.wav", "/rec/e\u0301.wav", "/rec/é.wav", "/rec/stra\xdfe", "/rec/STRASSE"]
    assert conflicts(tree(), files, [".csv"]) == {}
    found = conflicts(tree(), files, [".csv"], folds_case=True)
    assert [*found] == files[1::2]
    assert "those of /rec/a.wav: rename" in found["/rec/A.wav"]


def test_folders_called_like_outputs() -> None:
    files = ["/rec/a.wav", "/rec/a.wav.csv/deep/b.wav"]
    for order in (files, files[::-1]):
        assert [*conflicts(tree(), order, [".csv"])] == ["/rec/a.wav"]
    assert conflicts(tree(), files, [".json"]) == {}


def test_outputs_of_several_formats() -> None:
    files = ["/rec/a.wav.chapters", "/rec/a.wav", "/rec/b.wav"]
    assert [*conflicts(tree(), files, [".json", ".chapters.json"])] == ["/rec/a.wav.chapters"]
    assert conflicts(tree(), files, [".json", ".csv"]) == {}


def test_names_that_describe_the_run() -> None:
    files = ["/rec/run", "/rec/failures", "/rec/sub/run", "-", "/rec/stdin"]
    found = conflicts(tree(), files, [".json", ".csv"], reserved=["run.json", "failures.csv"])
    assert [*found] == ["/rec/run", "/rec/failures", "/rec/stdin"] or set(found) == {
        "/rec/run",
        "/rec/failures",
        "/rec/stdin",
    }


def test_names_that_are_too_long(tmp_path: Path) -> None:
    longest = "x" * (255 - len(".wav.csv")) + ".wav"
    write(tmp_path / "rec", {longest: "1", "x" + longest: "22", "\u00e9" * 126 + ".a": "333"})
    done = run(tmp_path, "rec", "--glob", "*", "--output-dir", "out")
    assert done.returncode == 1
    assert done.stderr.count(b"bytes long, and 255 are possible") == 2
    assert [*contents(tmp_path / "out")] == ["failures.csv", longest + ".csv"]


def test_a_link_does_not_lead_out_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"a.wav": "1", "sub/b.wav": "22", "deep/er/c.wav": "333"})
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "out").mkdir()
    (tmp_path / "out/sub").symlink_to(tmp_path / "elsewhere", target_is_directory=True)
    (tmp_path / "out/deep").write_text("a file")
    (tmp_path / "out/a.wav.csv").symlink_to(tmp_path / "elsewhere/nothing")
    done = run(tmp_path, "rec", "--output-dir", "out")
    assert done.returncode == 1
    assert b"failed: rec/sub/b.wav: its output would lie in " in done.stderr
    assert b"failed: rec/deep/er/c.wav: its output needs a folder" in done.stderr
    assert [*(tmp_path / "elsewhere").iterdir()] == []
    assert (tmp_path / "out/a.wav.csv").read_text().startswith("file,")


def test_a_folder_in_the_place_of_an_output(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"a.wav": "1", "b.wav": "22"})
    (tmp_path / "out/a.wav.csv").mkdir(parents=True)
    for _ in range(2):
        done = run(tmp_path, "rec", "--output-dir", "out")
        assert done.returncode == 1
        assert b"failed: rec/a.wav: " in done.stderr
    assert (tmp_path / "out/b.wav.csv").exists()


def test_a_file_in_the_place_of_the_folder(tmp_path: Path) -> None:
    write(tmp_path, {"rec/a.wav": "1", "out": "precious"})
    for folder in ("out", "out/deep"):
        done = run(tmp_path, "rec", "--output-dir", folder)
        assert done.returncode == 2
        assert b"expected a folder, found a file" in done.stderr


@pytest.mark.skipif(sys.platform == "win32", reason="needs links")
def test_loops_and_ways_back(tmp_path: Path) -> None:
    write(tmp_path / "rec", {"a.wav": "1", "sub/b.wav": "22"})
    (tmp_path / "rec/sub/up").symlink_to("..", target_is_directory=True)
    (tmp_path / "link").symlink_to("rec/sub", target_is_directory=True)
    assert run(tmp_path, "rec", "link/../a.wav", "--output-dir", "out").returncode == 0
    assert [*contents(tmp_path / "out")] == ["a.wav.csv", "sub/b.wav.csv"]
    assert run(tmp_path / "rec/sub", "..", "--output-dir", tmp_path / "out2").returncode == 0
    assert [*contents(tmp_path / "out2")] == ["a.wav.csv", "sub/b.wav.csv"]
    assert run(tmp_path, "link", "--output-dir", "out3").returncode == 0
    assert [*contents(tmp_path / "out3")] == ["b.wav.csv", "up/a.wav.csv"]

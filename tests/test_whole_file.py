"""How an output file appears: whole, or not at all."""

from pathlib import Path

import pytest

from arwkv_core.errors import UsageError
from arwkv_core.whole_file import WholeFile


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

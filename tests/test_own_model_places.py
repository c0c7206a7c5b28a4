"""Where models of own sounds may go: never in place of what is no model, and told before the work."""

from pathlib import Path

import pytest
from own_sounds import class_folders, tiny_model
from typer.testing import CliRunner

from arwkv_cli.app import app

PLACES = ("sounds", "sounds/hum", "file", "file/below")


@pytest.fixture(scope="module")
def place(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("place")
    class_folders(folder / "sounds", each=3)
    tiny_model(folder / "tiny")
    (folder / "file").write_text("somebody's")
    return folder


def command(place: Path, name: str, *more: str | Path) -> list[str]:
    call = [name, place / "sounds", "--model", place / "tiny", "--device", "cpu", "--quiet", *more]
    if name == "finetune":
        call += ["--steps", "1", "--batch", "1"]
        call += [] if "--run" in more else ["--run", place / "run"]
    return [str(each) for each in call]


def inside(folder: Path) -> list[Path]:
    return sorted(path for path in folder.rglob("*") if "run" not in path.parts)


@pytest.mark.parametrize("name", ["probe", "finetune", "calibrate"])
@pytest.mark.parametrize("output", PLACES)
def test_nothing_but_a_model_is_overwritten(name: str, output: str, place: Path) -> None:
    """Least of all the sounds themselves."""
    if name == "probe":
        pytest.importorskip("sklearn", reason="probes are fitted by scikit-learn: pip install scikit-learn")
    before = inside(place)
    call = command(place, name, "--name", "mine")
    if name == "calibrate":
        call = [name, str(place / "tiny"), str(place / "manifest.csv")]
    result = CliRunner().invoke(app, [*call, "--output", str(place / output), "--overwrite"])
    assert result.exit_code == 2, result.output
    assert "--output" in result.stderr
    assert str(place / "file") in result.stderr or "to replace" in result.stderr
    assert inside(place) == before


@pytest.mark.parametrize("name", ["probe", "finetune"])
@pytest.mark.parametrize("word", ["../mine", "a/b", "", ".", "two words", "mine.pth"])
def test_a_name_is_one_wherever_the_model_goes(name: str, word: str, place: Path) -> None:
    if name == "probe":
        pytest.importorskip("sklearn", reason="probes are fitted by scikit-learn: pip install scikit-learn")
    before = inside(place)
    result = CliRunner().invoke(app, command(place, name, "--name", word, "--output", place / "out"))
    assert result.exit_code == 2, result.output
    assert "--name" in result.stderr
    assert inside(place) == before


def test_a_run_is_no_place_for_sounds(place: Path) -> None:
    before = inside(place)
    for run, name in (("", "sounds"), ("file", "mine"), ("run", "cache")):
        call = command(place, "finetune", "--name", name, "--run", place / run, "--output", place / "out")
        result = CliRunner().invoke(app, [*call, "--overwrite"])
        assert result.exit_code == 2, result.output
        assert "--run" in result.stderr or "--name" in result.stderr
    assert inside(place) == before


def test_a_full_disk_is_told_and_leaves_the_run_as_it_was(place: Path, tmp_path: Path) -> None:
    full = Path("/dev/full")
    if not full.exists():
        pytest.skip("there is no /dev/full here to stand for a full disk")
    call = command(place, "finetune", "--name", "mine", "--run", tmp_path, "--output", tmp_path / "out")
    (tmp_path / "checkpoint.part").symlink_to(full)
    result = CliRunner().invoke(app, call)
    assert result.exit_code == 1, result.output
    assert "checkpoint.pt: can't be written: No space left on device" in result.stderr
    assert not (tmp_path / "checkpoint.pt").exists()
    assert not (tmp_path / "checkpoint.part").is_symlink()
    again = CliRunner().invoke(app, call)
    assert again.exit_code == 0, again.output
    assert (tmp_path / "out" / "config.toml").is_file()

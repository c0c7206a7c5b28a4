"""A model's card, measured again: its numbers are put into their places, and a false one is found."""

import shutil
import sys
from pathlib import Path
from typing import Any

import pytest
from fake_models import random_model
from small_corpus import CLASSES, make_corpus

from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig

SMALL = Architecture(depth=1, width=64, classes=3, position="frequency")


@pytest.fixture
def card_numbers(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))
    import card_numbers  # type: ignore[import-not-found]  # a script, not a package

    return card_numbers


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_corpus(tmp_path / "corpus", clips=72)


@pytest.fixture
def model(card_numbers: Any, tmp_path: Path) -> Path:
    """With empty places for what is measured."""
    labels = LabelSet(*zip(*CLASSES, strict=True))
    card = f"# small\n\nWords.\n\n{card_numbers.BEGIN}{card_numbers.END}\nMore words.\n"
    folder = tmp_path / "small"
    save_model_folder(folder, random_model(SMALL), ModelConfig("small", SMALL, "sigmoid"), labels, card)
    config = folder / "config.toml"
    tables = "".join(f"[metrics.{name}]\nclips = 0\n\n" for name in ("test", "test_teacher", "valid"))
    config.write_text(config.read_text("utf-8").replace("[weights]", f"{tables}[weights]"), "utf-8")
    return folder


def run(card_numbers: Any, monkeypatch: pytest.MonkeyPatch, *arguments: object) -> None:
    monkeypatch.setattr(sys, "argv", ["card_numbers.py", *map(str, arguments)])
    card_numbers.main()


def test_what_is_written_is_found_again_and_a_false_number_too(
    card_numbers: Any,
    model: Path,
    corpus: Path,
    monkeypatch: pytest.MonkeyPatch,
    capsys: pytest.CaptureFixture[str],
) -> None:
    weights = (model / "model.safetensors").read_bytes()
    run(card_numbers, monkeypatch, corpus, "--model", model, "--write")
    capsys.readouterr()
    card, config = ((model / name).read_text("utf-8") for name in ("CARD.md", "config.toml"))
    assert card.startswith("# small\n\nWords.\n")
    assert "More words.\n" in card
    assert "| mAP, known labels (" in card
    assert "## Calibration" in card
    assert (model / "calibration.csv").exists()
    assert "\nclips = 0\n" not in config
    assert (model / "model.safetensors").read_bytes() == weights

    run(card_numbers, monkeypatch, corpus, "--model", model)
    assert "every number of CARD.md and config.toml was measured again" in capsys.readouterr().out

    line = next(line for line in card.splitlines() if line.startswith("| AUC"))
    (model / "CARD.md").write_text(card.replace(line, "| AUC, the same | 0.987 | 0.123 |"), "utf-8")
    with pytest.raises(SystemExit) as stopped:
        run(card_numbers, monkeypatch, corpus, "--model", model)
    assert stopped.value.code == 1
    out = capsys.readouterr().out
    assert f"- | AUC, the same | 0.987 | 0.123 |\n+ {line}\n" in out
    assert out.count("\n- ") == 1


def test_last_digits_may_differ_and_nothing_else(card_numbers: Any) -> None:
    differences = card_numbers.differences
    assert differences("a 0.682 (12)\n", "a 0.686 (12)\n") == []
    assert differences("a 0.682\nb\n", "a 0.688\nb\n") == ["- a 0.682", "+ a 0.688"]
    assert differences("a 0.682 (12)\n", "a 0.682 (13)\n") == ["- a 0.682 (12)", "+ a 0.682 (13)"]
    assert differences("a 0.5\n", "b 0.5\n") == ["- a 0.5", "+ b 0.5"]
    assert differences("a\n", "a\nb\n") == ["- 1 lines", "+ 2 lines"]


def test_a_card_without_a_place_for_numbers_is_left_as_it_is(
    card_numbers: Any, model: Path, corpus: Path, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    (model / "CARD.md").write_text("# small\n", "utf-8")
    shutil.copytree(model, tmp_path / "before")
    with pytest.raises(SystemExit, match=r"CARD\.md: expected the lines"):
        run(card_numbers, monkeypatch, corpus, "--model", model, "--write")
    for path in model.iterdir():
        assert path.read_bytes() == (tmp_path / "before" / path.name).read_bytes()

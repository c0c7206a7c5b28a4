"""``arwkv evaluate`` on labelled clips: class tables, confusion matrices and pictures, numbers that are required."""

import csv
import importlib.util
import io
import json
from pathlib import Path

import numpy as np
import pytest
from fake_models import random_model, three_class_config
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import CLASSES, make_corpus
from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.evaluate import evaluate_scores
from arwkv_core.evaluation import confusion_picture
from arwkv_core.evaluation.confusion import confusion_of
from arwkv_core.evaluation.requirements import unmet
from arwkv_core.labels import LabelSet
from arwkv_core.metrics import f1_score
from arwkv_core.training.corpus import Clip, Corpus

MATPLOTLIB = importlib.util.find_spec("matplotlib") is not None
LABELS = LabelSet(["own:a", "own:b", "own:c", "own:d"], ["A", "B", "C", "D"])


@pytest.fixture(scope="module")
def corpus(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"), clips=90)


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    arch = Architecture(depth=1, width=64, classes=3, position="frequency")
    labels = LabelSet([mid for mid, _ in CLASSES], [name for _, name in CLASSES])
    save_model_folder(folder, random_model(arch), three_class_config(), labels, "# Gate\n")
    (folder / "events.csv").write_text("mid,on\n/x/hiss,0.25\n")
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    result = CliRunner().invoke(app, ["evaluate", *map(str, arguments), "--device", "cpu", "--quiet"])
    return result.exit_code, result.stdout, result.stderr


def clips(*known: tuple[int, ...], source: str = "made") -> Corpus:
    made = [Clip(Path(f"{n}.wav"), "test", each, source, "") for n, each in enumerate(known)]
    return Corpus(made, LABELS, np.zeros((len(made), 4), np.uint8), np.arange(len(made) + 1))


def test_f1_by_hand() -> None:
    truth = np.array([True, True, True, False, False])
    assert f1_score(truth, np.array([True, True, False, True, False])) == pytest.approx(2 / 3)
    assert f1_score(truth, truth) == 1
    assert f1_score(truth, ~truth) == 0
    assert np.isnan(f1_score(~truth & truth, ~truth & truth))


@given(st.lists(st.tuples(st.booleans(), st.booleans()), min_size=1, max_size=20))
def test_f1_is_the_harmonic_mean_of_precision_and_recall(pairs: list[tuple[bool, bool]]) -> None:
    truth, said = (np.array(each) for each in zip(*pairs, strict=True))
    hits = (truth & said).sum()
    if hits:
        precision, recall = hits / said.sum(), hits / truth.sum()
        assert f1_score(truth, said) == pytest.approx(2 * precision * recall / (precision + recall))


def test_a_confusion_matrix_by_hand() -> None:
    """A alone, B and C together as one class; the higher score of B and C is theirs."""
    corpus = clips((0,), (0,), (1, 2), (1, 2), (), (1, 2))
    scores = np.array(
        [
            [0.9, 0.1, 0.2, 1],
            [0.3, 0.1, 0.4, 1],
            [0.5, 0.1, 0.6, 1],
            [0.9, 0.8, 0.1, 1],
            [1, 1, 1, 1],
            [0.1, 0.2, 0, 1],
        ]
    )
    found = confusion_of(scores, corpus, list(range(6)), "ESC-10")
    assert found is not None
    assert found.names == ("A", "B / C")
    assert found.counts == ((1, 1), (1, 2))
    assert found.accuracy == pytest.approx(3 / 5)


@pytest.mark.parametrize("known", [[(0,), (0, 1)], [(0,), (0,)], [(), ()]])
def test_sets_of_several_labels_have_no_confusion_matrix(known: list[tuple[int, ...]]) -> None:
    assert confusion_of(np.zeros((2, 4)), clips(*known), [0, 1], "ESC-10") is None


def test_thresholds_of_classes_decide_f1() -> None:
    corpus = clips(*[(0,)] * 5, *[(1,)] * 5)
    scores = np.zeros((10, 4))
    scores[:5, 0], scores[5:, 1] = [0.1, 0.3, 0.5, 0.7, 0.9], 0.4
    half = evaluate_scores(scores, corpus, list(range(10)), "made", "test")
    assert [each.f1 for each in half.classes] == pytest.approx([2 * 3 / 8, 0])
    lower = evaluate_scores(scores, corpus, list(range(10)), "made", "test", np.array([0.2, 0.3, 1, 1]))
    assert [each.f1 for each in lower.classes] == pytest.approx([8 / 9, 1])
    assert [each.threshold for each in lower.classes] == pytest.approx([0.2, 0.3])
    assert lower.known_map == half.known_map == 1


def test_what_is_required_is_compared() -> None:
    result = {"known_map": 0.55, "esc10_accuracy": None}
    assert unmet(result, {"known_map": 0.55}) == []
    assert unmet(result, {"known_map": 0.56, "esc10_accuracy": 0.1}) == [
        "known_map: expected at least 0.56, found 0.55",
        "esc10_accuracy: expected at least 0.1, found nothing",
    ]


def test_json_csv_and_tables(model: Path, corpus: Path, tmp_path: Path) -> None:
    call = (model, corpus / "manifest.csv", "--split", "train")
    code, out, err = run(*call, "--format", "json", "--output", tmp_path / "result.json")
    assert (code, out) == (0, ""), err
    ours, teacher = json.loads((tmp_path / "result.json").read_text())["results"]
    thresholds = {each["name"]: each["threshold"] for each in ours["classes"]}
    assert thresholds == {"Hum": 0.5, "Hiss": 0.25, "Clicks": 0.5}
    assert teacher["confusion"]["names"] == ["Hum", "Hiss", "Clicks"]
    assert sum(map(sum, teacher["confusion"]["counts"])) == 30
    code, _, err = run(*call, "--format", "json", "--output", tmp_path / "result.json")
    assert code == 2
    assert "--overwrite" in err
    code, out, _ = run(*call, "--format", "csv")
    rows = list(csv.DictReader(io.StringIO(out)))
    assert len(rows) == len(ours["classes"]) + len(teacher["classes"])
    for row, each in zip(rows, [*ours["classes"], *teacher["classes"]], strict=True):
        assert row["name"] == each["name"]
        assert float(row["ap"]) == each["ap"]
    code, out, _ = run(*call, "--per-class")
    assert code == 0
    assert "gate: classes" in out
    assert "threshold" in out
    assert run(*call, "--require", "known_auc=1.5")[0] == 1


@pytest.mark.skipif(not MATPLOTLIB, reason="needs pip install matplotlib")
def test_a_picture_of_the_confusion_matrix(model: Path, corpus: Path, tmp_path: Path) -> None:
    call = (model, corpus / "manifest.csv", "--split", "train", "--confusion", tmp_path / "matrix.png")
    code, _, err = run(*call)
    assert code == 0, err
    assert (tmp_path / "matrix.png").read_bytes().startswith(b"\x89PNG")
    assert run(*call)[0] == 2
    assert run(*call, "--overwrite")[0] == 0
    assert [path.name for path in tmp_path.iterdir()] == ["matrix.png"]


def test_a_picture_without_matplotlib_or_single_labels(
    model: Path, corpus: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    call = (model, corpus / "manifest.csv", "--split", "train", "--confusion", tmp_path / "matrix.png")
    with monkeypatch.context() as patch:
        patch.setattr(confusion_picture, "find_spec", lambda name: None)
        code, _, err = run(*call)
        assert code == 2
        assert "pip install matplotlib" in err
    several = (corpus / "manifest.csv").read_text().replace(",Hum,", ",Hum;Hiss,")
    (corpus / "several.csv").write_text(several)
    monkeypatch.setattr(confusion_picture, "find_spec", lambda name: object())
    code, _, err = run(model, corpus / "several.csv", *call[2:])
    assert code == 2
    assert "expected clips of one label each" in err
    assert list(tmp_path.iterdir()) == []

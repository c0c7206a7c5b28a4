"""A probe as its user meets it: labelled sounds in, a model out that says of a recording what scikit-learn says."""

import json
import sys
from pathlib import Path

import numpy as np
import pytest
from own_sounds import class_folders, label_tracks, tiny_model, write_csv, write_sound
from typer.testing import CliRunner

import arwkv_core
import arwkv_models
from arwkv_cli.app import app
from arwkv_core.embeddings import EmbeddingStream
from arwkv_core.errors import DatasetError, UsageError
from arwkv_core.labelled.segment import Segment
from arwkv_core.probing.heard import EmbeddingWindows, hear
from arwkv_core.probing.regression import Examples, Head, Regression

pytest.importorskip("sklearn", reason="probes are fitted by scikit-learn: pip install scikit-learn")

FLOAT32 = 2e-5
"""Scores of weights in float32 against those of scikit-learn in float64."""


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


def run(*arguments: str | Path) -> str:
    command = [*map(str, arguments), "--device", "cpu", "--precision", "fp32", "--quiet"]
    result = CliRunner().invoke(app, command, catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return result.stdout


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("folders"))


def test_a_folder_of_clips_becomes_a_model_that_tags(folders: Path, tiny: Path) -> None:
    report = json.loads(run("probe", folders, "--name", "mine", "--model", tiny, "--format", "json"))
    assert report["schema_version"] == 1
    assert report["score_function"] == "softmax"
    assert len(report["folds"]) == 5
    assert report["cross_validation"]["chance_accuracy"] == pytest.approx(1 / 3)
    assert report["cross_validation"]["chance_map"] == pytest.approx(1 / 3)
    assert report["remarks"] == []
    whole = report["cross_validation"]
    assert whole["clips"] == sum(fold["clips"] for fold in report["folds"].values()) == 18
    assert whole["accuracy"] > 0.8, report
    assert whole["map"] > 0.8
    assert report["test"] is None
    new = write_sound(folders.parent / "new.wav", "hiss", 1.3, 99)
    document = json.loads(run("tag", new, "--model", "mine", "--format", "json"))
    assert document[0]["tags"][0]["name"] == "hiss"
    model = arwkv_models.find("mine")
    assert model.origin == "added"
    assert model.config is not None
    assert model.config.licence == {"weights": "CC0-1.0"}
    assert model.config.metrics["cross_validation"]["map"] == pytest.approx(whole["map"], abs=1e-4)
    card = model.card.read_text()
    assert "| accuracy |" in card
    assert "| hiss | 6 |" in card
    shown = CliRunner().invoke(app, ["models", "show", "mine"])
    assert shown.exit_code == 0, shown.output


def fitted(files: dict[Path, str], strength: float, model: Path) -> tuple[object, np.ndarray, np.ndarray]:
    """scikit-learn's own regression on all steps of clips shorter than a window, each clip counting as one."""
    from sklearn.linear_model import LogisticRegression

    tagger = arwkv_core.load(model, "cpu", "fp32")
    rows, weights, truth = [], [], []
    for file, label in files.items():
        steps = tagger.embeddings(file, level="step")
        seconds = steps.ends - steps.starts
        rows.append(steps.vectors)
        weights.append(seconds / seconds.sum())
        truth += [label] * len(seconds)
    x, w = np.concatenate(rows).astype(np.float64), np.concatenate(weights)
    mean = np.average(x, axis=0, weights=w)
    spread = np.sqrt(np.average((x - mean) ** 2, axis=0, weights=w))
    regression = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
    return regression.fit((x - mean) / spread, truth, sample_weight=w), mean, spread


def test_tags_are_scikit_learns_probabilities(folders: Path, tiny: Path, tmp_path: Path) -> None:
    """The mean over a clip's steps, each weighted with its length, of `predict_proba` of its embedding."""
    report = arwkv_core.probe(
        folders, "same", model=tiny, output=tmp_path / "same", device="cpu", precision="fp32", progress=False
    )
    files = {file: file.parent.name for file in sorted(folders.glob("*/*.wav"))}
    regression, mean, spread = fitted(files, report.strength, tiny)
    backbone = arwkv_core.load(tiny, "cpu", "fp32")
    tagger = arwkv_core.load(tmp_path / "same", "cpu", "fp32")
    for file in list(files)[::4]:
        steps = backbone.embeddings(file, level="step")
        again = tagger.embeddings(file, level="step")
        np.testing.assert_array_equal(
            again.vectors, steps.vectors
        )  # a probe leaves the embeddings as they were
        seconds = steps.ends - steps.starts
        expected = seconds @ regression.predict_proba((steps.vectors - mean) / spread) / seconds.sum()  # type: ignore[attr-defined]
        found = tagger.tag(file, top_k=3)
        by_name = {tag.name: tag.mean for tag in found.tags}
        # fitted twice, to another tolerance: the heads differ a little more than their arithmetic does
        np.testing.assert_allclose([by_name[name] for name in regression.classes_], expected, atol=2e-3)  # type: ignore[attr-defined]


@pytest.mark.parametrize("position", ["frequency", "absolute"])
def test_what_is_measured_is_what_tag_says(position: str, tmp_path: Path) -> None:
    """Scores of a head on what was heard are those of the tags, of recordings longer than the window of 1.6 s too."""
    model = tiny_model(tmp_path / "tiny", position)
    class_folders(tmp_path / "data", kinds=("hum", "hiss"), each=2)
    arwkv_core.probe(
        tmp_path / "data",
        "mine",
        model=model,
        output=tmp_path / "mine",
        folds=2,
        device="cpu",
        progress=False,
    )
    backbone = arwkv_core.load(model, "cpu", "fp32")
    tagger = arwkv_core.load(tmp_path / "mine", "cpu", "fp32")
    weight, bias = (
        each.detach().double().numpy() for each in (tagger.model.head.weight, tagger.model.head.bias)
    )
    for seconds in (0.3, 1.6, 1.61, 5.47):
        file = write_sound(tmp_path / f"{seconds}.wav", ["hum", "hiss"], seconds / 2, 7)
        heard = hear(EmbeddingWindows(backbone, str(file)), [Segment(file, ("hum",), "")], background=False)
        (part,) = heard.stretches
        measured = part.weights @ Head(weight, bias, multi_label=False).scores(part.rows)
        tags = {tag.name: tag.mean for tag in tagger.tag(file).tags}
        np.testing.assert_allclose(measured, [tags["hiss"], tags["hum"]], atol=FLOAT32)


@pytest.mark.parametrize("format", ["audacity", "raven"])
def test_label_files_make_a_model_for_timelines(format: str, tiny: Path, tmp_path: Path) -> None:
    label_tracks(tmp_path / "nights", format=format)
    call = ["probe", tmp_path / "nights", "--name", "calls", "--model", tiny, "--output", tmp_path / "calls"]
    report = json.loads(run(*call, "--folds", "3", "--format", "json"))
    assert report["score_function"] == "sigmoid"
    assert report["cross_validation"]["accuracy"] is None
    assert report["cross_validation"]["clips"] == 18  # hum, hum and hiss, hiss: of six recordings
    again = json.loads(run(*call, "--background", "--format", "json", "--overwrite"))
    assert again["cross_validation"]["clips"] == 24
    night = tmp_path / "nights" / "night 0.wav"
    tagger = arwkv_core.load(tmp_path / "calls", "cpu", "fp32")
    scores = tagger.step_scores(night)
    middle = (scores.edges[1:] + scores.edges[:-1]) / 2
    for column, name in enumerate(tagger.labels.names):
        inside = (middle < 1) if name == "hum" else (middle > 1) & (middle < 2)
        assert scores.values[inside, column].mean() > scores.values[middle > 2, column].mean()
    document = json.loads(run("timeline", night, "--model", tmp_path / "calls", "--format", "json"))
    assert {event["name"] for event in document[0]["events"]} <= {"hum", "hiss"}


def test_folds_may_be_given(folders: Path, tiny: Path, tmp_path: Path) -> None:
    call = ["probe", folders, "--name", "esc", "--model", tiny, "--output", tmp_path / "esc"]
    table = run(*call, "--folds", "name")
    assert [line.split("│")[1].strip() for line in table.splitlines() if "│" in line][:5] == [
        "1",
        "2",
        "3",
        "mean ± deviation",
        "by chance",
    ]
    files = sorted(folders.glob("*/*.wav"))
    rows = [f"{file},{file.parent.name},{'ab'[number % 2]}" for number, file in enumerate(files)]
    data = write_csv(tmp_path / "folds.csv", "file,label,fold", *rows)
    call[1] = data
    report = json.loads(run(*call, "--overwrite", "--format", "json"))
    assert list(report["folds"]) == ["a", "b"]


@pytest.mark.parametrize("classes", [2, 3])
@pytest.mark.parametrize("multi_label", [False, True])
def test_a_head_gives_what_its_regressions_give(classes: int, multi_label: bool) -> None:
    rng = np.random.default_rng(classes)
    truth = np.eye(classes, dtype=bool)[rng.integers(0, classes, 60)]
    if multi_label:
        truth |= rng.random(truth.shape) < 0.3
    rows = (rng.normal(5, 3, (60, 8)) + 2 * truth @ rng.normal(size=(classes, 8))).astype(np.float32)
    rows[:, 3] = 1.5  # says nothing
    regression = Regression(Examples(rows, truth, rng.random(60) + 0.1), multi_label)
    for strength in (0.01, 1.0):
        head = regression.fit(strength)
        scaled = ((rows - regression.mean) / regression.spread).astype(np.float32)
        if multi_label:
            expected = np.stack([regression.models[k].predict_proba(scaled)[:, 1] for k in range(classes)], 1)
        else:
            expected = regression.models[0].predict_proba(scaled)
        np.testing.assert_allclose(head.scores(rows), expected, atol=FLOAT32)


def test_a_class_without_examples_is_told_from_none() -> None:
    truth = np.array([[True, False, False], [False, True, False]] * 4)
    rows = np.random.default_rng(0).normal(size=(8, 4)).astype(np.float32)
    for multi_label in (False, True):
        scores = Regression(Examples(rows, truth, np.ones(8)), multi_label).fit(1.0).scores(rows)
        assert np.isfinite(scores).all()
        assert scores[:, 2].max() < 1e-5


def test_two_classes_are_one_regression(tiny: Path, tmp_path: Path) -> None:
    class_folders(tmp_path / "two", kinds=("hum", "hiss"), each=3)
    for function in ("auto", "sigmoid"):
        output = tmp_path / function
        call = ["probe", tmp_path / "two", "--name", "two", "--model", tiny, "--output", output]
        report = json.loads(run(*call, "--score-function", function, "--format", "json"))
        tags = arwkv_core.load(output, "cpu", "fp32").tag(tmp_path / "two" / "hum" / "1-0-A-0.wav").tags
        assert tags[0].name == "hum", report
        assert sum(tag.mean for tag in tags) == pytest.approx(1, abs=0.3 if function == "sigmoid" else 1e-5)


def test_all_that_is_wrong_is_one_message(tiny: Path, tmp_path: Path) -> None:
    class_folders(tmp_path / "bad", kinds=("hum", "hiss"), each=2)
    write_sound(tmp_path / "bad" / "click" / "alone.wav", "click", 0.5, 0)
    (tmp_path / "bad" / "hum" / "broken.wav").write_text("not a sound, though its name says so")
    result = CliRunner().invoke(app, ["probe", str(tmp_path / "bad"), "--name", "bad", "--model", str(tiny)])
    assert result.exit_code == 1
    assert "2 problems" in result.stderr
    assert "broken.wav" in result.stderr
    assert "'click', found this one alone" in result.stderr
    (tmp_path / "bad" / "hum" / "empty.wav").touch()
    with pytest.raises(DatasetError, match="3 problems"):
        arwkv_core.probe(tmp_path / "bad", "bad", model=tiny, progress=False)


def test_a_name_is_checked_before_the_work(folders: Path, tiny: Path, tmp_path: Path) -> None:
    for name in ("a-rwkv-t-open", "no name", ".hidden"):
        with pytest.raises(UsageError, match="--name"):
            arwkv_core.probe(folders, name, model=tiny, progress=False)
    (arwkv_models.user_folder() / "there").mkdir(parents=True)
    result = CliRunner().invoke(app, ["probe", str(folders), "--name", "there", "--model", str(tiny)])
    assert result.exit_code == 2
    assert "--overwrite" in result.stderr
    label_tracks(tmp_path, 2)
    with pytest.raises(arwkv_core.ArwkvError, match="softmax"):
        arwkv_core.probe(tmp_path, "x", model=tiny, score_function="softmax", progress=False)


def test_without_scikit_learn_the_message_says_how_to_get_it(
    folders: Path, tiny: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    result = CliRunner().invoke(app, ["probe", str(folders), "--name", "x", "--model", str(tiny)])
    assert result.exit_code == 1
    assert "pip install scikit-learn" in result.stderr


def test_embeddings_of_windows_add_up(tiny: Path, tmp_path: Path) -> None:
    """The weights of a whole recording's rows are those with which its steps are blended and averaged."""
    file = write_sound(tmp_path / "a.wav", ["hum", "hiss"], 2.3, 5)
    tagger = arwkv_core.load(tiny, "cpu", "fp32")
    heard = hear(EmbeddingWindows(tagger, str(file)), [Segment(file, ("a",), "")], background=False)
    (part,) = heard.stretches
    expected = EmbeddingStream(tagger, file, level="recording").collect().vectors[0]
    np.testing.assert_allclose(part.weights @ part.rows, expected, atol=1e-4)
    assert part.weights.sum() == pytest.approx(1)


class Counted(EmbeddingWindows):
    """Counts the windows that the network hears."""

    count = 0

    def hear(self, features: np.ndarray) -> np.ndarray:
        self.count += len(features)
        return super().hear(features)


def test_what_no_label_is_near_is_not_heard(tiny: Path, tmp_path: Path) -> None:
    """Of a long recording with few labels, the network hears little, and the same."""
    file = write_sound(tmp_path / "night.wav", ["hum", "hiss"] * 20, 1.5, 5)
    tagger = arwkv_core.load(tiny, "cpu", "fp32")
    segments = [Segment(file, ("a",), "", 31.3, 32.0), Segment(file, ("b",), "", 32.0, 32.7)]
    found = {}
    for background in (False, True):
        stream = Counted(tagger, str(file))
        parts = hear(stream, segments, background=background).stretches
        found[background] = stream.count, [part for part in parts if part.stretch.labels]
    assert found[False][0] < found[True][0] / 3
    for one, other in zip(found[False][1], found[True][1], strict=True):
        assert one.stretch == other.stretch
        np.testing.assert_array_equal(one.rows, other.rows)
        np.testing.assert_array_equal(one.weights, other.weights)

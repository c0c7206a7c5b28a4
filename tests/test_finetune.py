"""Fine-tuning as its user meets it: labelled sounds and a model in, a model of own classes out, killed or not."""

import json
from pathlib import Path

import numpy as np
import pytest
import torch
from fake_models import published_file
from finetune_calls import command, quick_recipe, run
from own_sounds import class_folders, label_tracks, tiny_model, write_csv, write_sound
from typer.testing import CliRunner

import arwkv_core
import arwkv_models
from arwkv_cli.app import app
from arwkv_core.errors import DatasetError, UsageError
from arwkv_core.labelled.dataset import read_dataset
from arwkv_core.labelled.validation_split import with_validation
from arwkv_core.training.class_balance import class_weights
from arwkv_core.training.likelihood import known_likelihood
from arwkv_core.training.own_corpus import corpus_of
from arwkv_core.training.recipe import LossTable, Recipe
from arwkv_core.training.student import Student


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def folders(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return class_folders(tmp_path_factory.mktemp("folders"))


@pytest.fixture(scope="module")
def quick(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The bundled recipe with shorter examples, validated often."""
    return quick_recipe(tmp_path_factory.mktemp("recipe") / "quick.toml")


def log(folder: Path) -> list[dict]:
    return [json.loads(line) for line in (folder / "run" / "log.jsonl").read_text().splitlines()]


def test_a_folder_of_clips_becomes_a_model_that_tags(tiny: Path, quick: Path, tmp_path: Path) -> None:
    folders = class_folders(tmp_path / "sounds", kinds=("hum", "hiss"), each=9)
    call = command(folders, "mine", tiny, quick, tmp_path, "--steps", "60", "--rate", "0.003")
    report = run(call)
    assert report["schema_version"] == 1
    assert report["valid"]["clips"] == 4
    assert report["valid"]["accuracy"] >= 0.75, report
    losses = [entry["loss"] for entry in log(tmp_path) if "loss" in entry]
    assert losses[-1] < 0.9 * losses[0], losses
    assert report["test"] is None
    new = write_sound(tmp_path / "new.wav", "hiss", 1.3, 99)
    tagger = arwkv_core.load(tmp_path / "model", "cpu")
    result = tagger.tag(new)
    assert result.names[0] == "hiss"
    assert sum(tag.mean for tag in result.tags) == pytest.approx(1, abs=1e-3)
    assert tagger.config.metrics["valid"]["accuracy"] == pytest.approx(report["valid"]["accuracy"], abs=1e-4)
    card = (tmp_path / "model" / "CARD.md").read_text()
    assert "by which the best weights were chosen" in card
    assert card.count("## Metrics") == 1
    assert run(call) == report  # it is done: nothing is repeated
    assert arwkv_core.load(tmp_path / "model", "cpu").config == tagger.config


def test_it_stops_where_nothing_gets_better(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    call = command(
        folders, "mine", tiny, quick, tmp_path, "--steps", "500", "--patience", "2", "--batch", "2"
    )
    run([*call, "--rate", "1e-12"])
    steps = [entry["step"] for entry in log(tmp_path) if "valid" in entry]
    assert steps[-1] < 500
    likelihood = [entry["valid"]["known_likelihood"] for entry in log(tmp_path) if "valid" in entry]
    assert max(likelihood[-2:]) <= max(likelihood)
    before = log(tmp_path)
    run([*call, "--rate", "1e-12"])
    assert log(tmp_path) == before


def test_classes_may_be_kept(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    """The old classes are scored as before, and the new ones beside them."""
    call = command(folders, "more", tiny, quick, tmp_path, "--keep-classes", "--batch", "4", "--steps", "20")
    report = run(call)
    before, after = (arwkv_core.load(model, "cpu", "fp32") for model in (tiny, tmp_path / "model"))
    assert after.labels.names == ("Speech", "Music", "click", "hiss", "hum")
    assert after.labels.mids[:2] == before.labels.mids
    assert after.config.score_function == "sigmoid"
    assert [each["name"] for each in report["valid"]["classes"]] == ["click", "hiss", "hum"]
    file = next(folders.glob("hum/*.wav"))
    old, new = (tagger.step_scores(file).values[:, :2] for tagger in (before, after))
    assert np.abs(old - new).mean() < 0.1
    again = command(
        folders, "again", tmp_path / "model", quick, tmp_path / "2", "--keep-classes", "--steps", "2"
    )
    run([*again, "--batch", "2"])
    assert arwkv_core.load(tmp_path / "2" / "model", "cpu").labels == after.labels  # it has them all


def test_remarks_and_chance_are_told(tiny: Path, quick: Path, tmp_path: Path) -> None:
    folder = class_folders(tmp_path / "sounds", kinds=("hum", "hiss"), each=4)
    write_sound(folder / "loose.wav", "hum", 0.5, 77)
    call = command(folder, "mine", tiny, quick, tmp_path, "--steps", "1", "--batch", "1")
    shown = CliRunner().invoke(app, [each for each in call if each != "--quiet"])
    assert shown.exit_code == 0, shown.output
    assert "1 recording that lies beside the folders of the classes: left out" in shown.stderr
    assert "by chance" in shown.stdout
    assert "chose the weights" in shown.stdout
    assert "left out" not in CliRunner().invoke(app, call).stderr
    report = run(call)
    assert report["valid"]["chance_accuracy"] == 0.5
    assert len(report["remarks"]) == 1


def test_a_published_checkpoint_is_a_start(folders: Path, quick: Path, tmp_path: Path) -> None:
    checkpoint = published_file(tmp_path / "audio_model.pth")
    call = command(folders, "published", checkpoint, quick, tmp_path, "--steps", "2", "--batch", "2")
    run(call)
    tagger = arwkv_core.load(tmp_path / "model", "cpu")
    assert tagger.model.arch.position == "absolute"
    assert tagger.window_frames == 992
    assert tagger.labels.names == ("click", "hiss", "hum")


@pytest.mark.parametrize("format", ["audacity", "raven"])
def test_label_files_are_taken(format: str, tiny: Path, quick: Path, tmp_path: Path) -> None:
    label_tracks(tmp_path / "nights", format=format)
    call = command(tmp_path / "nights", "calls", tiny, quick, tmp_path, "--steps", "3", "--batch", "2")
    report = run([*call, "--background", "--class-weights", "balanced"])
    assert report["valid"]["accuracy"] is None  # a sound may have several labels, or none
    assert report["valid"]["clips"] == 8  # hum, hum and hiss, hiss, neither: of two recordings
    tagger = arwkv_core.load(tmp_path / "model", "cpu")
    assert tagger.config.score_function == "sigmoid"
    document = CliRunner().invoke(
        app,
        ["timeline", str(tmp_path / "nights"), "--model", str(tmp_path / "model"), "--format", "json"],
    )
    assert document.exit_code == 0, document.output


def test_a_corpus_says_what_the_labels_say(tmp_path: Path) -> None:
    label_tracks(tmp_path, recordings=4)

    def read(background: bool) -> list[tuple]:
        dataset = read_dataset(
            tmp_path,
            background=background,
            arrange=lambda segments, problems: with_validation(segments, 0.25, None, 0, problems),
            measure=True,
        )
        corpus = corpus_of(dataset, dataset.labels, 0.8, in_silence=False)
        assert {clip.split for clip in corpus.clips} == {"train", "valid"}
        first = [clip for clip in corpus.clips if clip.path.name == "night 0.wav"]
        assert len({clip.split for clip in first}) == 1
        return [(round(clip.start, 3), round(clip.end, 3), clip.known) for clip in first]

    hiss, hum = 0, 1
    labelled = [(0, 0.5, (hum,)), (0.5, 1, (hum,)), (1, 1.25, (hiss, hum)), (1.25, 2, (hiss,))]
    assert read(background=False) == labelled
    assert read(background=True) == [*labelled, (2, 2.5, ()), (2.5, 3, ())]


def test_a_given_split_and_test_are_taken(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    splits = ("train", "train", "valid", "train", "test", "train")
    files = sorted(folders.glob("*/*.wav"))
    rows = [f"{file},{file.parent.name},{splits[number % 6]}" for number, file in enumerate(files)]
    data = write_csv(tmp_path / "data.csv", "file,label,split", *rows)
    call = command(data, "mine", tiny, quick, tmp_path, "--steps", "2", "--batch", "2")
    report = run(call)
    assert report["valid"]["clips"] == report["test"]["clips"] == 3
    table = CliRunner().invoke(app, call)
    assert table.exit_code == 0, table.output
    assert "test" in table.stdout


def test_a_fold_may_be_held_back(folders: Path, tiny: Path, quick: Path, tmp_path: Path) -> None:
    more = ("--steps", "2", "--batch", "2", "--valid-fold")
    report = run(command(folders, "esc", tiny, quick, tmp_path, *more, "3"))
    assert report["valid"]["clips"] == 6
    result = CliRunner().invoke(app, command(folders, "esc", tiny, quick, tmp_path / "2", *more, "7"))
    assert result.exit_code == 1
    assert "--valid-fold 7: expected a fold of 1, 2, 3" in result.stderr


def test_all_that_is_wrong_is_one_message(tiny: Path, quick: Path, tmp_path: Path) -> None:
    for index in range(4):
        write_sound(tmp_path / f"{index}.wav", "hum", 1.0, index)
    data = write_csv(
        tmp_path / "bad.csv",
        "file,start,end,label,split",
        "0.wav,0,0.5,hum,train",
        "1.wav,0,0.5,hum,valid",
        "0.wav,0.5,1,hum,valid",
        "2.wav,0,5,hiss,train",
        "3.wav,0,1,gate,valid",
        "4.wav,0,1,hum,train",
    )
    result = CliRunner().invoke(app, command(data, "bad", tiny, quick, tmp_path))
    assert result.exit_code == 1
    for line, message in [
        (4, "in one split"),
        (5, "(1.00 s), found 5 s"),
        (5, "'hiss', found this one alone"),
        (6, "'gate' in the split train too"),
        (7, "there is no such file"),
    ]:
        assert any(f"line {line}: " in text and message in text for text in result.stderr.splitlines()), (
            message
        )
    assert not (tmp_path / "run").exists()


def test_the_zoo_takes_it_once(
    folders: Path, tiny: Path, quick: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    options = {"model": tiny, "recipe": quick, "steps": 2, "batch": 2, "device": "cpu", "progress": False}
    report = arwkv_core.finetune(folders, "mine", **options)
    assert report is not None
    assert report.folder == str(arwkv_models.find("mine").folder)
    assert (tmp_path / "runs" / "mine" / "checkpoint.pt").is_file()
    assert arwkv_core.finetune(folders, "mine", **options) == report  # the same run, done already
    with pytest.raises(UsageError, match="--overwrite"):
        arwkv_core.finetune(folders, "mine", **options, run=tmp_path / "other")
    with pytest.raises(UsageError, match="--name"):
        arwkv_core.finetune(folders, "a-rwkv-t-open", **options)


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"valid_share": 0.0}, "--valid-share"),
        ({"valid_share": 0.7}, "--valid-share: expected a number above 0, at most 0.5"),
        ({"score_function": "linear"}, "--score-function"),
        ({"class_weights": "heavy"}, "--class-weights"),
        ({"recipe": "no-such"}, "no such file"),
        ({"keep_classes": True, "score_function": "softmax"}, "expected sigmoid"),
    ],
)
def test_bad_options_are_refused(
    options: dict, message: str, folders: Path, tiny: Path, tmp_path: Path
) -> None:
    with pytest.raises(arwkv_core.ArwkvError, match=message):
        arwkv_core.finetune(folders, "x", model=tiny, run=tmp_path / "run", progress=False, **options)


def test_labels_of_validation_recordings_alone_are_told(tmp_path: Path) -> None:
    class_folders(tmp_path, kinds=("hum", "hiss"), each=3)
    for index in range(2):  # named as of fold 3, which is held back
        write_sound(tmp_path / "click" / f"3-{index}-A-9.wav", "click", 0.5, index)
    with pytest.raises(DatasetError, match="'click' in") as caught:
        read_dataset(tmp_path, arrange=lambda each, problems: with_validation(each, 0.2, "3", 0, problems))
    assert "expected 'click' in the split train too, found it in valid only" in str(caught.value)


def test_rare_classes_count_for_more(tmp_path: Path) -> None:
    for index in range(12):
        write_sound(tmp_path / ("hum" if index < 9 else "hiss") / f"{index}.wav", "hum", 0.3, index)
    dataset = read_dataset(
        tmp_path, arrange=lambda each, problems: with_validation(each, 0.3, None, 0, problems), measure=True
    )
    corpus = corpus_of(dataset, dataset.labels, 60, in_silence=True)
    counts = corpus.known_matrix(corpus.split("train")).sum(0)
    weights = class_weights(corpus)
    np.testing.assert_allclose(weights * counts, counts.mean())
    assert (corpus.teacher.argmax(1) == [clip.known[0] for clip in corpus.clips]).all()


@pytest.mark.parametrize("kind", ["sigmoid", "softmax"])
def test_weights_are_those_of_positive_targets(kind: str) -> None:
    recipe = Recipe("x", loss=LossTable(kind=kind))  # type: ignore[arg-type]
    plain, weighted = Student(recipe, 3), Student(recipe, 3, class_weights=np.array([1.0, 4.0, 1.0]))
    assert plain.state_dict().keys() == weighted.state_dict().keys()
    logits = torch.randn(5, 3, generator=torch.Generator().manual_seed(0))
    for place, factor in ((1, 4.0), (0, 1.0)):
        targets = torch.zeros(5, 3)
        targets[:, place] = 1
        one, other = (student._scored(logits, targets) for student in (plain, weighted))
        positive = -(logits.log_softmax(-1) if kind == "softmax" else torch.nn.functional.logsigmoid(logits))
        torch.testing.assert_close(other - one, (factor - 1) * positive[:, place].mean())


def test_likelihood_prefers_the_truth() -> None:
    known = np.eye(3, dtype=bool)
    for kind in ("sigmoid", "softmax"):
        good, bad = (known_likelihood(np.abs(known - error), known, kind) for error in (0.1, 0.4))
        assert bad < good < 0
        assert known_likelihood(known.astype(float), known, kind) == pytest.approx(0, abs=1e-5)
    assert np.isnan(known_likelihood(np.zeros((2, 3)), np.zeros((2, 3), bool), "softmax"))

"""``arwkv evaluate --hear`` as its user meets it, and its numbers against scikit-learn on what the HEAR API gives."""

import csv
import io
import json
import statistics
import sys
from pathlib import Path

import numpy as np
import pytest
import torch
from hear_folders import KINDS, event_task, multilabel_task, scene_task
from own_sounds import tiny_model
from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.audio import open_audio
from arwkv_core.errors import DatasetError
from arwkv_core.evaluation.f_scores import event_f1, segment_error_rate
from arwkv_core.evaluation.heard import Findings
from arwkv_core.hear import HearModel, get_scene_embeddings, get_timestamp_embeddings
from arwkv_core.hear_tasks.evaluation import evaluate_hear
from arwkv_core.hear_tasks.post_processing import PostProcessing, find_events
from arwkv_core.hear_tasks.report import HearEvaluation
from arwkv_core.probing.cross_validation import STRENGTHS
from arwkv_core.tagger import load

pytest.importorskip("sklearn", reason="predictors are fitted by scikit-learn: pip install scikit-learn")


@pytest.fixture(scope="module")
def tiny(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tiny_model(tmp_path_factory.mktemp("model") / "tiny")


@pytest.fixture(scope="module")
def tasks(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A folder of tasks of all kinds, as HEAR unpacks them."""
    folder = tmp_path_factory.mktemp("hear") / "tasks"
    scene_task(folder / "kinds-v1", each=6)
    scene_task(folder / "kinds_kfold-v1", folds=3, task_name="kinds_kfold")
    multilabel_task(folder / "mixed-v1")
    event_task(folder / "moments-v1")
    event_task(folder / "moments_kfold-v1", folds=4, task_name="moments_kfold")
    (folder / "notes.txt").write_text("not a task\n")
    return folder


def run(*arguments: object) -> tuple[int, str, str]:
    command = ["evaluate", *map(str, arguments), "--device", "cpu", "--precision", "fp32", "--quiet"]
    result = CliRunner().invoke(app, command)
    return result.exit_code, result.stdout, result.stderr


def evaluate(model: Path, task: Path) -> HearEvaluation:
    (result,) = evaluate_hear(model, task, device="cpu", precision="fp32", progress=False)
    return result


def test_tasks_of_all_kinds_are_measured_and_the_same_again(tiny: Path, tasks: Path) -> None:
    code, out, err = run(tiny, "--hear", tasks, "--format", "json")
    assert code == 0, err
    document = json.loads(out)
    assert document["schema_version"] == 1
    names = ["kinds", "kinds_kfold", "mixed", "moments", "moments_kfold"]
    assert [each["task"] for each in document["results"]] == names
    kinds, kinds_kfold, mixed, moments, moments_kfold = document["results"]
    assert (kinds["clips"], kinds["classes"], kinds["sample_rate"]) == (54, 3, 16_000)
    assert list(kinds["scores"]) == ["top1_acc", "mAP", "d_prime", "aucroc"]
    assert kinds["scores"]["top1_acc"] > 0.6
    assert kinds["deviations"] == {}
    assert [trial["trial"]["test"] for trial in kinds_kfold["trials"]] == ["fold00", "fold01", "fold02"]
    assert mixed["scores"]["mAP"] > 0.8
    assert list(mixed["unsupported"]) == ["top1_acc", "lwlrap"]
    assert moments["scores"]["event_onset_200ms_fms"] > 0.8
    assert moments["scores"]["segment_1s_er"] < 0.3
    assert moments["less_is_better"] == ["segment_1s_er"]
    assert len(moments_kfold["trials"]) == 4
    assert run(tiny, "--hear", tasks, "--format", "json")[1] == out


def scene_embeddings(model: Path, files: list[Path]) -> np.ndarray:
    """What the HEAR API makes of sounds, each by itself."""
    hearing = HearModel(load(model, "cpu", "fp32"))
    rows = []
    for file in files:
        with open_audio(file, sample_rate=hearing.sample_rate) as audio:
            samples = torch.from_numpy(np.concatenate(list(audio)))
        rows.append(get_scene_embeddings(samples[None], hearing)[0].numpy())
    return np.stack(rows).astype(np.float64)


def read_split(task: Path, split: str) -> tuple[list[Path], dict[str, list[str]]]:
    labels = json.loads((task / f"{split}.json").read_text())
    return [task / "16000" / split / name for name in labels], labels


def test_numbers_are_those_of_scikit_learn_on_embeddings_of_the_api(tiny: Path, tasks: Path) -> None:
    """Each strength by itself: the one that is best on the split valid, by the likelihood among equals, is taken."""
    from sklearn.linear_model import LogisticRegression
    from sklearn.metrics import average_precision_score, roc_auc_score

    task = tasks / "kinds-v1"
    result = evaluate(tiny, task)
    (trial,) = result.trials
    rows, truth = {}, {}
    for split in ("train", "valid", "test"):
        files, labels = read_split(task, split)
        rows[split] = scene_embeddings(tiny, files)
        truth[split] = np.array([KINDS.index(label) for (label,) in labels.values()])
    mean, spread = rows["train"].mean(0), rows["train"].std(0)
    merits = {}
    for strength in STRENGTHS:
        regression = LogisticRegression(C=strength, max_iter=5000, tol=1e-8)
        regression.fit((rows["train"] - mean) / spread, truth["train"])
        heard = {split: regression.predict_proba((rows[split] - mean) / spread) for split in rows}
        accuracy = (heard["valid"].argmax(1) == truth["valid"]).mean()
        merits[strength] = (accuracy, np.log(heard["valid"][np.arange(18), truth["valid"]]).mean())
        if strength == trial.strength:
            right = heard["test"].argmax(1) == truth["test"]
            scores = heard["test"]
    assert trial.strength == max(merits, key=lambda strength: merits[strength])
    assert trial.valid_score == merits[trial.strength][0]
    assert result.scores["top1_acc"] == right.mean()
    one_hot = np.eye(3)[truth["test"]]
    assert result.scores["mAP"] == pytest.approx(average_precision_score(one_hot, scores), abs=1e-3)
    assert result.scores["aucroc"] == pytest.approx(roc_auc_score(one_hot, scores), abs=1e-3)


def test_every_fold_is_tested_once_by_what_was_fitted_to_others(tiny: Path, tasks: Path) -> None:
    result = evaluate(tiny, tasks / "moments_kfold-v1")
    trials = [each.trial for each in result.trials]
    assert [(each.test, each.valid) for each in trials] == [
        ("fold00", "fold01"),
        ("fold01", "fold02"),
        ("fold02", "fold03"),
        ("fold03", "fold00"),
    ]
    assert trials[1].train == ("fold00", "fold03")
    for name, score in result.scores.items():
        values = [each.scores[name] for each in result.trials]
        assert score == pytest.approx(statistics.mean(values))
        assert result.deviations[name] == pytest.approx(statistics.stdev(values))


def heard_events(model: Path, task: Path, split: str, strength: float, way: PostProcessing) -> list[Findings]:
    """Events by regressions of scikit-learn on the API's timestamps, a class by itself, and plain loops."""
    from sklearn.linear_model import LogisticRegression

    hearing = HearModel(load(model, "cpu", "fp32"))

    def rows_of(name: str) -> list[tuple[np.ndarray, np.ndarray, list[dict[str, float]]]]:
        files, events = read_split(task, name)
        made = []
        for file in files:
            with open_audio(file, sample_rate=hearing.sample_rate) as audio:
                samples = torch.from_numpy(np.concatenate(list(audio)))
            embeddings, times = get_timestamp_embeddings(samples[None], hearing)
            made.append((embeddings[0].double().numpy(), times[0].double().numpy(), events[file.name]))
        return made  # type: ignore[return-value]  # events are objects here

    training = rows_of("train")
    x = np.concatenate([rows for rows, _, _ in training])
    mean, spread = x.mean(0), x.std(0)
    found: list[list[tuple[float, float, int]]] = [[] for _ in read_split(task, split)[0]]
    for column, kind in enumerate(KINDS[:2]):
        y = np.concatenate(
            [
                [any(e["label"] == kind and e["start"] <= time <= e["end"] for e in events) for time in times]
                for _, times, events in training
            ]
        )
        regression = LogisticRegression(C=strength, max_iter=5000, tol=1e-8).fit((x - mean) / spread, y)
        for place, (rows, times, _) in enumerate(rows_of(split)):
            scores = regression.predict_proba((rows - mean) / spread)[:, 1]
            assert way.median_filter_ms == 0
            begun = None
            for time, score, after in zip(times, scores, [*scores[1:], 0.0], strict=True):
                begun = time if begun is None and score > 0.5 else begun
                if begun is not None and not after > 0.5:
                    if time - begun >= way.min_duration:
                        found[place].append((begun / 1000, time / 1000, column))
                    begun = None
    truth = [
        [(e["start"] / 1000, e["end"] / 1000, KINDS.index(e["label"])) for e in events]  # type: ignore[arg-type]
        for _, _, events in rows_of(split)
    ]
    return [Findings(8.0, *pair) for pair in zip(truth, found, strict=True)]


def test_events_are_those_of_scikit_learn_on_timestamps_of_the_api(tiny: Path, tmp_path: Path) -> None:
    grid = {"event_postprocessing_grid": {"median_filter_ms": [0], "min_duration": [200]}}
    task = event_task(tmp_path / "moments", evaluation_params=grid)
    (trial,) = evaluate(tiny, task).trials
    assert trial.post_processing == PostProcessing(0, 200)
    found = heard_events(tiny, task, "test", trial.strength, trial.post_processing)
    assert sum(len(each.found) for each in found) > 6
    assert trial.scores["event_onset_200ms_fms"] == pytest.approx(event_f1(found, 2, 0.2, None).micro)
    assert trial.scores["segment_1s_er"] == pytest.approx(segment_error_rate(found, 2, 1.0))


def test_the_valid_split_chooses_how_events_are_made(tiny: Path, tmp_path: Path) -> None:
    """Events of a second each: of what asks for two seconds and what asks for none, the latter finds them."""
    grid = {"event_postprocessing_grid": {"median_filter_ms": [0.0], "min_duration": [5000.0, 0.0]}}
    for chosen in (True, False):
        task = event_task(
            tmp_path / str(chosen), evaluation_params=grid, use_scoring_for_early_stopping=chosen
        )
        result = evaluate(tiny, task)
        assert result.trials[0].post_processing == PostProcessing(0, 0)
        assert result.scores["event_onset_200ms_fms"] > 0.8


def steps_of(scores: np.ndarray, median_filter_ms: float, min_duration: float) -> list[tuple[float, ...]]:
    """Events by the places of the steps at whose middles they begin and end, and their columns."""
    found = np.array(find_events(scores, PostProcessing(median_filter_ms, min_duration))).reshape(-1, 3)
    places = (found[:, :2] - 0.08) / 0.16
    np.testing.assert_allclose(places, places.round(), atol=1e-9)
    return [(*map(int, row.round()), int(column)) for row, column in zip(places, found[:, 2], strict=True)]


def test_events_are_smoothed_and_short_ones_left_out() -> None:
    scores = np.zeros((12, 2))
    scores[2:6, 0] = 0.9
    scores[4, 0] = 0.1
    scores[9, 0] = 0.9
    scores[10, 1] = 0.5
    scores[11, 1] = 0.51
    exact = [(2, 3, 0), (5, 5, 0), (9, 9, 0), (11, 11, 1)]
    assert steps_of(scores, 0, 0) == exact
    assert steps_of(scores, 60, 0) == exact  # less than half a step
    assert steps_of(scores, 0, 160) == exact[:1]
    assert steps_of(scores, 0, 161) == []
    assert steps_of(scores, 480, 0) == [(2, 4, 0), (11, 11, 1)]  # at its end the recording is mirrored
    assert steps_of(scores[:1], 480, 0) == []


def test_the_table_shows_all_numbers(tiny: Path, tasks: Path) -> None:
    code, out, err = run(tiny, "--hear", tasks / "kinds_kfold-v1", "--hear", tasks / "mixed-v1")
    assert code == 0, err
    for text in ("tiny on kinds_kfold v1: 36 sounds", "fold02", "mean", "deviation", "top1 acc"):
        assert text in out
    assert "lwlrap: not measured: arwkv does not know this measure of whole sounds" in out


def test_csv_has_a_row_for_each_measure_of_each_fold(tiny: Path, tasks: Path, tmp_path: Path) -> None:
    output = tmp_path / "out.csv"
    code, out, err = run(tiny, "--hear", tasks / "kinds_kfold-v1", "--format", "csv", "--output", output)
    assert (code, out) == (0, ""), err
    rows = list(csv.DictReader(io.StringIO(output.read_text())))
    assert len(rows) == 3 * 4
    assert rows[0] | {"value": ""} == {
        "model": "tiny",
        "task": "kinds_kfold",
        "split": "fold00",
        "clips": "12",
        "measure": "top1_acc",
        "value": "",
    }
    assert 0 <= float(rows[0]["value"]) <= 1


def test_requirements_decide_the_exit_code(tiny: Path, tasks: Path) -> None:
    """Of error rates, what is required is the most; a task without the measure is not concerned."""
    both = (tiny, "--hear", tasks / "kinds-v1", "--hear", tasks / "moments-v1")
    assert run(*both, "--require", "top1_acc=0.3", "--require", "segment_1s_er=1")[0] == 0
    code, out, err = run(*both, "--require", "segment_1s_er=0", "--require", "top1_acc=1.01")
    assert code == 1
    assert "tiny on moments" in out
    assert "tiny, moments: segment_1s_er: expected at most 0, found 0." in err
    assert "tiny, kinds: top1_acc: expected at least 1.01, found " in err


@pytest.mark.parametrize(
    ("options", "problem"),
    [
        (["--collar", "0.1"], "--collar: goes with --events only"),
        (["--split", "valid"], "--split: goes with a manifest only"),
        (["--per-class"], "--per-class: goes with a manifest or --events only"),
        (["--events", "e.tsv"], "expected a manifest, --events or --hear, found --events and --hear"),
        (["--require", "known_map=1"], "--require: expected one of top1_acc, mAP, "),
    ],
)
def test_options_that_do_not_fit_are_refused(
    tiny: Path, tasks: Path, options: list[str], problem: str
) -> None:
    code, _, err = run(tiny, "--hear", tasks, *options)
    assert code == 2
    assert problem in err


def test_a_task_in_the_place_of_a_manifest_is_told(tiny: Path, tasks: Path) -> None:
    code, _, err = run(tiny, tasks / "kinds-v1")
    assert code == 2
    assert "expected a manifest, found a folder; --hear takes tasks of HEAR" in err


def test_sounds_that_cannot_be_decoded_are_told_together(tiny: Path, tmp_path: Path) -> None:
    task = scene_task(tmp_path / "task", each=1)
    broken = sorted((task / "16000").glob("*/*.wav"))[::4]
    for file in broken:
        file.write_bytes(b"RIFF, but no more")
    with pytest.raises(DatasetError, match="3 problems") as caught:
        evaluate(tiny, task)
    assert all(file.name in str(caught.value) for file in broken)


def test_a_missing_package_is_named_with_its_command(
    tiny: Path, tasks: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setitem(sys.modules, "sklearn", None)
    code, _, err = run(tiny, "--hear", tasks)
    assert code == 1
    assert "--hear needs scikit-learn, which is not installed here: pip install scikit-learn" in err

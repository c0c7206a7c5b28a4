"""Measures of HEAR's tasks by their names: cases by hand, and the programs whose numbers HEAR's kit takes."""

import dataclasses
import math

import numpy as np
import pytest
from hear_folders import event_task, scene_task

from arwkv_core.errors import DatasetError
from arwkv_core.evaluation.heard import Findings
from arwkv_core.hear_tasks.evaluation import measures_of
from arwkv_core.hear_tasks.folder import read_hear_task
from arwkv_core.hear_tasks.measures import Measures
from arwkv_core.hear_tasks.task import HearTask


@pytest.fixture(scope="module")
def scene(tmp_path_factory: pytest.TempPathFactory) -> HearTask:
    return read_hear_task(scene_task(tmp_path_factory.mktemp("scene") / "task", each=1))


@pytest.fixture(scope="module")
def event(tmp_path_factory: pytest.TempPathFactory) -> HearTask:
    return read_hear_task(event_task(tmp_path_factory.mktemp("event") / "task"))


def of(task: HearTask, *names: str, **changes: object) -> Measures:
    return Measures.of(dataclasses.replace(task, measures=names, **changes))  # type: ignore[arg-type]  # of the task


def one_hot(*columns: int, classes: int = 3) -> np.ndarray:
    return np.eye(classes, dtype=bool)[list(columns)]


def test_accuracies_by_hand(scene: HearTask) -> None:
    """Notes 60, 61 and 72: an octave more is another pitch and the same chroma."""
    accuracy, chroma = of(scene, "pitch_acc", "chroma_acc", labels=("60", "61", "72")).scene
    truth, heard = one_hot(0, 0, 1, 2), one_hot(0, 2, 0, 0).astype(float)
    assert accuracy.compute(truth, heard) == 1 / 4
    assert chroma.compute(truth, heard) == 3 / 4


@pytest.mark.parametrize("seed", range(3))
def test_averages_are_those_of_scikit_learn(scene: HearTask, seed: int) -> None:
    metrics = pytest.importorskip("sklearn.metrics")
    stats = pytest.importorskip("scipy.stats")
    rng = np.random.default_rng(seed)
    truth = rng.random((40, 3)) < 0.3
    scores = rng.random((40, 3)).round(2) + 0.3 * truth
    ap, auc, distance = (each.compute(truth, scores) for each in of(scene, "mAP", "aucroc", "d_prime").scene)
    assert ap == pytest.approx(metrics.average_precision_score(truth, scores, average="macro"))
    assert auc == pytest.approx(metrics.roc_auc_score(truth, scores, average="macro"))
    by_class = stats.norm.ppf(metrics.roc_auc_score(truth, scores, average=None))
    assert distance == pytest.approx(math.sqrt(2) * by_class.mean())


def test_a_class_of_which_there_is_nothing_to_tell_is_left_out(scene: HearTask) -> None:
    truth, scores = one_hot(0, 0, 1), np.array([[0.9, 0.1, 0.5], [0.8, 0.2, 0.5], [0.1, 0.9, 0.5]])
    ap, distance = of(scene, "mAP", "d_prime").scene
    assert ap.compute(truth, scores) == 1
    assert distance.compute(truth, scores) == math.inf
    assert math.isnan(ap.compute(truth[:2], scores[:2]))


def test_names_of_event_measures_say_what_they_allow(event: HearTask) -> None:
    """An onset that is 0.1 s late, and an end that is 0.3 s late of an event of 2 s."""
    names = ["event_onset_200ms_fms", "event_onset_50ms_fms", "event_onset_offset_150ms_20perc_fms"]
    names += ["event_onset_offset_150ms_10perc_fms", "segment_1s_er", "segment_2s_er"]
    measures = of(event, *names)
    assert measures.names == names
    assert measures.less_is_better == {"segment_1s_er", "segment_2s_er"}
    found = [Findings(10.0, [(2, 4, 0)], [(2.1, 4.3, 0)])]
    assert [each.compute(found) for each in measures.event] == [1, 0, 1, 0, 1 / 2, 1]


@pytest.mark.parametrize(
    ("name", "reason"),
    [
        ("chroma_acc", "it needs labels that are numbers of notes"),
        ("event_onset_200ms_fms", "arwkv does not know this measure of whole sounds"),
        ("map", "arwkv does not know this measure of whole sounds"),
    ],
)
def test_measures_that_do_not_suit_whole_sounds(scene: HearTask, name: str, reason: str) -> None:
    measures = of(scene, "mAP", name, name)
    assert measures.names == ["mAP"]
    assert list(measures.unsupported) == [name]
    assert reason in measures.unsupported[name]


@pytest.mark.parametrize("name", ["mAP", "segment_0s_er", "event_onset_200ms_fms_", "segment_1s_seld"])
def test_measures_that_do_not_suit_events(event: HearTask, name: str) -> None:
    assert "does not know this measure of events" in of(event, name).unsupported[name]


def test_several_labels_have_no_accuracy(scene: HearTask) -> None:
    measures = of(scene, "top1_acc", prediction_type="multilabel")
    assert "exactly one label" in measures.unsupported["top1_acc"]


def test_a_task_of_unknown_measures_only_is_refused(scene: HearTask) -> None:
    with pytest.raises(
        DatasetError, match=r"expected a measure that arwkv has, found lwlrap: arwkv does not know"
    ):
        measures_of(dataclasses.replace(scene, measures=("lwlrap",)))

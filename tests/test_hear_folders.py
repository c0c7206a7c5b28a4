"""Folders of HEAR's tasks: which files are read, and what is said of those that are not as they should be."""

import json
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
from hear_folders import KINDS, event_task, multilabel_task, scene_task, write_task

from arwkv_core.errors import DatasetError
from arwkv_core.hear_tasks.folder import read_hear_task, read_hear_tasks
from arwkv_core.hear_tasks.post_processing import DEFAULT_GRID, PostProcessing
from arwkv_core.hear_tasks.task import HearTask


def read(folder: Path) -> HearTask:
    return read_hear_task(folder)


def change(path: Path, edit: Callable[[Any], Any]) -> None:
    """Change what is in a JSON file."""
    entries = json.loads(path.read_text())
    changed = edit(entries)
    path.write_text(json.dumps(entries if changed is None else changed))


def test_what_a_folder_says_is_read(tmp_path: Path) -> None:
    task = read(event_task(tmp_path / "moments"))
    assert (task.name, task.version, task.embedding_type) == ("moments", "v1", "event")
    assert task.labels == ("hum", "hiss")
    assert task.measures == ("event_onset_200ms_fms", "segment_1s_er")
    assert [(name, len(clips)) for name, clips in task.splits.items()] == [
        ("train", 3),
        ("valid", 3),
        ("test", 3),
    ]
    assert task.grid[0] == PostProcessing(0, 0)
    assert len(task.grid) == 4
    first = task.splits["train"][0]
    assert len(first.events) == 4
    assert 0.1 <= first.events[0][0] < 0.6, "seconds"
    assert set(first.labels) == {column for _, _, column in first.events}


def test_labels_may_be_numbers_and_have_any_order(tmp_path: Path) -> None:
    sounds = {f"{index}.wav": np.zeros(8000) for index in range(6)}
    splits = {
        split: {f"{2 * place}.wav": [60], f"{2 * place + 1}.wav": ["72"]}
        for place, split in enumerate(("train", "valid", "test"))
    }
    task = write_task(
        tmp_path / "notes",
        splits,
        [60, 72],
        sounds=sounds,
        task_name="notes",
        embedding_type="scene",
        prediction_type="multiclass",
        evaluation=["pitch_acc"],
    )
    (task / "labelvocabulary.csv").write_text('"label","idx"\r\n"72",1\r\n"60",0\r\n')
    found = read(task)
    assert found.labels == ("60", "72")
    assert [clip.labels for clip in found.splits["test"]] == [(0,), (1,)]
    assert found.grid == DEFAULT_GRID


def test_folds_are_named_or_counted(tmp_path: Path) -> None:
    named = scene_task(tmp_path / "named", folds=3, each=1)
    assert list(read(named).splits) == ["fold00", "fold01", "fold02"]
    change(named / "task_metadata.json", lambda entries: entries.pop("splits") and None)
    assert list(read(named).splits) == ["fold00", "fold01", "fold02"]


@pytest.mark.parametrize(
    ("rates", "chosen"),
    [((48_000, 16_000), 48_000), ((44_100, 32_000, 48_000), 32_000), ((16_000, 22_050), 22_050)],
)
def test_the_rate_of_the_model_or_the_next_is_taken(
    tmp_path: Path, rates: tuple[int, ...], chosen: int
) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    for rate in rates:
        if rate != 16_000:
            shutil.copytree(folder / "16000", folder / str(rate))
    if 16_000 not in rates:
        shutil.rmtree(folder / "16000")
    (folder / "32").mkdir()  # no sounds in it
    task = read(folder)
    assert task.sample_rate == chosen
    assert task.splits["test"][0].file.parent == folder / str(chosen) / "test"


def test_a_folder_of_tasks_is_read_in_order(tmp_path: Path) -> None:
    for name in ("b", "a"):
        scene_task(tmp_path / "tasks" / name, each=1, task_name=name)
    (tmp_path / "tasks" / "other").mkdir()
    assert [task.name for task in read_hear_tasks([tmp_path / "tasks", tmp_path / "tasks" / "b"])] == [
        "a",
        "b",
        "b",
    ]
    with pytest.raises(DatasetError, match=r"other: expected task_metadata.json there or in folders below"):
        read_hear_tasks([tmp_path / "tasks" / "other"])
    with pytest.raises(
        DatasetError, match=r"gone: expected a folder with a task of HEAR, there is no such folder"
    ):
        read_hear_tasks([tmp_path / "gone"])


METADATA_PROBLEMS: list[tuple[dict[str, Any], str]] = [
    ({"task_name": ""}, 'task_name: expected text, found ""'),
    ({"embedding_type": "seld"}, 'embedding_type: expected scene or event, found "seld"'),
    ({"prediction_type": None}, "prediction_type: expected multiclass or multilabel, found null"),
    (
        {"embedding_type": "event"},
        "prediction_type: expected multilabel, since events may overlap, found multiclass",
    ),
    (
        {"split_mode": "random"},
        'split_mode: expected trainvaltest or new_split_kfold or presplit_kfold, found "random"',
    ),
    ({"splits": ["train", "test"]}, 'splits: expected train, valid, test, found ["train", "test"]'),
    ({"split_mode": "new_split_kfold"}, "nfolds: expected 3 to 1000, found none"),
    ({"split_mode": "new_split_kfold", "nfolds": 2}, "nfolds: expected 3 to 1000, found 2"),
    ({"split_mode": "new_split_kfold", "nfolds": 10**9}, "nfolds: expected 3 to 1000, found 1000000000"),
    (
        {"split_mode": "presplit_kfold", "splits": ["a", "a", "b"]},
        "splits: expected at least 3 different folds",
    ),
    (
        {"split_mode": "presplit_kfold", "splits": ["a", "b", "../c"]},
        "splits: expected at least 3 different folds",
    ),
    ({"evaluation": "mAP"}, 'evaluation: expected a list of names, found "mAP"'),
    ({"evaluation": []}, "evaluation: expected a list of names, found []"),
    (
        {"use_scoring_for_early_stopping": 1},
        "use_scoring_for_early_stopping: expected true or false, found 1",
    ),
    (
        {"evaluation_params": {"event_postprocessing_grid": {"threshold": [0.5]}}},
        "event_postprocessing_grid: expected lists named median_filter_ms and min_duration",
    ),
    (
        {"evaluation_params": {"event_postprocessing_grid": {"median_filter_ms": [-1], "min_duration": [0]}}},
        "median_filter_ms: expected a list of milliseconds, found [-1]",
    ),
]


@pytest.mark.parametrize(("changes", "problem"), METADATA_PROBLEMS)
def test_metadata_that_make_no_sense_are_told(tmp_path: Path, changes: dict[str, Any], problem: str) -> None:
    folder = scene_task(tmp_path / "kinds", each=1, **changes)
    with pytest.raises(DatasetError) as caught:
        read(folder)
    assert f"{folder / 'task_metadata.json'}" in str(caught.value)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("index,label\n0,hum\n", "line 1: expected the columns idx and label, found index, label"),
        ("", "line 1: expected the columns idx and label, found none"),
        ("idx,label\n", "expected at least one label, found none"),
        ("idx,label\n0,hum\n0,hiss\n", "line 3: expected an index of its own, from 0 on, found '0'"),
        ("idx,label\n0,hum\n1,hum\n", "line 3: expected a label of its own, found 'hum'"),
        ("idx,label\n0,hum\n1\n", "line 3: expected a label of its own, found ''"),
        ("idx,label\n0,hum\n2,hiss\n", "expected the indices 0 to 1, found none that is 1"),
        ("idx,label\n0," + 200_000 * "m" + "\n", "line 2: expected fields of a table, found what is none: "),
        (
            "idx,label\n" + 5000 * "1" + ",hum\n",
            "line 2: expected an index of its own, from 0 on, found '1111",
        ),
        ("idx,label\n-1,hum\n", "line 2: expected an index of its own, from 0 on, found '-1'"),
        ("idx,label\n0,hum\n", 'labels of labelvocabulary.csv, found "hiss"'),
    ],
)
def test_vocabularies_that_make_no_sense_are_told(tmp_path: Path, text: str, problem: str) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    (folder / "labelvocabulary.csv").write_text(text)
    with pytest.raises(DatasetError) as caught:
        read(folder)
    assert "labelvocabulary.csv" in str(caught.value)
    assert problem in str(caught.value)


def first(entries: dict[str, Any]) -> str:
    return next(iter(entries))


@pytest.mark.parametrize(
    ("edit", "problem"),
    [
        (lambda entries: [], "test.json: expected an object in braces, found []"),
        (lambda entries: {}, "test.json: expected at least one sound, found none"),
        (lambda entries: entries.update({"gone.wav": ["hum"]}), "test.json: gone.wav: expected the sound "),
        (lambda entries: entries.update({"../x.wav": ["hum"]}), 'expected names of files, found "../x.wav"'),
        (lambda entries: entries.update({first(entries): "hum"}), 'expected a list in brackets, found "hum"'),
        (
            lambda entries: entries.update({first(entries): []}),
            "one label, as multiclass tasks have, found []",
        ),
        (lambda entries: entries.update({first(entries): ["hum", "hiss"]}), "expected one label"),
        (
            lambda entries: entries.update({first(entries): ["meow"]}),
            'labels of labelvocabulary.csv, found "meow"',
        ),
        (
            lambda entries: entries.update({first(entries): [None]}),
            "labels of labelvocabulary.csv, found null",
        ),
        (
            lambda entries: entries.update({first(entries): [["hum"]]}),
            'labels of labelvocabulary.csv, found ["hum"]',
        ),
    ],
)
def test_splits_that_make_no_sense_are_told(tmp_path: Path, edit: Callable[[Any], Any], problem: str) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    change(folder / "test.json", edit)
    with pytest.raises(DatasetError) as caught:
        read(folder)
    assert problem in str(caught.value)


@pytest.mark.parametrize(
    ("event", "problem"),
    [
        ({"label": "hum", "start": 5}, "event 1: expected label, start and end, found"),
        (["hum", 0, 1], "event 1: expected label, start and end, found"),
        (
            {"label": "hum", "start": 5, "end": 4},
            "event 1: expected milliseconds, 0 <= start <= end, found 5 and 4",
        ),
        ({"label": "hum", "start": -1, "end": 4}, "0 <= start <= end, found -1 and 4"),
        ({"label": "hum", "start": "0", "end": 4}, '0 <= start <= end, found "0" and 4'),
        ({"label": "hum", "start": 0, "end": float("nan")}, "0 <= start <= end, found 0 and NaN"),
        ({"label": "hum", "start": 0, "end": 10**400}, "0 <= start <= end, found 0 and 1000"),
        ({"label": "hum", "start": True, "end": 4}, "0 <= start <= end, found true and 4"),
        (
            {"label": "rain", "start": 0, "end": 4},
            'event 1: expected labels of labelvocabulary.csv, found "rain"',
        ),
    ],
)
def test_events_that_make_no_sense_are_told(tmp_path: Path, event: Any, problem: str) -> None:
    folder = event_task(tmp_path / "moments")
    change(folder / "valid.json", lambda entries: entries.update({first(entries): [event]}))
    with pytest.raises(DatasetError) as caught:
        read(folder)
    assert "valid.json: valid-0.wav, event 1" in str(caught.value)
    assert problem in str(caught.value)


def test_sounds_without_labels_are_fine_where_there_may_be_several(tmp_path: Path) -> None:
    task = read(multilabel_task(tmp_path / "mixed"))
    assert task.splits["train"][0].labels == ()
    assert task.splits["train"][3].labels == (0, 1)


def test_a_label_twice_is_told(tmp_path: Path) -> None:
    folder = multilabel_task(tmp_path / "mixed")
    change(folder / "train.json", lambda entries: entries.update({"train-1.wav": ["hum", "hum"]}))
    with pytest.raises(DatasetError, match=r"train-1.wav: expected different labels, found"):
        read(folder)


def test_a_sound_in_two_splits_is_told(tmp_path: Path) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    shutil.copy(folder / "16000/train/000-train.wav", folder / "16000/test")
    change(folder / "test.json", lambda entries: entries.update({"000-train.wav": ["hum"]}))
    with pytest.raises(
        DatasetError, match=r"test.json: expected 000-train.wav in one split, found it in train too"
    ):
        read(folder)


def test_files_that_are_not_there_or_no_json_are_told_together(tmp_path: Path) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    (folder / "train.json").write_text('{"a.wav": ["hum"],\n "b.wav": }')
    (folder / "valid.json").write_text('{"x.wav": ["hum"], "x.wav": ["hiss"]}')
    (folder / "test.json").unlink()
    with pytest.raises(DatasetError) as caught:
        read(folder)
    text = str(caught.value)
    assert "3 problems" in text
    assert f"{folder / 'train.json'}, line 2: expected JSON, found what is none: " in text
    assert f"{folder / 'valid.json'}: expected 'x.wav' once, found it twice" in text
    assert f"{folder / 'test.json'}: can't be read: No such file" in text


def test_a_task_without_sounds_is_told(tmp_path: Path) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    shutil.rmtree(folder / "16000")
    with pytest.raises(
        DatasetError, match=r"folders of sounds named after their sample rate, as 48000, found none"
    ):
        read(folder)


def test_vocabulary_and_metadata_are_told_together(tmp_path: Path) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    (folder / "labelvocabulary.csv").unlink()
    (folder / "task_metadata.json").write_bytes(b'{"task_name": "\xff"}')
    with pytest.raises(DatasetError) as caught:
        read(folder)
    assert "expected text in UTF-8, found the byte 0xff" in str(caught.value)
    assert "labelvocabulary.csv: can't be read" in str(caught.value)


@pytest.mark.parametrize("value", ["[" * 200_000, "9" * 20_000 + "}", '"' + "x" * 200_000 + '"}'])
def test_values_without_end_are_no_crash(tmp_path: Path, value: str) -> None:
    folder = scene_task(tmp_path / "kinds", each=1)
    (folder / "test.json").write_text('{"a": ' + value)
    with pytest.raises(DatasetError, match=r"test\.json") as caught:
        read(folder)
    assert len(str(caught.value)) < 2000


def test_kinds_of_sounds_are_the_vocabulary(tmp_path: Path) -> None:
    assert read(scene_task(tmp_path / "kinds", each=1)).labels == KINDS

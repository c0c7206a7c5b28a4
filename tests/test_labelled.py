"""Labelled sounds as people have them are read; what is wrong with them is told all at once."""

import itertools
import math
import shutil
from pathlib import Path

import numpy as np
import pytest
import soundfile
from hypothesis import given
from hypothesis import strategies as st
from own_sounds import class_folders, label_tracks, write_csv, write_sound

from arwkv_core.errors import DatasetError, UsageError
from arwkv_core.labelled.classes import own_mid
from arwkv_core.labelled.dataset import read_dataset
from arwkv_core.labelled.fold_choice import with_folds
from arwkv_core.labelled.folds import assign_folds
from arwkv_core.labelled.problems import Problems
from arwkv_core.labelled.segment import Segment, stretches

labels = st.sets(st.sampled_from("abc"), max_size=2).map(lambda some: tuple(sorted(some)))
times = st.tuples(st.integers(0, 40), st.integers(1, 20), labels)


@given(st.lists(times, min_size=1, max_size=6), st.booleans())
def test_stretches_say_of_every_moment_what_the_segments_say(spans: list, background: bool) -> None:
    segments = [
        Segment(Path("a"), some, "", start / 4, (start + length) / 4) for start, length, some in spans
    ]
    found = stretches(segments, 10.0, background=background)
    assert all(one.end <= two.start for one, two in itertools.pairwise(found))
    for moment in np.arange(0.125, 10, 0.25):
        covering = [segment for segment in segments if segment.start <= moment < segment.end]
        said = [stretch.labels for stretch in found if stretch.start <= moment < stretch.end]
        if covering or background:
            assert said == [tuple(sorted({label for each in covering for label in each.labels}))]
        else:
            assert said == []


def test_a_whole_recording_is_one_stretch() -> None:
    (only,) = stretches([Segment(Path("a"), ("x",), "")], 3.21)
    assert (only.start, only.end, only.labels) == (0, 3.21, ("x",))


@given(
    st.dictionaries(
        st.text("abcdefgh", min_size=1, max_size=3), st.lists(st.sampled_from("xyz")), min_size=1
    ),
    st.integers(1, 6),
    st.integers(0, 3),
)
def test_folds_hold_every_recording_once_and_none_is_empty(groups: dict, folds: int, seed: int) -> None:
    assigned = assign_folds(groups, folds, seed)
    assert assigned.keys() == groups.keys()
    assert set(assigned.values()) == set(range(min(folds, len(groups))))
    assert assign_folds(dict(reversed(groups.items())), folds, seed) == assigned


@given(st.dictionaries(st.sampled_from("xyz"), st.integers(2, 9), min_size=1), st.integers(2, 5))
def test_folds_share_the_classes_evenly(sizes: dict, folds: int) -> None:
    groups = {f"{label}{index}": [label] for label, size in sizes.items() for index in range(size)}
    assigned = assign_folds(groups, folds)
    for label, size in sizes.items():
        counts = np.bincount([assigned[f"{label}{index}"] for index in range(size)], minlength=folds)
        assert len(np.flatnonzero(counts)) >= 2
        assert counts.max() <= math.ceil(size / min(folds, len(groups))) + 1


def test_folders_are_classes(tmp_path: Path) -> None:
    dataset = read_dataset(class_folders(tmp_path / "sounds"))
    assert dataset.labels.names == ("click", "hiss", "hum")
    assert not dataset.multi_label
    assert len(dataset.segments) == 18
    assert all(segment.whole for segment in dataset.segments)


def test_folders_may_lie_in_splits(tmp_path: Path) -> None:
    class_folders(tmp_path / "train")
    for index, kind in enumerate(("hum", "hiss", "click") * 2):
        write_sound(tmp_path / "test" / kind / f"{index}.wav", kind, 0.5, 1000 + index)
    dataset = read_dataset(tmp_path)
    assert {segment.split for segment in dataset.segments} == {"train", "test"}
    assert sum(segment.split == "test" for segment in dataset.segments) == 6


def test_a_copy_in_another_split_is_told(tmp_path: Path) -> None:
    class_folders(tmp_path / "train")
    class_folders(tmp_path / "test", each=1)
    copied = tmp_path / "test" / "hum" / "under another name.wav"
    shutil.copy(tmp_path / "train" / "hum" / "2-1-A-0.wav", copied)
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path)
    lines = str(caught.value).splitlines()[1:]
    told = f"2-1-A-0.wav: expected a recording of its own, found a copy of {copied}, which is in test and this in train"
    assert any(line.endswith(told) for line in lines), lines
    assert len(lines) == 4  # class_folders makes the same sounds again, one of each class


@pytest.mark.parametrize("format", ["audacity", "raven"])
def test_label_files_belong_to_the_recordings_beside_them(tmp_path: Path, format: str) -> None:
    label_tracks(tmp_path, format=format)
    (tmp_path / "notes.txt").write_text("of no recording")
    dataset = read_dataset(tmp_path)
    assert dataset.multi_label  # labels overlap
    assert len(dataset.segments) == 12
    first = dataset.segments[:2]
    assert [(each.start, each.end, each.labels) for each in first] == [(0, 1.25, ("hum",)), (1, 2, ("hiss",))]
    assert {each.file.name for each in first} == {"night 0.wav"}


def test_raven_counts_from_the_file_where_it_says_so(tmp_path: Path) -> None:
    for index in range(2):
        write_sound(tmp_path / f"{index}.wav", "hum", 2.0, index)
        rows = [
            "Selection\tBegin Time (s)\tEnd Time (s)\tFile Offset (s)\tSpecies",
            "1\t100.5\t101.0\t0.5\tfrog",
            "2\t101.0\t101.5\t1.0\ttoad",
        ]
        (tmp_path / f"{index}.Table.1.selections.txt").write_text("\n".join(rows))
    dataset = read_dataset(tmp_path)
    assert [(each.start, each.end) for each in dataset.segments] == [(0.5, 1.0), (1.0, 1.5)] * 2
    assert dataset.labels.names == ("frog", "toad")


def test_a_table_may_say_everything(tmp_path: Path) -> None:
    for index in range(4):
        write_sound(tmp_path / "a" / f"{index}.wav", "hum", 2.0, index)
    table = write_csv(
        tmp_path / "mine.csv",
        "file,start,end,labels,split,recording",
        "a/0.wav,,,Gate;Dog,train,one",
        "a/1.wav,0.5,2.05,Dog,train,one",  # an end may be rounded
        "a/2.wav,1,,Gate,train,two",
        "a/2.wav,,1,Dog,train,two",
        "a/3.wav,,,Dog; Gate,test,three",
    )
    dataset = read_dataset(table)
    assert dataset.multi_label
    found = [(each.start, each.end, each.labels, each.split, each.recording) for each in dataset.segments]
    assert found == [
        (0, math.inf, ("Gate", "Dog"), "train", "one"),
        (0.5, 2.05, ("Dog",), "train", "one"),
        (1, math.inf, ("Gate",), "train", "two"),
        (0, 1, ("Dog",), "train", "two"),
        (0, math.inf, ("Dog", "Gate"), "test", "three"),
    ]
    assert dict(dataset.labels) == {"/m/0bt9lr": "Dog", "own:gate": "Gate"}


def test_two_spellings_of_a_class_are_refused(tmp_path: Path) -> None:
    for index in range(4):
        write_sound(tmp_path / f"{index}.wav", "hum", 0.5, index)
    table = write_csv(
        tmp_path / "a.csv", "file,label", "0.wav,Dog", "1.wav,dog", "2.wav,My gate", "3.wav,my-gate"
    )
    with pytest.raises(DatasetError) as caught:
        read_dataset(table)
    assert "expected one spelling of a label, found 'Dog' and 'dog', both /m/0bt9lr" in str(caught.value)
    assert "found 'My gate' and 'my-gate', both own:my-gate" in str(caught.value)


def test_a_label_that_is_an_id_bears_the_classes_name(tmp_path: Path) -> None:
    for index in range(4):
        write_sound(tmp_path / f"{index}.wav", "hum", 0.5, index)
    rows = ["0.wav,/m/0bt9lr", "1.wav,/m/0bt9lr", "2.wav,Garden gate", "3.wav,Garden gate"]
    dataset = read_dataset(write_csv(tmp_path / "a.csv", "file,label", *rows))
    assert dict(dataset.labels) == {"/m/0bt9lr": "Dog", "own:garden-gate": "Garden gate"}
    assert {label for each in dataset.segments for label in each.labels} == {"Dog", "Garden gate"}


@pytest.mark.parametrize(
    ("label", "mid"),
    [
        ("Gate", "own:gate"),
        ("a_b  C-d", "own:a-b-c-d"),
        ("Große Ölmühle", "own:grosse-ölmühle"),
        ("鳥 1", "own:鳥-1"),
    ],
)
def test_own_ids_are_slugs(label: str, mid: str) -> None:
    assert own_mid(label) == mid


def test_every_problem_is_told_at_once(tmp_path: Path) -> None:
    for index in range(4):
        write_sound(tmp_path / f"{index}.wav", "hum", 2.0, index)
    (tmp_path / "text.wav").write_text("no sound at all, but long enough to be looked at twice")
    (tmp_path / "empty.wav").touch()
    table = write_csv(
        tmp_path / "bad.csv",
        "file,start,end,label,split",
        "0.wav,0,1,hum,train",
        "1.wav,0,1,hum,train",
        "missing.wav,,,hum,train",
        "text.wav,,,hum,train",
        "empty.wav,,,hum,train",
        "2.wav,1,1,hum,train",
        "2.wav,1.5,0.5,hum,train",
        "2.wav,0,9.5,hum,train",
        "2.wav,7,,hum,train",
        "2.wav,-1,1,hum,train",
        "2.wav,a,1,hum,train",
        "2.wav,0,1,,train",
        "2.wav,0,1,hum;,train",
        "0.wav,1,2,hum,test",
        "3.wav,0,1,lonely,train",
        "3.wav,0,1,hum,learn",
        "3.wav,0,1,unheard,test",
        "3.wav,0,1,!?,train",
        "3.wav,0,1",
    )
    with pytest.raises(DatasetError) as caught:
        read_dataset(table)
    lines = str(caught.value).splitlines()
    expected = [
        (4, "there is no such file"),
        (5, "text.wav"),
        (6, "is empty"),
        (7, "expected end > start, found start 1 and end 1"),
        (8, "expected end > start, found start 1.5 and end 0.5"),
        (9, "(2.00 s), found 9.5 s"),
        (10, "(2.00 s), found 7 s"),
        (11, "expected start >= 0, found -1"),
        (12, "expected seconds in 'start', found 'a'"),
        (13, "expected a label, found ''"),
        (14, "expected a label, found 'hum;'"),
        (15, "in one split, found it in test and, at"),
        (16, "expected at least 2 recordings with the label 'lonely', found this one alone"),
        (17, "expected a split of train, valid, test, found 'learn'"),
        (18, "expected 'unheard' in the split train too"),
        (20, "expected 5 fields, found 3"),
    ]
    for line, message in expected:
        assert any(f"bad.csv, line {line}: " in text and message in text for text in lines), (line, lines)
    assert any("with a letter or digit in them, found '!?'" in text for text in lines)
    assert lines[0] == f"{table}: {len(lines) - 1} problems:"


@pytest.mark.parametrize(
    ("header", "message"),
    [
        ("file,label,colour", "the unknown column 'colour'"),
        ("label", "expected a column 'file'"),
        ("file", "expected a column 'label' or 'labels', found neither"),
        ("file,label,labels", "found both"),
        ("file,file,label", "the column 'file' once"),
    ],
)
def test_columns_are_checked(tmp_path: Path, header: str, message: str) -> None:
    table = write_csv(tmp_path / "a.csv", header, "x")
    with pytest.raises(DatasetError, match=r"a\.csv, line 1") as caught:
        read_dataset(table)
    assert message in str(caught.value)


def test_bad_label_files_are_told_by_line(tmp_path: Path) -> None:
    for index in range(3):
        write_sound(tmp_path / f"{index}.wav", "hum", 2.0, index)
    (tmp_path / "0.txt").write_text("0\t1\thum\n1\t1\thiss\nnothing\n0\t1\t\n")
    (tmp_path / "1.txt").write_text("Selection\tBegin Time (s)\tEnd Time (s)\n1\t0\t1\n")
    soundfile.write(tmp_path / "2.flac", np.zeros(100), 16_000)
    (tmp_path / "2.txt").write_text("0\t1\thum\n")
    with pytest.raises(DatasetError) as caught:
        read_dataset(tmp_path)
    text = str(caught.value)
    assert "0.txt, line 2: expected end > start" in text
    assert "0.txt, line 3: expected start, end and label" in text
    assert "0.txt, line 4: expected a label, found ''" in text
    assert "1.txt, line 1: expected the columns" in text
    assert "2.txt: expected one recording of this name beside it, found several" in text


def test_one_class_needs_its_contrary(tmp_path: Path) -> None:
    class_folders(tmp_path, kinds=("hum",))
    with pytest.raises(DatasetError, match="--background"):
        read_dataset(tmp_path)
    for file in sorted((tmp_path / "hum").iterdir()):
        (tmp_path / "hum" / f"{file.stem}.txt").write_text("0.2\t0.4\thum\n")
    dataset = read_dataset(tmp_path / "hum", background=True)
    assert dataset.multi_label
    assert dataset.labels.names == ("hum",)


@pytest.mark.parametrize("what", ["nothing", "empty"])
def test_what_is_no_data_is_refused(tmp_path: Path, what: str) -> None:
    (tmp_path / "empty").mkdir()
    with pytest.raises(DatasetError, match=what):
        read_dataset(tmp_path / what)


def test_folds_stand_in_names(tmp_path: Path) -> None:
    segments = read_dataset(class_folders(tmp_path)).segments
    problems = Problems("here")
    named = with_folds(segments, "name", 0, problems)
    assert {segment.fold for segment in named} == {"1", "2", "3"}
    assert {segment.recording for segment in named} >= {"0", "5", "100", "205"}
    assert problems.found == []
    with_folds([*segments, Segment(Path("x.wav"), ("hum",), "x.wav")], "name", 0, problems)
    assert "begins with its fold" in problems.found[0]
    with pytest.raises(UsageError, match="--folds"):
        with_folds(segments, 1, 0, problems)
    with pytest.raises(UsageError, match="--folds"):
        with_folds(segments, "leave-one-out", 0, problems)

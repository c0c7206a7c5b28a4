"""The sounds of one split of a task: a JSON object of file names, each with its labels or its events."""

from __future__ import annotations

from pathlib import Path
from typing import Any

from arwkv_core.evaluation.segments import Span
from arwkv_core.labelled.problems import Problems

from .json_file import number, read_object, shown
from .metadata import Metadata
from .task import TaskClip


def read_split(
    folder: Path, split: str, rate: int, metadata: Metadata, labels: tuple[str, ...], problems: Problems
) -> list[TaskClip]:
    """Read a split, in the order of its file.

    Parameters
    ----------
    folder : Path
        Of the task.
    split : str
    rate : int
        Sample rate whose files are taken.
    metadata : Metadata
    labels : tuple of str
        The vocabulary.
    problems : Problems
        Takes what is wrong.
    """
    path = folder / f"{split}.json"
    entries = read_object(path, problems)
    if entries is None:
        return []
    if not entries:
        problems.add(str(path), "at least one sound", "none")
    reader = _SplitReader(path, {label: column for column, label in enumerate(labels)}, problems)
    clips = []
    for name, value in entries.items():
        file = folder / str(rate) / split / name
        if not name or Path(name).name != name:
            problems.add(str(path), "names of files", shown(name))
        elif rate and not file.is_file():
            problems.add(f"{path}: {name}", f"the sound {file}", "none")
        if not isinstance(value, list):
            problems.add(f"{path}: {name}", "a list in brackets", shown(value))
        elif metadata.embedding_type == "event":
            clips.append(reader.timed(file, value))
        else:
            clips.append(reader.labelled(file, value, single=metadata.prediction_type == "multiclass"))
    return clips


class _SplitReader:
    """Reads what is true of sounds.

    Parameters
    ----------
    path : Path
        Of the split, for messages.
    columns : dict of str to int
        Of the labels.
    problems : Problems
    """

    def __init__(self, path: Path, columns: dict[str, int], problems: Problems) -> None:
        self.path, self.columns, self.problems = path, columns, problems

    def labelled(self, file: Path, value: list[Any], *, single: bool) -> TaskClip:
        """A sound with a list of labels."""
        place = f"{self.path}: {file.name}"
        if single and len(value) != 1:
            self.problems.add(place, "one label, as multiclass tasks have", shown(value))
        columns = [column for each in value if (column := self._column(each, place)) is not None]
        if len(set(columns)) < len(columns):
            self.problems.add(place, "different labels", shown(value))
        return TaskClip(file, tuple(sorted(columns)))

    def timed(self, file: Path, value: list[Any]) -> TaskClip:
        """A sound with a list of events, whose times are milliseconds."""
        events: list[Span] = []
        for index, each in enumerate(value):
            place = f"{self.path}: {file.name}, event {index + 1}"
            if not isinstance(each, dict) or not {"label", "start", "end"} <= set(each):
                self.problems.add(place, "label, start and end", shown(each))
                continue
            start, end = number(each["start"]), number(each["end"])
            column = self._column(each["label"], place)
            if start is None or end is None or not 0 <= start <= end:
                found = f"{shown(each['start'])} and {shown(each['end'])}"
                self.problems.add(place, "milliseconds, 0 <= start <= end", found)
            elif column is not None:
                events.append((start / 1000, end / 1000, column))
        return TaskClip(file, tuple(sorted({event[2] for event in events})), tuple(sorted(events)))

    def _column(self, label: Any, place: str) -> int | None:
        """The class of a label, which may be a number where the vocabulary has it as text."""
        column = self.columns.get(str(label)) if isinstance(label, str | int | float) else None
        if column is None:
            self.problems.add(place, "labels of labelvocabulary.csv", shown(label))
        return column

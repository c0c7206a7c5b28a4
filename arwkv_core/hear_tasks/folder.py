"""A folder with a task of HEAR, as hearpreprocess writes it, read with all that is wrong told at once.

``task_metadata.json`` says what the task is, ``labelvocabulary.csv`` names the classes, ``train.json`` and the like say
what is in each split, and the sounds lie in folders named after sample rate and split, as ``48000/train/a.wav``.
"""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import DatasetError
from arwkv_core.labelled.problems import Problems

from .metadata import Metadata, read_metadata
from .split_file import read_split
from .task import HearTask, TaskClip
from .vocabulary import read_vocabulary

METADATA = "task_metadata.json"
VOCABULARY = "labelvocabulary.csv"


def read_hear_tasks(paths: Sequence[str | Path]) -> list[HearTask]:
    """Read tasks.

    Parameters
    ----------
    paths : sequence of str or Path
        Folders of tasks, or folders that hold such folders.

    Raises
    ------
    DatasetError
        If there is none, or something is wrong with one; it lists all that is.
    """
    folders = [folder for path in paths for folder in _task_folders(Path(path).expanduser())]
    return [read_hear_task(folder) for folder in folders]


def read_hear_task(folder: Path) -> HearTask:
    """Read the task in a folder; see `read_hear_tasks`."""
    problems = Problems(str(folder))
    metadata = read_metadata(folder / METADATA, problems)
    labels = read_vocabulary(folder / VOCABULARY, problems)
    if metadata is None or labels is None:
        problems.raise_any()
        raise AssertionError("what is missing was noted")
    rate = _choose_rate(folder, metadata, problems)
    splits: dict[str, list[TaskClip]] = {}
    for name in metadata.splits:
        splits[name] = read_split(folder, name, rate, metadata, labels, problems)
    _check_once(folder, splits, problems)
    problems.raise_any()
    return HearTask(
        folder=folder,
        name=metadata.name,
        version=metadata.version,
        embedding_type=metadata.embedding_type,
        prediction_type=metadata.prediction_type,
        labels=labels,
        measures=metadata.measures,
        splits=splits,
        sample_rate=rate,
        grid=metadata.grid,
        chosen_by_loss=metadata.chosen_by_loss,
    )


def _task_folders(path: Path) -> list[Path]:
    if (path / METADATA).exists():
        return [path]
    if not path.is_dir():
        raise DatasetError(f"{path}: expected a folder with a task of HEAR, there is no such folder")
    inside = sorted(each for each in path.iterdir() if (each / METADATA).exists())
    if not inside:
        raise DatasetError(f"{path}: expected {METADATA} there or in folders below it, found none")
    return inside


def _choose_rate(folder: Path, metadata: Metadata, problems: Problems) -> int:
    """The model's own rate if the sounds are there at that, else the lowest above it, else the highest."""
    rates = sorted(int(each.name) for each in folder.iterdir() if each.is_dir() and each.name.isdecimal())
    rates = [rate for rate in rates if (folder / str(rate) / metadata.splits[0]).is_dir()] or rates
    if not rates:
        problems.add(str(folder), "folders of sounds named after their sample rate, as 48000", "none")
        return 0
    return next((rate for rate in rates if rate >= SAMPLE_RATE), rates[-1])


def _check_once(folder: Path, splits: dict[str, list[TaskClip]], problems: Problems) -> None:
    """Note sounds that are in two splits: what was heard in training proves nothing in a test."""
    first: dict[str, str] = {}
    for split, clips in splits.items():
        for clip in clips:
            other = first.setdefault(clip.file.name, split)
            if other != split:
                problems.add(
                    str(folder / f"{split}.json"), f"{clip.file.name} in one split", f"it in {other} too"
                )

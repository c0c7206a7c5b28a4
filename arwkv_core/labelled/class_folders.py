"""Labelled sounds from folders: each folder is a class, and what is below it belongs to it."""

from __future__ import annotations

from pathlib import Path

from arwkv_core.errors import UsageError
from arwkv_core.finder import find_recordings

from .problems import Problems
from .segment import Segment
from .table import SPLITS


def read_class_folders(folder: Path, problems: Problems) -> list[Segment]:
    """Read folders named after classes, in the folder itself, or in its folders train, valid and test.

    Parameters
    ----------
    folder : Path
    problems : Problems
        Takes what is wrong.

    Returns
    -------
    list of Segment
        Whole recordings, in the order of their names.
    """
    inside = _folders(folder)
    if inside and all(each.name in SPLITS for each in inside):
        classes = [(each, split.name) for split in inside for each in _folders(split)]
    else:
        classes = [(each, "") for each in inside]
    if not classes:
        problems.add(str(folder), "folders named after classes, or label files beside recordings", "neither")
    found = []
    for place, split in classes:
        try:
            recordings = find_recordings([str(place)])
        except UsageError:
            problems.add(str(place), "recordings of this class", "none")
            continue
        for failure in recordings.failures:
            problems.note(f"{failure.file}: {failure.reason}")
        found += [Segment(Path(file), (place.name,), file, split=split) for file in recordings.files]
    return found


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))

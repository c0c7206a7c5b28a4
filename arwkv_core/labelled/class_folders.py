"""Labelled sounds from folders: each folder is a class, and what is below it belongs to it."""

from __future__ import annotations

from pathlib import Path

from arwkv_core.errors import UsageError
from arwkv_core.finder import find_recordings, has_audio_extension

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
    loose = len(_recordings(folder))
    if any(_is_split(each) for each in inside):
        classes = []
        for each in inside:
            name = each.name.casefold()
            if name in SPLITS:
                classes += [(place, name) for place in _folders(each)]
                loose += len(_recordings(each))
            else:
                problems.add(
                    str(each), f"no folders but {', '.join(SPLITS)}, since there is one of them", "it"
                )
    else:
        classes = [(each, "") for each in inside]
    if loose:
        what = "1 recording that lies" if loose == 1 else f"{loose} recordings that lie"
        problems.remark(f"{what} beside the folders of the classes: left out")
    if not classes:
        expected = "folders named after classes, or label files beside recordings"
        tables = sorted(str(path) for path in folder.glob("*.[cC][sS][vV]"))
        problems.add(
            str(folder), expected, f"neither; name the table itself: {tables[0]}" if tables else "neither"
        )
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


def _is_split(folder: Path) -> bool:
    """Whether a folder is no class, which may be called Train, but holds some."""
    return folder.name.casefold() in SPLITS and bool(_folders(folder)) and not _recordings(folder)


def _recordings(folder: Path) -> list[Path]:
    return [
        path
        for path in folder.iterdir()
        if path.is_file() and has_audio_extension(path.name) and not path.name.startswith(".")
    ]


def _folders(folder: Path) -> list[Path]:
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))

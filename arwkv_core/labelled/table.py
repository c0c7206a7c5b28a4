"""Labelled sounds from a CSV: a row a recording, or a row a part of one."""

from __future__ import annotations

import csv
import io
import math
from pathlib import Path

from .problems import Problems
from .segment import Segment

COLUMNS = ("file", "start", "end", "label", "labels", "split", "fold", "recording")
SPLITS = ("train", "valid", "test")
SEPARATOR = ";"
"""Between the labels of a row: names of AudioSet's classes hold commas."""


def read_table(path: Path, problems: Problems) -> list[Segment]:
    """Read a table with the columns ``file`` and ``label`` or ``labels``, and others of `COLUMNS`.

    Parameters
    ----------
    path : Path
        CSV in UTF-8. Files count from its folder.
    problems : Problems
        Takes what is wrong.

    Returns
    -------
    list of Segment
        Rows without problems.
    """
    text = problems.text_of(path)
    if text is None:
        return []
    rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    found = []
    try:
        header = [name.strip() for name in next(rows, [])]
        if not _check_header(path, header, problems):
            return []
        for row in rows:
            if row:
                place = f"{path}, line {rows.line_num}"
                if len(row) != len(header):
                    problems.add(place, f"{len(header)} fields", str(len(row)))
                    continue
                cells = {name: cell.strip() for name, cell in zip(header, row, strict=True)}
                segment = _segment(path.parent, cells, place, problems)
                if segment is not None:
                    found.append(segment)
    except csv.Error as error:
        problems.note(f"{path}, line {rows.line_num}: not CSV: {error}")
    if not found and not problems.found:
        problems.add(str(path), "a row for each labelled sound", "none")
    return found


def _check_header(path: Path, header: list[str], problems: Problems) -> bool:
    before = len(problems.found)
    place = f"{path}, line 1"
    known = ", ".join(COLUMNS)
    for name in dict.fromkeys(header):
        if name not in COLUMNS:
            problems.add(place, f"columns of {known}", f"the unknown column {name!r}")
        elif header.count(name) > 1:
            problems.add(place, f"the column {name!r} once", f"it {header.count(name)} times")
    if "file" not in header:
        problems.add(place, "a column 'file'", ", ".join(header) or "no columns")
    if ("label" in header) == ("labels" in header):
        found = "both" if "label" in header else "neither"
        problems.add(place, "a column 'label' or 'labels'", found)
    return len(problems.found) == before


def _segment(folder: Path, cells: dict[str, str], place: str, problems: Problems) -> Segment | None:
    before = len(problems.found)
    if not cells["file"]:
        problems.add(place, "the name of a recording in 'file'", "nothing")
    labels = split_labels(cells.get("label", cells.get("labels", "")), place, problems)
    start = _seconds(cells.get("start", ""), "start", 0.0, place, problems)
    end = _seconds(cells.get("end", ""), "end", math.inf, place, problems)
    check_times(start, end, place, problems)
    split = cells.get("split", "")
    if split not in SPLITS and "split" in cells:
        problems.add(place, f"a split of {', '.join(SPLITS)}", repr(split))
    fold = cells.get("fold", "")
    if not fold and "fold" in cells and split != "test":
        problems.add(place, "a fold", "nothing")
    if len(problems.found) > before:
        return None
    return Segment(folder / cells["file"], labels, place, start, end, split, fold, cells.get("recording", ""))


def split_labels(text: str, place: str, problems: Problems) -> tuple[str, ...]:
    """Labels of one cell, ``;`` between them, each once; an empty one is a problem."""
    labels = [label.strip() for label in text.split(SEPARATOR)]
    if not all(labels):
        problems.add(place, "a label", f"{text!r}, an empty one")
    for label in labels:
        if not label.isprintable():
            problems.add(place, "a label of printable characters", repr(label))
    return tuple(dict.fromkeys(labels))


def check_times(start: float, end: float, place: str, problems: Problems) -> None:
    """Note times that are none; NaN stands for what was noted before."""
    if start < 0:
        problems.add(place, "start >= 0", f"{start:g}")
    if end <= start:
        problems.add(place, "end > start", f"start {start:g} and end {end:g}")


def _seconds(text: str, column: str, otherwise: float, place: str, problems: Problems) -> float:
    if not text:
        return otherwise
    try:
        number = float(text)
    except ValueError:
        number = math.nan
    if not math.isfinite(number):
        problems.add(place, f"seconds in {column!r}", repr(text))
        return math.nan
    return number

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

DELIMITERS = (",", ";", "\t")
"""Between cells: the second is Excel's where decimals have a comma, the third that of its Unicode text."""

OTHER_NAMES = {
    "filename": "file",
    "file_name": "file",
    "path": "file",
    "category": "label",
    "class": "label",
    "species": "label",
    "event_label": "label",
    "onset": "start",
    "offset": "end",
    "src_file": "recording",
}
"""What others call columns: told where one is unknown, and no guess, since a wrong one would not be noticed."""


def read_table(path: Path, problems: Problems) -> list[Segment]:
    """Read a table with the columns ``file`` and ``label`` or ``labels``, and others of `COLUMNS`.

    Parameters
    ----------
    path : Path
        CSV in UTF-8, or as Excel writes it. Files count from its folder.
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
    delimiter = _delimiter(text.split("\n", 1)[0])
    rows = csv.reader(io.StringIO(text, newline=""), delimiter=delimiter, strict=True)
    found = []
    try:
        header = _trimmed([name.strip().casefold() for name in next(rows, [])], 0)
        if not _check_header(path, header, problems):
            return []
        for row in rows:
            cells = _trimmed([cell.strip() for cell in row], len(header))
            if not any(cells):
                continue
            place = f"{path}, line {rows.line_num}"
            if len(cells) != len(header):
                problems.add(place, f"{len(header)} fields", str(len(cells)))
                continue
            record = dict(zip(header, cells, strict=True))
            if delimiter != ",":
                record |= {
                    name: record[name].replace(",", ".") for name in ("start", "end") if name in record
                }
            segment = _segment(path.parent, record, place, problems)
            if segment is not None:
                found.append(segment)
    except csv.Error as error:
        problems.note(f"{path}, line {rows.line_num}: not CSV: {error}")
    if not found and not problems.found:
        problems.add(str(path), "a row for each labelled sound", "none")
    return found


def _delimiter(first: str) -> str:
    """What parts the cells of a table: what parts the names of columns that we know."""
    return max(DELIMITERS, key=lambda each: sum(_plain(name) in COLUMNS for name in first.split(each)))


def _plain(name: str) -> str:
    return name.strip().strip('"').strip().casefold()


def _trimmed(cells: list[str], least: int) -> list[str]:
    """Without the empty cells that spreadsheets put at the end of lines."""
    end = len(cells)
    while end > least and not cells[end - 1]:
        end -= 1
    return cells[:end]


def _check_header(path: Path, header: list[str], problems: Problems) -> bool:
    before = len(problems.found)
    place = f"{path}, line 1"
    unknown = [name for name in dict.fromkeys(header) if name not in COLUMNS]
    if unknown:
        hints = [f"{name!r} may be {OTHER_NAMES[name]!r}" for name in unknown if name in OTHER_NAMES]
        hint = f" ({', '.join(hints)}; remove what is of no use here)" if hints else ""
        column = "the unknown column" if len(unknown) == 1 else "the unknown columns"
        problems.add(
            place, f"columns of {', '.join(COLUMNS)}", f"{column} {', '.join(map(repr, unknown))}{hint}"
        )
    for name in dict.fromkeys(header):
        if name in COLUMNS and header.count(name) > 1:
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
    segment = Segment(
        folder / cells["file"], labels, place, start, end, split, fold, cells.get("recording", "")
    )
    if len(problems.found) > before:
        problems.refused.append(segment)
        return None
    return segment


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

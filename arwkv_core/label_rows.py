"""Rows of the label files of other programs: Audacity's tracks, Raven's selection tables, DCASE's event lists."""

from __future__ import annotations

import csv
import re
from collections.abc import Iterable, Iterator, Mapping
from pathlib import Path
from typing import Any

from .errors import UsageError
from .finder import AUDIO_EXTENSIONS, has_audio_extension
from .label_text import read_label_text
from .raven_columns import RAVEN_LABELS, RAVEN_OFFSET, RAVEN_TIMES, is_selection_table, label_column

Row = Mapping[str, Any]

DCASE_COLUMNS = ("filename", "onset", "offset", "event_label")

_OWN_ENDINGS = re.compile(r"\.(labels|selections|events|Table\.1\.selections|txt|tsv)$", re.IGNORECASE)


def label_file_rows(path: Path, where: str, file: str | None = None) -> Iterator[tuple[str, Row]]:
    """Read a ``.txt`` or ``.tsv`` file: which program's it is, its first line tells.

    Parameters
    ----------
    path : Path
    where : str
        What names it in messages.
    file : str, optional
        The recording of a file that names none; by default the one beside it that bears its name.

    Yields
    ------
    place : str
        Names the line in messages.
    row : mapping
        With ``file``, ``start``, ``end`` and ``name``, as a table of timelines has them.

    Raises
    ------
    UsageError
        If a line or the header is not what such files hold.
    """
    lines = re.split("\r\n?|\n", read_label_text(path))
    header = lines[0].split("\t") if lines else []
    beside = file or recording_beside(path)
    if is_selection_table(header):
        yield from _raven_rows(lines, header, where, beside)
    elif "onset" in header:
        yield from _dcase_rows(lines, header, where, beside)
    else:
        yield from _audacity_rows(lines, where, beside)


def recording_beside(path: Path) -> str:
    """Name of the recording that a label file is about: ``a.wav.labels.txt`` and ``a.txt`` are about ``a.wav``.

    Where no such recording is there, the label file's name without its endings.
    """
    name = path.name
    while match := _OWN_ENDINGS.search(name):
        name = name[: match.start()]
    if has_audio_extension(name):
        return name
    found = sorted(
        each.name
        for ending in AUDIO_EXTENSIONS
        for each in (path.with_name(f"{name}.{ending}"), path.with_name(f"{name}.{ending.upper()}"))
        if each.exists()
    )
    return found[0] if found else name


def _audacity_rows(lines: list[str], where: str, beside: str) -> Iterator[tuple[str, Row]]:
    yield where, {"file": beside}  # a track without labels is a recording without events
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):  # frequencies of the label before
            continue
        cells = line.split("\t")
        place = f"{where}, line {number}"
        if len(cells) != 3:
            raise UsageError(f"{place}: expected start, end and label, parted by tabs, found {line!r}")
        yield place, {"file": beside, "start": cells[0], "end": cells[1], "name": cells[2]}


def _raven_rows(lines: list[str], header: list[str], where: str, beside: str) -> Iterator[tuple[str, Row]]:
    label = label_column(header, [line.split("\t") for line in lines[1:]])
    if label is None or RAVEN_TIMES[1] not in header:
        wanted = f"{RAVEN_TIMES[1]!r} and one of {', '.join(RAVEN_LABELS)}"
        raise UsageError(f"{where}, line 1: expected the columns {wanted}, found {', '.join(header)}")
    views: set[tuple[str, ...]] = set()
    names = [name for name in header if name not in ("View", "Selection")]
    if "Begin Path" not in header and "Begin File" not in header:
        yield where, {"file": beside}
    rows = (line.split("\t") for line in lines[1:] if line)
    for place, cells in _cells(rows, header, where):
        same = tuple(cells[name] for name in names)
        if same in views:  # Raven lists a selection once for each view: waveform and spectrogram
            continue
        views.add(same)
        start, end = cells[RAVEN_TIMES[0]], cells[RAVEN_TIMES[1]]
        offset = cells.get(RAVEN_OFFSET, "")
        if offset:  # of several recordings, the times above count from the first one's beginning
            try:
                start, end = offset, repr(float(offset) + float(end) - float(start))
            except ValueError:
                raise UsageError(
                    f"{place}: expected numbers for times, found {start!r}, {end!r}, {offset!r}"
                ) from None
        file = cells.get("Begin Path") or cells.get("Begin File") or beside
        yield place, {"file": file, "start": start, "end": end, "name": cells[label]}


def _dcase_rows(lines: list[str], header: list[str], where: str, beside: str) -> Iterator[tuple[str, Row]]:
    missing = [name for name in DCASE_COLUMNS[1:] if name not in header]
    if missing:
        raise UsageError(
            f"{where}, line 1: expected the columns {', '.join(DCASE_COLUMNS)}, missing {', '.join(missing)}"
        )
    try:
        rows = [row for row in csv.reader(lines[1:], delimiter="\t") if row]
    except csv.Error as error:
        raise UsageError(f"{where}: {error}") from error
    for place, cells in _cells(rows, header, where):
        start, end, name = (cells[column] for column in DCASE_COLUMNS[1:])
        yield place, {"file": cells.get("filename") or beside, "start": start, "end": end, "name": name}


def _cells(rows: Iterable[list[str]], header: list[str], where: str) -> Iterator[tuple[str, dict[str, str]]]:
    for number, row in enumerate(rows, start=2):
        if len(row) != len(header):
            raise UsageError(f"{where}, line {number}: expected {len(header)} fields, found {len(row)}")
        yield f"{where}, line {number}", dict(zip(header, row, strict=True))

"""Labelled sounds from label tracks of Audacity and selection tables of Raven that lie beside recordings."""

from __future__ import annotations

import csv
import math
import os
from pathlib import Path

from arwkv_core.finder import find_recordings, has_audio_extension

from .problems import Problems
from .segment import Segment
from .table import check_times, split_labels

SUFFIXES = (".txt", ".tsv")
RAVEN_LABELS = ("Annotation", "Label", "Class", "Species", "Common Name")
"""Columns of a selection table that may hold the class, the first that there is; Raven lets users name their own."""

RAVEN_TIMES = ("Begin Time (s)", "End Time (s)")
OFFSET = "File Offset (s)"


def find_label_files(folder: Path) -> dict[Path, Path | None]:
    """Label files below a folder, and the recording to which each belongs.

    ``a.txt``, ``a.labels.txt`` and ``a.wav.labels.txt`` belong to ``a.wav``.

    Returns
    -------
    dict of Path to Path or None
        None where several recordings could be meant. A text that belongs to no recording is no label file.
    """
    found: dict[Path, Path | None] = {}
    for place, folders, names in os.walk(folder, followlinks=True):
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        audio = [name for name in names if has_audio_extension(name) and not name.startswith(".")]
        for name in sorted(names):
            if not name.lower().endswith(SUFFIXES) or name.startswith("."):
                continue
            meant = [each for each in audio if name.startswith((f"{each}.", f"{Path(each).stem}."))]
            longest = max((len(Path(each).stem) for each in meant), default=0)
            exact = [each for each in meant if name.startswith(f"{each}.")]
            best = exact or [each for each in meant if len(Path(each).stem) == longest]
            if best:
                found[Path(place, name)] = Path(place, best[0]) if len(best) == 1 else None
    return found


def read_label_files(
    folder: Path, files: dict[Path, Path | None], problems: Problems, *, background: bool = False
) -> list[Segment]:
    """Read label files.

    Parameters
    ----------
    folder : Path
    files : dict of Path to Path or None
        As `find_label_files` gives them.
    problems : Problems
        Takes what is wrong.
    background : bool
        Take recordings without a label file, and files without a label, as recordings in which no class sounds.

    Returns
    -------
    list of Segment
    """
    found: list[Segment] = []
    for path, recording in files.items():
        if recording is None:
            problems.add(str(path), "one recording of this name beside it", "several")
            continue
        segments = _read(path, recording, problems)
        if not segments and background:
            segments = [Segment(recording, (), str(path))]
        found += segments
    if background:
        labelled = {recording for recording in files.values() if recording is not None}
        below = (Path(file) for file in find_recordings([str(folder)]).files)
        found += [Segment(file, (), str(file)) for file in below if file not in labelled]
    return found


def _read(path: Path, recording: Path, problems: Problems) -> list[Segment]:
    text = problems.text_of(path)
    if text is None:
        return []
    lines = text.splitlines()
    if lines and lines[0].split("\t")[0] == "Selection":
        return _raven(path, recording, lines, problems)
    return _audacity(path, recording, lines, problems)


def _audacity(path: Path, recording: Path, lines: list[str], problems: Problems) -> list[Segment]:
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):  # a backslash begins a label's range of frequencies
            continue
        cells = line.split("\t")
        if len(cells) < 2 or math.isnan(_number(cells[0])) or math.isnan(_number(cells[1])):
            problems.add(f"{path}, line {number}", "start, end and label with tabs between them", repr(line))
            continue
        text = cells[2] if len(cells) > 2 else ""
        found += _labelled(recording, _number(cells[0]), _number(cells[1]), text, path, number, problems)
    return found


def _raven(path: Path, recording: Path, lines: list[str], problems: Problems) -> list[Segment]:
    rows = list(csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE))
    header = rows[0]
    label = next((name for name in RAVEN_LABELS if name in header), None)
    missing = [name for name in RAVEN_TIMES if name not in header]
    if missing or label is None:
        wanted = f"the columns {', '.join(RAVEN_TIMES)} and one of {', '.join(RAVEN_LABELS)}"
        problems.add(f"{path}, line 1", wanted, ", ".join(header))
        return []
    found: dict[Segment, None] = {}
    seen = set()
    for number, row in enumerate(rows[1:], start=2):
        if not row:
            continue
        if len(row) < len(header):
            problems.add(f"{path}, line {number}", f"{len(header)} fields", str(len(row)))
            continue
        cells = dict(zip(header, row, strict=False))
        start, end = (_number(cells[name]) for name in RAVEN_TIMES)
        if math.isnan(start) or math.isnan(end):
            problems.add(f"{path}, line {number}", f"seconds in {' and '.join(RAVEN_TIMES)}", repr(row))
            continue
        offset = _number(cells.get(OFFSET, ""))
        if not math.isnan(offset):  # times count from the first of several files then
            start, end = offset, offset + end - start
        one = (cells["Selection"], start, end, cells[label])
        if one not in seen:  # a selection has a row for the waveform and one for the spectrogram
            seen.add(one)
            for segment in _labelled(recording, start, end, cells[label], path, number, problems):
                found[segment] = None
    return list(found)


def _labelled(
    recording: Path, start: float, end: float, text: str, path: Path, number: int, problems: Problems
) -> list[Segment]:
    before = len(problems.found)
    place = f"{path}, line {number}"
    labels = split_labels(text, place, problems)
    check_times(start, end, place, problems)
    return [] if len(problems.found) > before else [Segment(recording, labels, place, start, end)]


def _number(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan

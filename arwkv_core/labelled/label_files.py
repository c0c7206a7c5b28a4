"""Labelled sounds from label tracks of Audacity and selection tables of Raven that lie beside recordings."""

from __future__ import annotations

import csv
import math
import unicodedata
from pathlib import Path

from arwkv_core.finder import find_recordings, has_audio_extension
from arwkv_core.label_text import decoded
from arwkv_core.raven_columns import (
    RAVEN_FILES,
    RAVEN_LABELS,
    RAVEN_OFFSET,
    RAVEN_TIMES,
    is_selection_table,
    label_column,
)

from .folder_tree import walk
from .named_recording import NamedRecordings
from .problems import Problems
from .segment import Segment
from .table import check_times, split_labels

SUFFIXES = (".txt", ".tsv")

FIRST_BYTES = 4096
"""Of a text, which tell whether it holds labels."""


def find_label_files(folder: Path) -> dict[Path, list[Path]]:
    """Label files below a folder, and the recordings that each may be about.

    ``a.txt``, ``a.labels.txt`` and ``a.wav.labels.txt`` are about ``a.wav``.

    Returns
    -------
    dict of Path to list of Path
        Several recordings where the name fits several; none where it fits none, but the text looks like labels. Any
        other text that no recording bears the name of is no label file.
    """
    found: dict[Path, list[Path]] = {}
    for place, names in walk(folder):
        audio = [name for name in names if has_audio_extension(name)]
        for name in names:
            if not name.lower().endswith(SUFFIXES):
                continue
            meant = [each for each in audio if _begins(name, each, Path(each).stem)]
            longest = max((len(Path(each).stem) for each in meant), default=0)
            exact = [each for each in meant if _begins(name, each)]
            best = exact or [each for each in meant if len(Path(each).stem) == longest]
            if best or _holds_labels(place / name):
                found[place / name] = [place / each for each in best]
    return found


def _begins(name: str, *beginnings: str) -> bool:
    """Whether a name begins with one of some, up to a dot; accents may be encoded in either way."""
    normal = unicodedata.normalize("NFC", name)
    return normal.startswith(tuple(unicodedata.normalize("NFC", f"{each}.") for each in beginnings))


def _holds_labels(path: Path) -> bool:
    """Whether the first line that is not empty is one of a label track or of a selection table."""
    try:
        with path.open("rb") as file:
            lines = decoded(file.read(FIRST_BYTES), "replace").splitlines()
    except OSError:
        return False
    cells = next((line.split("\t") for line in lines if line.strip()), [])
    numbers = len(cells) > 2 and not any(math.isnan(_number(cell)) for cell in cells[:2])
    return numbers or is_selection_table(cells)


def read_label_files(
    folder: Path, files: dict[Path, list[Path]], problems: Problems, *, background: bool = False
) -> list[Segment]:
    """Read label files.

    Parameters
    ----------
    folder : Path
    files : dict of Path to list of Path
        As `find_label_files` gives them.
    problems : Problems
        Takes what is wrong, and how many recordings are left out.
    background : bool
        Take recordings without a label file, and files without a label, as recordings in which no class sounds.

    Returns
    -------
    list of Segment
    """
    found: list[Segment] = []
    empty: list[tuple[Path, Path]] = []
    labelled: set[Path] = set()
    for path, recordings in files.items():
        segments = _read(path, recordings, problems)
        labelled.update(recordings, (segment.file for segment in segments))
        if not segments:
            empty += [(path, recording) for recording in recordings]
        found += segments
    there = {segment.file for segment in found}
    silent = {recording: path for path, recording in empty if recording not in there}
    below = (Path(file) for file in find_recordings([str(folder)]).files)
    others = [file for file in below if file not in labelled]
    if background:
        found += [Segment(recording, (), str(path)) for recording, path in silent.items()]
        found += [Segment(file, (), str(file)) for file in others]
    elif silent or others:
        count = len(silent) + len(others)
        what = "1 recording without labels is" if count == 1 else f"{count} recordings without labels are"
        problems.remark(f"{what} left out; --background takes such as none of the classes")
    return found


def _read(path: Path, recordings: list[Path], problems: Problems) -> list[Segment]:
    text = problems.text_of(path)
    if text is None:
        problems.unread = True
        return []
    lines = text.splitlines()
    if lines and is_selection_table(lines[0].split("\t")):
        return _raven(path, recordings, lines, problems)
    if len(recordings) != 1:
        problems.add(str(path), "one recording of this name beside it", "several" if recordings else "none")
        problems.unread = True
        return []
    return _audacity(path, recordings[0], lines, problems)


def _audacity(path: Path, recording: Path, lines: list[str], problems: Problems) -> list[Segment]:
    found = []
    for number, line in enumerate(lines, start=1):
        if not line.strip() or line.startswith("\\"):  # a backslash begins a label's range of frequencies
            continue
        cells = line.split("\t")
        times = [_number(cell) for cell in cells[:2]]
        if len(cells) < 2 or any(map(math.isnan, times)) or any(cell.strip() for cell in cells[3:]):
            problems.add(f"{path}, line {number}", "start, end and label with tabs between them", repr(line))
            continue
        text = cells[2] if len(cells) > 2 else ""
        found += _labelled(recording, times[0], times[1], text, f"{path}, line {number}", problems)
    return found


def _raven(path: Path, recordings: list[Path], lines: list[str], problems: Problems) -> list[Segment]:
    header, *rows = csv.reader(lines, delimiter="\t", quoting=csv.QUOTE_NONE)
    label = label_column(header, rows)
    if RAVEN_TIMES[1] not in header or label is None:
        wanted = f"the columns {', '.join(RAVEN_TIMES)} and one of {', '.join(RAVEN_LABELS)}"
        problems.add(f"{path}, line 1", wanted, ", ".join(header))
        problems.unread = True
        return []
    named = NamedRecordings(path, recordings, _files_of(header, rows), timed=RAVEN_OFFSET in header)
    if not named.check(problems):
        problems.unread = True
        return []
    found: dict[Segment, None] = {}
    seen = set()
    for number, row in enumerate(rows, start=2):
        if not any(cell.strip() for cell in row):
            continue
        place = f"{path}, line {number}"
        if len(row) < len(header):
            problems.add(place, f"{len(header)} fields", str(len(row)))
            continue
        cells = dict(zip(header, row, strict=False))
        start, end = (_number(cells[name]) for name in RAVEN_TIMES)
        if math.isnan(start) or math.isnan(end):
            problems.add(place, f"seconds in {' and '.join(RAVEN_TIMES)}", repr(row))
            continue
        offset = _number(cells.get(RAVEN_OFFSET, ""))
        if not math.isnan(offset):  # times count from the first of several files then
            start, end = offset, offset + end - start
        recording = named.find(_file_of(cells))
        one = (cells.get("Selection"), recording, start, end, cells[label])
        if one not in seen:  # a selection has a row for the waveform and one for the spectrogram
            seen.add(one)
            for segment in _labelled(recording, start, end, cells[label], place, problems):
                found[segment] = None
    return list(found)


def _files_of(header: list[str], rows: list[list[str]]) -> list[str]:
    """Recordings that a table names, each once."""
    whole = (dict(zip(header, row, strict=False)) for row in rows if len(row) >= len(header))
    return list(dict.fromkeys(filter(None, map(_file_of, whole))))


def _file_of(cells: dict[str, str]) -> str:
    return next((cells[name].strip() for name in RAVEN_FILES if cells.get(name, "").strip()), "")


def _labelled(
    recording: Path, start: float, end: float, text: str, place: str, problems: Problems
) -> list[Segment]:
    before = len(problems.found)
    text = text.strip()
    if len(text) > 1 and text[0] == text[-1] == '"':  # by a spreadsheet, around commas
        text = text[1:-1].replace('""', '"')
    labels = split_labels(text, place, problems)
    check_times(start, end, place, problems)
    segment = Segment(recording, labels, place, start, end)
    if len(problems.found) > before:
        problems.refused.append(segment)
        return []
    return [segment]


def _number(text: str) -> float:
    try:
        number = float(text.replace(",", ".", 1) if "." not in text else text)  # either begins decimals
    except ValueError:
        return math.nan
    return number if math.isfinite(number) else math.nan

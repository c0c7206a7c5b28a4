"""Timelines read back from the files that `arwkv timeline` writes, or from a table or labels somebody made."""

from __future__ import annotations

import csv
import json
import math
import os
import re
from collections.abc import Callable, Iterable, Iterator, Mapping
from datetime import datetime, timedelta, timezone
from functools import partial
from pathlib import Path
from typing import Any

from .clock_text import read_iso
from .errors import LabelError, UsageError
from .label_rows import label_file_rows
from .labels import LabelSet
from .results import Coverage, Event, StartTime, Timeline

Row = Mapping[str, Any]
Reader = Callable[[Path, str], Iterator[tuple[str, Row]]]

_OWN_CLASS_SCORE = 1.0
"""Score of an event in a table without scores: whoever made it was sure."""

_ESCAPED_BYTE = re.compile(r"\\udc([89a-f][0-9a-f])")
_FIRST_YEAR = 1  # what we have written ourselves is believed


def read_timelines(path: str | Path, *, file: str | None = None) -> list[Timeline]:
    """Read a file of timelines: csv, json, jsonl or parquet, by its ending; txt and tsv are read as label files.

    A csv or parquet file needs the columns ``start`` and ``end`` (seconds), ``name`` or ``label``, and ``file`` unless
    that is said; ``mid``, ``mean``, ``max``, ``model``, ``start_time`` and ``decoded_seconds`` may be missing, and
    more may be there. Rows of a recording need not stand together.

    Parameters
    ----------
    path : str or Path
    file : str, optional
        The recording of rows that name none.

    Returns
    -------
    list of Timeline
        In the order in which the recordings come up. Their files are as they stand there or, if there is no such
        file, beside ``path``.

    Raises
    ------
    UsageError
        Naming the file, the row and what is wrong there.
    """
    path = Path(path)
    where = f"--events {path}"
    readers: dict[str, Reader] = {
        ".csv": _csv_rows,
        ".parquet": _parquet_rows,
        ".json": _json_rows,
        ".jsonl": _json_line_rows,
        ".txt": partial(label_file_rows, file=file),
        ".tsv": partial(label_file_rows, file=file),
    }
    reader = readers.get(path.suffix.lower())
    if reader is None:
        raise UsageError(
            f"{where}: expected a name that ends with {' or '.join(readers)}, found {path.suffix or 'none'}"
        )
    recordings: dict[str, _Recording] = {}
    places: dict[str, str] = {}
    try:
        for place, row in reader(path, where):
            name = row.get("file") or file
            if not isinstance(name, str):
                raise UsageError(f"{place}: expected the recording in column 'file', found {name!r}")
            if name not in places:
                places[name] = _locate(name, path)
            recordings.setdefault(places[name], _Recording(places[name])).add(row, place)
    except OSError as error:
        raise UsageError(f"{where}: can't be read: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise UsageError(f"{where}: expected text in UTF-8, found {error.reason}") from error
    return [recording.timeline() for recording in recordings.values()]


class _Recording:
    """What the rows so far say of a recording."""

    def __init__(self, file: str) -> None:
        self.file, self.model = file, ""
        self.seconds = 0.0
        self.start: StartTime | None = None
        self.events: list[Event] = []

    def add(self, row: Row, place: str) -> None:
        self.model = self.model or str(row.get("model") or "")
        self.seconds = max(self.seconds, _number(row, "decoded_seconds", place, 0.0))
        if row.get("name") in (None, "") and row.get("label") not in (None, ""):
            row = {**row, "name": row["label"]}
        if row.get("name") in (None, "") and row.get("start") in (None, ""):
            return  # a recording without events
        start, end = _number(row, "start", place), _number(row, "end", place)
        if not 0 <= start < end:
            raise UsageError(f"{place}: expected 0 <= start < end, found start {start:g} and end {end:g}")
        name = str(row.get("name") or row.get("mid") or "")
        if not name:
            raise UsageError(f"{place}: expected a class in column 'name', found nothing")
        score = _number(row, "max", place, _OWN_CLASS_SCORE)
        mean = _number(row, "mean", place, score)
        self.events.append(Event(start, end, name, str(row.get("mid") or _mid(name)), mean, score))
        if self.start is None:
            self.start = _start_time(row, start)

    def timeline(self) -> Timeline:
        seconds = max([self.seconds, *(event.end for event in self.events)])
        return Timeline(
            file=self.file,
            model=self.model,
            coverage=Coverage(None, seconds, 0.0, seconds, 0, 0),
            events=sorted(self.events, key=lambda event: (event.start, event.name)),
            start_time=self.start,
        )


def _csv_rows(path: Path, where: str) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="") as file:
        rows = csv.DictReader(file)
        try:
            for row in rows:
                yield f"{where}, line {rows.line_num}", row
        except csv.Error as error:
            raise UsageError(f"{where}, line {rows.line_num}: {error}") from error


def _parquet_rows(path: Path, where: str) -> Iterator[tuple[str, Row]]:
    import pyarrow as pa
    import pyarrow.parquet as pq

    try:
        number = 0
        with pq.ParquetFile(path) as file:
            for batch in file.iter_batches():
                for row in batch.to_pylist():
                    number += 1
                    yield f"{where}, row {number}", row
    except pa.ArrowException as error:
        raise UsageError(f"{where}: no Parquet file: {error}") from error


def _json_rows(path: Path, where: str) -> Iterator[tuple[str, Row]]:
    document = _parse(path.read_text("utf-8-sig"), where)
    for number, record in enumerate(document if isinstance(document, list) else [document], start=1):
        yield from _record_rows(record, f"{where}, recording {number}")


def _json_line_rows(path: Path, where: str) -> Iterator[tuple[str, Row]]:
    with path.open(encoding="utf-8-sig", newline="\n") as file:
        for number, line in enumerate(file, start=1):
            if line.strip():
                place = f"{where}, line {number}"
                yield from _record_rows(_parse(line, place), place)


def _record_rows(record: Any, place: str) -> Iterator[tuple[str, Row]]:
    """Rows as of a table, of a recording's object."""
    events = record.get("events") if isinstance(record, dict) else None
    if not isinstance(events, list) or not all(isinstance(event, dict) for event in events):
        raise UsageError(f"{place}: expected a recording with 'events', as `arwkv timeline` writes it")
    common = {"file": record.get("file"), "model": record.get("model")}
    yield place, common
    for number, event in enumerate(events, start=1):
        yield f"{place}, event {number}", {**event, **common}


def _parse(text: str, place: str) -> Any:
    try:
        return json.loads(text)
    except (ValueError, RecursionError) as error:
        raise UsageError(f"{place}: no JSON: {error}") from error


def _number(row: Row, column: str, place: str, otherwise: float | None = None) -> float:
    value = row.get(column)
    if value in (None, "") and otherwise is not None:
        return otherwise
    try:
        number = float(value)  # type: ignore[arg-type]
    except (TypeError, ValueError):
        number = math.nan
    if not math.isfinite(number) or isinstance(value, bool):
        raise UsageError(f"{place}: expected a number in column {column!r}, found {value!r}")
    return number


def _start_time(row: Row, start: float) -> StartTime | None:
    """When the recording began, by the time at which one of its events did."""
    value = row.get("start_time")
    time = read_iso(value, first_year=_FIRST_YEAR) if isinstance(value, str) else value
    if not isinstance(time, datetime):
        return None
    utc = row.get("start_time_utc")
    if time.tzinfo is None and isinstance(
        utc, datetime
    ):  # parquet has the zone in the difference of two columns
        time = time.replace(tzinfo=timezone(time - utc.replace(tzinfo=None)))
    try:
        return StartTime(time - timedelta(microseconds=round(start * 1e6)), "events")
    except OverflowError:
        return None


def _mid(name: str) -> str:
    labels = LabelSet.audioset()
    try:
        return labels.mids[labels.find(name)]
    except LabelError:
        return ""  # an own class


def _locate(name: str, table: Path) -> str:
    """Find a recording by the name in a table that may have come here from another folder."""
    unescaped = _ESCAPED_BYTE.sub(lambda match: chr(0xDC00 + int(match[1], 16)), name)
    for candidate in (name, unescaped):  # undecodable bytes are written as \udcff
        for place in (candidate, os.path.join(table.parent, candidate)):  # noqa: PTH118 (paths stay text)
            if os.path.exists(place):  # noqa: PTH110
                return place
    return name


def for_recordings(timelines: Iterable[Timeline], files: Iterable[str]) -> tuple[list[Timeline], list[str]]:
    """Pick the timelines of certain recordings.

    Parameters
    ----------
    timelines : iterable of Timeline
    files : iterable of str
        Recordings, which need not be named as in the timelines: the same file counts, or else, if only one
        recording bears it, the same name without its folder.

    Returns
    -------
    timelines : list of Timeline
        In the order of ``files``, and under their names.
    missing : list of str
        Files of which there is no timeline.
    """
    import dataclasses

    timelines = list(timelines)
    by_path = {_real(timeline.file): timeline for timeline in timelines}
    by_name: dict[str, list[Timeline]] = {}
    for timeline in timelines:
        by_name.setdefault(Path(timeline.file).name, []).append(timeline)
    picked, missing = [], []
    for file in files:
        found = by_path.get(_real(file))
        namesakes = by_name.get(Path(file).name, [])
        if found is None and len(namesakes) == 1:
            found = namesakes[0]
        if found is None:
            missing.append(file)
        else:
            picked.append(dataclasses.replace(found, file=file))
    return picked, missing


def _real(path: str) -> str:
    return os.path.realpath(path)

"""Recordings whose events somebody wrote down: what a detector is measured against."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

from arwkv_core.errors import LabelError, UsageError
from arwkv_core.finder import has_audio_extension
from arwkv_core.labels import LabelSet
from arwkv_core.results import Event, Timeline
from arwkv_core.timeline_reader import read_timelines

from .segments import SLACK_SECONDS, Span

ENDINGS = (".csv", ".json", ".jsonl", ".parquet", ".tsv", ".txt")
"""Of the files that are taken from a folder of annotations."""


@dataclass(frozen=True)
class Annotations:
    """What is true of some recordings.

    Attributes
    ----------
    recordings : list of (str, list of Span)
        File and events; those of one class neither overlap nor touch. Columns are those of ``labels``.
    labels : LabelSet
        The annotated classes that the model has, in its order.
    unknown : tuple of str
        Annotated classes that it lacks; their events are left out.
    """

    recordings: list[tuple[str, list[Span]]]
    labels: LabelSet
    unknown: tuple[str, ...]


def read_annotations(
    paths: Sequence[str | Path], labels: LabelSet, *, audio: str | Path | None = None
) -> Annotations:
    """Read annotations in any of the formats that `read_timelines` knows.

    Parameters
    ----------
    paths : sequence of str or Path
        Files, or folders whose annotation files are taken.
    labels : LabelSet
        Of the model; classes are matched by mid, then by name.
    audio : str or Path, optional
        The folder where the recordings lie; by default they are looked for as they are named, and beside the
        annotations.

    Raises
    ------
    UsageError
        If a file can't be read, a recording is not there or is annotated in two files, or the model has none of
        the classes.
    """
    timelines = [timeline for path in _files(paths) for timeline in read_timelines(path)]
    seen: dict[str, str] = {}
    located = []
    for timeline in timelines:
        file = _locate(timeline, audio)
        place = str(Path(file).resolve())
        if place in seen:
            raise UsageError(f"--events: expected one annotation of {file}, found two")
        seen[place] = file
        located.append((file, timeline.events))
    columns: dict[tuple[str, str], int] = {}
    unknown: dict[str, None] = {}
    for event in (event for _, events in located for event in events):
        key = (event.name, event.mid)
        if key in columns or event.name in unknown:
            continue
        column = _column(event, labels)
        if column is None:
            unknown[event.name] = None
        else:
            columns[key] = column
    if not columns:
        found = ", ".join(unknown) or "no event at all"
        raise UsageError(f"--events: expected classes of {labels.source}, found {found}")
    chosen = sorted(set(columns.values()))
    places = {column: place for place, column in enumerate(chosen)}
    recordings = [
        (
            file,
            joined(
                (event.start, event.end, places[columns[event.name, event.mid]])
                for event in events
                if (event.name, event.mid) in columns
            ),
        )
        for file, events in located
    ]
    return Annotations(recordings, labels.subset(labels.mids[column] for column in chosen), tuple(unknown))


def joined(events: Iterable[Span]) -> list[Span]:
    """Events by start, those of one class that overlap or touch as one."""
    spans: dict[int, list[tuple[float, float]]] = {}
    for start, end, column in sorted(events):
        mine = spans.setdefault(column, [])
        if mine and start <= mine[-1][1] + SLACK_SECONDS:
            mine[-1] = (mine[-1][0], max(mine[-1][1], end))
        else:
            mine.append((start, end))
    return sorted((start, end, column) for column, mine in spans.items() for start, end in mine)


def _files(paths: Sequence[str | Path]) -> list[Path]:
    found: list[Path] = []
    for path in map(Path, paths):
        if not path.is_dir():
            found.append(path)
            continue
        inside = sorted(each for each in path.iterdir() if each.suffix.lower() in ENDINGS)
        if not inside:
            raise UsageError(
                f"--events {path}: expected files that end with {' or '.join(ENDINGS)}, found none"
            )
        found.extend(inside)
    return found


def _locate(timeline: Timeline, audio: str | Path | None) -> str:
    """Find the recording, whose ending the annotation may leave out."""
    named = Path(timeline.file)
    candidates = [named] if audio is None else [Path(audio, named), Path(audio, named.name)]
    for candidate in candidates:
        if candidate.is_file():
            return str(candidate)
        folder = candidate.parent
        inside = sorted(folder.glob(f"{_escaped(candidate.name)}.*")) if folder.is_dir() else []
        alike = [each for each in inside if each.stem == candidate.name and has_audio_extension(each.name)]
        if len(alike) == 1:
            return str(alike[0])
    where = "" if audio is None else f" in {audio}"
    raise UsageError(
        f"--events: no recording {timeline.file}{where}; --audio tells the folder where they lie"
    )


def _escaped(name: str) -> str:
    from glob import escape

    return escape(name)


def _column(event: Event, labels: LabelSet) -> int | None:
    if event.mid and event.mid in labels:
        return labels.index(event.mid)
    try:
        return labels.find(event.name)
    except LabelError:
        return None

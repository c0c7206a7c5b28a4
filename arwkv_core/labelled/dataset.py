"""Labelled sounds, read and looked through: what can be told before an hour of work is told before it."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field, replace
from pathlib import Path

from arwkv_core.audio import open_audio
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import ArwkvError, DatasetError
from arwkv_core.features import require_one_frame
from arwkv_core.labels import LabelSet

from .class_folders import read_class_folders
from .classes import classes_of
from .copies import with_copies_together
from .folder_tree import Neighbours
from .label_files import find_label_files, read_label_files
from .problems import Problems
from .segment import Segment, by_file, stretches
from .table import read_table

ROUNDING_SECONDS = 0.1
"""An end may lie so far behind the recording's: people round."""


@dataclass(frozen=True)
class Dataset:
    """Labelled sounds.

    Attributes
    ----------
    source : str
        What was read.
    segments : list of Segment
    labels : LabelSet
        The classes: labels as names, in the order of the alphabet.
    multi_label : bool
        Whether some sound has no label or several.
    background : bool
        Whether what no segment covers counts as a sound without labels.
    seconds : mapping of Path to float
        Durations of the recordings, as far as they had to be known.
    remarks : tuple of str
        What is not wrong, but should be known: what was left out, and what keeps together.
    """

    source: str
    segments: list[Segment]
    labels: LabelSet
    multi_label: bool
    background: bool = False
    seconds: Mapping[Path, float] = field(default_factory=dict)
    remarks: tuple[str, ...] = ()

    def rows(self, labels: tuple[str, ...]) -> list[int]:
        """Places of labels among the classes."""
        places = {name: place for place, name in enumerate(self.labels.names)}
        return [places[label] for label in labels]


Arrange = Callable[[list[Segment], Problems], list[Segment]]


def read_dataset(
    data: str | os.PathLike[str],
    *,
    background: bool = False,
    arrange: Arrange | None = None,
    measure: bool = False,
    learn: bool = True,
) -> Dataset:
    """Read labelled sounds, and refuse what can't be learnt from.

    Parameters
    ----------
    data : str or path-like
        A CSV; a folder with recordings and label files of Audacity or Raven beside them; or a folder of folders
        that are named after classes.
    background : bool
        What no segment covers counts as a sound in which none of the classes is heard.
    arrange : callable, optional
        Puts the segments into folds or splits; what is wrong with that is told with all the rest.
    measure : bool
        Find out how long every recording is, by decoding it if need be.
    learn : bool
        Refuse what classes can't be learnt from, such as a label of one recording only. Not so where a model that
        knows them is measured.

    Returns
    -------
    Dataset

    Raises
    ------
    DatasetError
        If something is wrong; it lists all that is.
    """
    path = Path(data).expanduser()
    problems = Problems(str(path))
    if path.is_dir():
        files = find_label_files(path)
        if files:
            segments = read_label_files(path, files, problems, background=background)
        else:
            segments = read_class_folders(path, problems)
    elif path.exists():
        segments = read_table(path, problems)
    else:
        raise DatasetError(f"{path}: expected a folder of sounds or a CSV, there is none")
    seconds = _check_recordings(segments, problems, measure=measure)
    multi_label = background or any(
        len(stretch.labels) != 1
        for file, each in by_file(segments).items()
        for stretch in stretches(each, seconds.get(file, _latest(each)))
    )
    mids = classes_of((label for each in segments for label in each.labels), str(path), problems)
    _check_splits(segments, problems)
    segments = with_copies_together(segments, problems)
    if learn:
        _check_labels(segments, mids, multi_label, background, str(path), problems)
    if arrange is not None:
        segments = arrange(segments, problems)
    problems.raise_any()
    audioset = LabelSet.audioset()
    names = [audioset.name(mid) if label == mid else label for label, mid in mids.items()]
    renamed = dict(zip(mids, names, strict=True))
    return Dataset(
        str(path),
        [_renamed(segment, renamed) for segment in segments],
        LabelSet(list(mids.values()), names, source=str(path)),
        multi_label,
        background,
        seconds,
        tuple(problems.remarks),
    )


def _renamed(segment: Segment, names: Mapping[str, str]) -> Segment:
    return replace(segment, labels=tuple(names[label] for label in segment.labels))


def _latest(segments: list[Segment]) -> float:
    """A time after all borders of segments, where the recording's duration is not known."""
    times = [time for each in segments for time in (each.start, each.end) if math.isfinite(time)]
    return max(times) + 1


def _check_recordings(segments: list[Segment], problems: Problems, *, measure: bool) -> dict[Path, float]:
    """Open every recording; return the durations that are known."""
    found = {}
    neighbours = Neighbours()
    for file, each in by_file(segments).items():
        finite = any(math.isfinite(segment.end) or segment.start > 0 for segment in each)
        try:
            seconds = _duration(file, exact=finite or measure)
        except ArwkvError as error:
            text = f"{each[0].place}: {error}" if each[0].place != str(file) else str(error)
            other = None if file.exists() else neighbours.alike(file)
            problems.note(text if other is None else f"{text}: is {other.name!r} meant?")
            continue
        if seconds is None:
            continue
        found[file] = seconds
        try:
            require_one_frame(round(seconds * SAMPLE_RATE), file)
        except ArwkvError as error:
            problems.note(str(error))
            continue
        for segment in each:
            check_within(segment, seconds, problems)
    return found


def check_within(segment: Segment, seconds: float, problems: Problems) -> None:
    """Note a segment that is not within a recording of this length."""
    if math.isfinite(segment.end) and segment.end > seconds + ROUNDING_SECONDS:
        problems.add(segment.place, f"an end within {segment.file} ({seconds:.2f} s)", f"{segment.end:g} s")
    elif segment.start >= seconds:
        problems.add(
            segment.place, f"a start within {segment.file} ({seconds:.2f} s)", f"{segment.start:g} s"
        )


def _duration(file: Path, *, exact: bool) -> float | None:
    """Duration by the header or, where that does not tell and it must be known, by decoding."""
    with open_audio(file) as audio:
        if audio.header_seconds is not None and not audio.header_is_estimate:
            return audio.header_seconds
        if not exact:
            return None
        for _ in audio:
            pass
        return audio.decoded_seconds


def _check_splits(segments: list[Segment], problems: Problems) -> None:
    """Note recordings that are torn apart: what was heard in training proves nothing in a test."""
    for what in ("split", "fold"):
        first: dict[str, Segment] = {}
        for segment in segments:
            other = first.setdefault(segment.group, segment)
            one, two = getattr(other, what), getattr(segment, what)
            if one != two:
                name = segment.recording or str(segment.file)
                problems.add(
                    segment.place,
                    f"{name} in one {what}",
                    f"it in {two or 'none'} and, at {other.place}, in {one or 'none'}",
                )


def _check_labels(
    segments: list[Segment],
    mids: Mapping[str, str],
    multi_label: bool,
    background: bool,
    source: str,
    problems: Problems,
) -> None:
    """Note labels of which too little is known to learn them and to see whether they were learnt."""
    learnt = [segment for segment in (*segments, *problems.refused) if segment.split != "test"]
    groups: dict[str, dict[str, str]] = {}  # label -> recording -> place
    spelt: dict[str, str] = {}  # one spelling of a class for all: that there are several is told elsewhere
    for segment in learnt:
        for label in segment.labels:
            name = spelt.setdefault(mids.get(label, label), label)
            groups.setdefault(name, {}).setdefault(segment.group, segment.place)
    taken = {label for segment in segments for label in segment.labels}
    for label, places in sorted(groups.items()):
        if len(places) == 1 and label in taken and not problems.unread:
            (place,) = places.values()
            files = {segment.file for segment in learnt if label in segment.labels}
            alone = "this one alone" if len(files) == 1 else f"this one alone, {len(files)} times"
            problems.add(place, f"at least 2 recordings with the label {label!r}", alone)
    training = {
        label
        for segment in (*segments, *problems.refused)
        if segment.split not in ("valid", "test")
        for label in segment.labels
    }
    seen = set()
    for segment in segments:
        for label in segment.labels:
            if segment.split in ("valid", "test") and label not in training and label not in seen:
                seen.add(label)
                problems.add(
                    segment.place, f"{label!r} in the split train too", f"it in {segment.split} only"
                )
    if segments and any(segment.split for segment in segments) and not training:
        problems.add(source, "sounds of the split train", "none")
    if len(groups) == 1 and not multi_label:
        (only,) = groups
        problems.add(source, "at least 2 classes, or what is none of them (--background)", f"{only!r} alone")
    if not groups and segments:
        problems.add(source, "at least one label", "none")
    if multi_label and not background:
        for label in groups:
            if all(label in segment.labels for segment in learnt):
                problems.add(source, f"a sound without the label {label!r}", "it everywhere")

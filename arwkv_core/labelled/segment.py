"""A labelled part of a recording, and what it is cut into where parts of different labels overlap."""

from __future__ import annotations

import itertools
import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path

SHORTEST_SECONDS = 1e-6
"""Times that differ by less are the same: label tracks are written with six decimals."""


@dataclass(frozen=True)
class Segment:
    """A part of a recording and what sounds in it, as somebody wrote it down.

    Parameters
    ----------
    file : Path
        The recording.
    labels : tuple of str
        Classes, as they stand there. Empty: none of the classes sounds.
    place : str
        Where it is written, for messages.
    start, end : float
        Seconds; an end of infinity is that of the recording.
    split : {"train", "valid", "test", ""}
        Empty where nothing is said.
    fold : str
        Part of a cross-validation; empty where nothing is said.
    recording : str
        What must not be torn apart by splits and folds; the file, where nothing else is said.
    """

    file: Path
    labels: tuple[str, ...]
    place: str
    start: float = 0.0
    end: float = math.inf
    split: str = ""
    fold: str = ""
    recording: str = ""

    @property
    def group(self) -> str:
        """What keeps it together with others in splits and folds."""
        return self.recording or str(self.file.resolve())

    @property
    def whole(self) -> bool:
        """Whether it is all of its recording."""
        return self.start == 0 and math.isinf(self.end)


@dataclass(frozen=True)
class Stretch:
    """A part of a recording in which the same classes sound throughout; seconds."""

    start: float
    end: float
    labels: tuple[str, ...]


def stretches(segments: Sequence[Segment], seconds: float, *, background: bool = False) -> list[Stretch]:
    """Cut the segments of one recording where a label begins or ends.

    Parameters
    ----------
    segments : sequence of Segment
        Of one recording; they may overlap.
    seconds : float
        Its duration.
    background : bool
        Give what no segment covers too, as stretches without labels.

    Returns
    -------
    list of Stretch
        In the order of time, without overlap. Labels in the order of the alphabet.
    """
    spans = [(segment.start, min(segment.end, seconds), segment.labels) for segment in segments]
    borders = sorted({0.0, seconds, *(time for start, end, _ in spans for time in (start, end))})
    found: list[Stretch] = []
    for start, end in itertools.pairwise(borders):
        if end - start < SHORTEST_SECONDS:
            continue
        middle = (start + end) / 2
        covering = [labels for first, last, labels in spans if first <= middle < last]
        if not covering and not background:
            continue
        labels = tuple(sorted({label for each in covering for label in each}))
        if found and found[-1].labels == labels and start - found[-1].end < SHORTEST_SECONDS:
            found[-1] = Stretch(found[-1].start, end, labels)
        else:
            found.append(Stretch(start, end, labels))
    return found


def by_file(segments: Iterable[Segment]) -> dict[Path, list[Segment]]:
    """Segments of each recording, in their order."""
    files: dict[Path, list[Segment]] = {}
    for segment in segments:
        files.setdefault(segment.file, []).append(segment)
    return files

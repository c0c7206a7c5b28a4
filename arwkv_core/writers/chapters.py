"""Chapters of a podcast (Podcasting 2.0, JSON chapters 1.2.0): at any time, the class that leads."""

import json
import math
from pathlib import PurePath
from typing import Any, TextIO

from ..errors import UsageError
from ..results import Timeline
from .dominance import Stretch, dominant, without_gaps, without_short
from .one_recording import OneRecording
from .ticks import MILLISECONDS, event_ticks, last_tick

VERSION = "1.2.0"
"""Of the format, see https://github.com/Podcastindex-org/podcast-namespace/blob/main/docs/examples/chapters/jsonChapters.md"""

MIN_CHAPTER_SECONDS = 5.0
"""Longer than a laugh or a cough, shorter than a jingle."""


class ChaptersWriter:
    """Writes chapters that do not overlap, made of events that may.

    Where events overlap, that with the highest mean score leads, and a chapter lasts while one class leads. Gaps
    shorter than ``min_chapter`` go to the chapter before, that at the beginning to the first, so that it starts
    at 0. Then chapters shorter than ``min_chapter`` are dissolved, the shortest first: their time goes to the
    longer neighbour. One that stands alone is left out, unless it is the only one. In longer gaps there is no
    chapter.

    Parameters
    ----------
    stream : TextIO
        As for `JsonArray`.
    min_chapter : float
        Seconds that a chapter lasts at least; 0 shows every change.

    Raises
    ------
    UsageError
        If ``min_chapter`` is negative or no number.
    """

    def __init__(self, stream: TextIO, min_chapter: float = MIN_CHAPTER_SECONDS) -> None:
        if not 0 <= min_chapter < math.inf:  # NaN fails too
            raise UsageError(f"min_chapter: expected 0 seconds or more, found {min_chapter:g}")
        self._stream = stream
        self._shortest = round(min_chapter * MILLISECONDS)
        self._recording = OneRecording("chapters")

    def write(self, timeline: Timeline) -> None:
        """Write the recording's chapters."""
        self._recording.take(timeline.file)
        name = PurePath(timeline.file).name or timeline.file
        self._document({"version": VERSION, "fileName": name, "chapters": self._chapters(timeline)})

    def close(self) -> None:
        """Write a document without chapters where there was no recording."""
        if self._recording.file is None:
            self._document({"version": VERSION, "chapters": []})

    def _chapters(self, timeline: Timeline) -> list[dict[str, Any]]:
        spans = [
            (start, end, event.name, event.mean) for event, start, end in event_ticks(timeline, MILLISECONDS)
        ]
        end = last_tick(timeline.coverage.decoded_seconds, MILLISECONDS)
        stretches = without_gaps(dominant(spans), self._shortest, end)
        return [_chapter(stretch) for stretch in without_short(stretches, self._shortest)]

    def _document(self, document: dict[str, Any]) -> None:
        self._stream.write(json.dumps(document, indent=2, ensure_ascii=False) + "\n")
        self._stream.flush()


def _chapter(stretch: Stretch) -> dict[str, Any]:
    return {
        "startTime": stretch.start / MILLISECONDS,
        "endTime": stretch.end / MILLISECONDS,
        "title": stretch.name,
    }

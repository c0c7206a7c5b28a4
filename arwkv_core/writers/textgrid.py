"""Praat TextGrid: an interval tier per class, each from the beginning of the recording to its end."""

from typing import TextIO

from ..results import Timeline
from .one_line import label
from .one_recording import OneRecording
from .ticks import MICROSECONDS, decimals, event_ticks, last_tick

Interval = tuple[int, int, str]  # start and end in microseconds, text

EMPTY_TIER = "events"
"""Praat wants a tier at least: that of a recording without events."""


class TextGridWriter:
    """Writes a TextGrid in Praat's long text form.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._recording = OneRecording("textgrid")

    def write(self, timeline: Timeline) -> None:
        """Write the recording's tiers, in the order in which the classes are first heard."""
        self._recording.take(timeline.file)
        spans: dict[str, list[tuple[int, int]]] = {}
        for event, start, end in event_ticks(timeline, MICROSECONDS):
            spans.setdefault(label(event), []).append((start, end))
        end = last_tick(timeline.coverage.decoded_seconds, MICROSECONDS)
        self._header(end, max(len(spans), 1))
        for number, name in enumerate(spans or {EMPTY_TIER: []}, start=1):
            self._tier(number, name, _intervals(name, spans.get(name, []), end))
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends a TextGrid but its last tier."""
        self._stream.flush()

    def _header(self, end: int, tiers: int) -> None:
        self._stream.write('File type = "ooTextFile"\nObject class = "TextGrid"\n\n')
        self._stream.write(f"xmin = 0\nxmax = {decimals(end, MICROSECONDS)}\ntiers? <exists>\n")
        self._stream.write(f"size = {tiers}\nitem []:\n")

    def _tier(self, number: int, name: str, intervals: list[Interval]) -> None:
        self._stream.write(f'    item [{number}]:\n        class = "IntervalTier"\n')
        self._stream.write(f"        name = {_quoted(name)}\n        xmin = 0\n")
        self._stream.write(f"        xmax = {decimals(intervals[-1][1], MICROSECONDS)}\n")
        self._stream.write(f"        intervals: size = {len(intervals)}\n")
        for index, (start, end, text) in enumerate(intervals, start=1):
            self._stream.write(f"        intervals [{index}]:\n")
            self._stream.write(f"            xmin = {decimals(start, MICROSECONDS) if start else 0}\n")
            self._stream.write(f"            xmax = {decimals(end, MICROSECONDS)}\n")
            self._stream.write(f"            text = {_quoted(text)}\n")


def _intervals(name: str, spans: list[tuple[int, int]], end: int) -> list[Interval]:
    """Cover 0 to ``end`` without overlaps: events that overlap become one, what lies between is empty."""
    filled: list[Interval] = []
    for start, stop in sorted(spans):
        if filled and start < filled[-1][1]:
            filled[-1] = (filled[-1][0], max(stop, filled[-1][1]), name)
        else:
            filled.append((start, stop, name))
    tier: list[Interval] = []
    covered = 0
    for start, stop, text in filled:
        if start > covered:
            tier.append((covered, start, ""))
        tier.append((start, stop, text))
        covered = stop
    if covered < end or not tier:
        tier.append((covered, end, ""))
    return tier


def _quoted(text: str) -> str:
    return '"' + text.replace('"', '""') + '"'

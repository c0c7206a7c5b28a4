"""Raven selection table: tab-separated, a selection per event."""

from datetime import datetime
from pathlib import PurePath
from typing import TextIO

from ..constants import MEL_HIGH_HZ, MEL_LOW_HZ
from ..results import Event, Timeline
from .one_line import column, label
from .tag_record import DECIMALS
from .ticks import MICROSECONDS, clock_time, decimals, event_ticks

COLUMNS = (
    "Selection",
    "View",
    "Channel",
    "Begin Time (s)",
    "End Time (s)",
    "Low Freq (Hz)",
    "High Freq (Hz)",
    "Begin Path",
    "Begin File",
    "File Offset (s)",
    "Begin Date",
    "Begin Clock Time",
    "End Clock Time",
    "Annotation",
    "Class ID",
    "Score",
    "Maximum Score",
)


class RavenWriter:
    """Writes selections of one recording, or of several as Raven opens them: one sound after the other.

    ``Begin Time`` and ``End Time`` count from the first recording's beginning, ``File Offset`` from that of
    the event's own.

    Parameters
    ----------
    stream : TextIO
    low_hz, high_hz : float
        Frequencies between which selections lie: what the model hears.
    """

    def __init__(self, stream: TextIO, low_hz: float = MEL_LOW_HZ, high_hz: float = MEL_HIGH_HZ) -> None:
        self._stream = stream
        self._band = [f"{low_hz:.1f}", f"{high_hz:.1f}"]
        self._selections = 0
        self._begin = 0.0  # seconds of all recordings before this one
        self._row(COLUMNS)

    def write(self, timeline: Timeline) -> None:
        """Add a recording's selections."""
        for event, start, end in event_ticks(timeline, MICROSECONDS):
            self._selections += 1
            before = round(self._begin * MICROSECONDS)
            path = column(timeline.file)
            self._row(
                [
                    str(self._selections),
                    "Spectrogram 1",
                    "1",
                    decimals(before + start, MICROSECONDS),
                    decimals(before + end, MICROSECONDS),
                    *self._band,
                    path,
                    column(PurePath(path).name or path),
                    decimals(start, MICROSECONDS),
                    *_clock(timeline, start, end),
                    column(label(event)),
                    column(event.mid),
                    *_scores(event),
                ]
            )
        self._begin += timeline.coverage.decoded_seconds
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row."""
        self._stream.flush()

    def _row(self, cells: list[str] | tuple[str, ...]) -> None:
        self._stream.write("\t".join(cells) + "\n")


def _clock(timeline: Timeline, start: int, end: int) -> tuple[str, str, str]:
    """Date, begin and end as Raven shows them, on the recorder's clock; empty where that is not known."""
    begin_time, end_time = clock_time(timeline.start_time, start), clock_time(timeline.start_time, end)
    if begin_time is None or end_time is None:
        return "", "", ""
    # no strftime: it leaves out leading zeros of the year on some systems
    date = f"{begin_time.year:04d}/{begin_time.month:02d}/{begin_time.day:02d}"
    return date, _time_of_day(begin_time), _time_of_day(end_time)


def _time_of_day(time: datetime) -> str:
    return time.time().isoformat(timespec="milliseconds")


def _scores(event: Event) -> tuple[str, str]:
    return f"{event.mean:.{DECIMALS}f}", f"{event.max:.{DECIMALS}f}"

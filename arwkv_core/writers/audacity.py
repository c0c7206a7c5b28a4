"""Audacity label track: start, end and label in columns, without a header."""

from typing import TextIO

from ..results import Timeline
from .one_line import column, label
from .one_recording import OneRecording
from .ticks import MICROSECONDS, decimals, event_ticks


class AudacityWriter:
    """Writes a line per event, as File > Import > Labels reads it.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._recording = OneRecording("audacity")

    def write(self, timeline: Timeline) -> None:
        """Write the recording's labels."""
        self._recording.take(timeline.file)
        for event, start, end in event_ticks(timeline, MICROSECONDS):
            times = f"{decimals(start, MICROSECONDS)}\t{decimals(end, MICROSECONDS)}"
            self._stream.write(f"{times}\t{column(label(event))}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends a label track but its last line."""
        self._stream.flush()

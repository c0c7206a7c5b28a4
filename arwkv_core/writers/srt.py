"""SubRip: a numbered cue per event, for video players."""

from typing import TextIO

from ..results import Timeline
from .cues import cue_time, cues
from .one_recording import OneRecording

LINE_END = "\r\n"
"""As SubRip itself writes: all players take it, and some in television sets take nothing else."""

BRACKETS = str.maketrans("<>", "‹›")
"""The format has no escapes: players take what stands between angle brackets for markup, arrows divide times."""


class SrtWriter:
    """Writes the cues.

    Parameters
    ----------
    stream : TextIO
        Must leave line ends as they are (newline="").
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._recording = OneRecording("srt")

    def write(self, timeline: Timeline) -> None:
        """Write the recording's cues; without events, the file is empty."""
        self._recording.take(timeline.file)
        for number, (start, end, text) in enumerate(cues(timeline), start=1):
            lines = [
                str(number),
                f"{cue_time(start, ',')} --> {cue_time(end, ',')}",
                text.translate(BRACKETS),
                "",
            ]
            self._stream.write("".join(line + LINE_END for line in lines))
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends the cues but the last one."""
        self._stream.flush()

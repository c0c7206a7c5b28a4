"""WebVTT: a cue per event, for players in browsers."""

from typing import TextIO

from ..results import SCHEMA_VERSION, Timeline
from .cues import cue_time, cues
from .one_line import one_line
from .one_recording import OneRecording
from .ticks import iso


class VttWriter:
    """Writes a comment that says what was heard, then the cues.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._recording = OneRecording("vtt")
        stream.write("WEBVTT\n")

    def write(self, timeline: Timeline) -> None:
        """Write the recording's cues."""
        self._recording.take(timeline.file)
        self._stream.write("\nNOTE\n" + "".join(f"{line}\n" for line in _note(timeline)))
        for start, end, text in cues(timeline):
            self._stream.write(f"\n{cue_time(start, '.')} --> {cue_time(end, '.')}\n{_escaped(text)}\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends the cues but the last one."""
        self._stream.flush()


def _note(timeline: Timeline) -> list[str]:
    facts = {
        "file": timeline.file,
        "model": timeline.model,
        "decoded_seconds": f"{timeline.coverage.decoded_seconds:.6f}",
        "schema_version": str(SCHEMA_VERSION),
    }
    if timeline.start_time is not None:
        facts["start_time"] = str(iso(timeline.start_time.time))
    # a comment ends with an empty line, or with an arrow
    return [f"{name}: {one_line(value).replace('-->', '--&gt;')}" for name, value in facts.items()]


def _escaped(text: str) -> str:
    return text.replace("&", "&amp;").replace("<", "&lt;").replace(">", "&gt;")

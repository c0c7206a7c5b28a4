"""RTTM (NIST Rich Transcription Time Marked): ten fields a line, separated by spaces."""

from typing import TextIO
from urllib.parse import quote

from ..results import Timeline
from .one_line import READ_AS_MISSING, column, label
from .ticks import MICROSECONDS, decimals, event_ticks

MISSING = "<NA>"


class RttmWriter:
    """Writes a ``SPEAKER`` line per event: the only type that common readers take, whatever sounds.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, timeline: Timeline) -> None:
        """Add a recording's lines; nothing stands for a recording without events."""
        seconds = timeline.coverage.decoded_seconds
        file = file_id(timeline.file)
        for event, start, end in event_ticks(timeline, MICROSECONDS):
            duration = end - start
            # readers add up: what they get must not lie after the recording's end, be it by a bit
            while start / MICROSECONDS + duration / MICROSECONDS > seconds:
                start, duration = (start, duration - 1) if duration > 1 else (start - 1, duration)
            self._stream.write(
                f"SPEAKER {file} 1 {decimals(start, MICROSECONDS)} {decimals(duration, MICROSECONDS)} "
                f"{MISSING} {MISSING} {class_id(label(event))} {MISSING} {MISSING}\n"
            )
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends the lines but the last one."""
        self._stream.flush()


def file_id(file: str) -> str:
    """Name a recording without spaces, so that no two share a name.

    White space, control characters, quotation marks, per cent signs and undecodable bytes stand as in a URL
    (``%20``); so does the first letter of a name that readers would take for a missing one.
    """
    text = "".join(_escaped(character) if _is_odd(character) else character for character in file)
    if text.lower() in READ_AS_MISSING:
        text = f"%{ord(text[0]):02X}{text[1:]}"
    return text or MISSING


def class_id(name: str) -> str:
    """Name a class without spaces: ``Male speech, man speaking`` is ``Male_speech,_man_speaking``."""
    return "_".join(column(name).split()) or MISSING


def _is_odd(character: str) -> bool:
    return character in ' %"' or not character.isprintable()  # all white space but the space is not


def _escaped(character: str) -> str:
    try:
        return quote(character.encode("utf-8", "surrogateescape"), safe="")
    except UnicodeEncodeError:  # half a surrogate pair, from a name on Windows
        return quote(character.encode("utf-8", "surrogatepass"), safe="")

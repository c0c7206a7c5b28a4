"""Events as subtitles have them: in milliseconds, in the order of their starts."""

from collections.abc import Iterator

from ..results import Timeline
from .one_line import label
from .ticks import MILLISECONDS, event_ticks


def cues(timeline: Timeline) -> Iterator[tuple[int, int, str]]:
    """Yield start and end in milliseconds and the text, as both formats want it: earlier cues first."""
    ticks = event_ticks(timeline, MILLISECONDS)
    yield from sorted(((start, end, label(event)) for event, start, end in ticks), key=lambda cue: cue[:2])


def cue_time(milliseconds: int, point: str) -> str:
    """Write a time as ``HH:MM:SS.mmm``, with as many digits of hours as it takes."""
    seconds, rest = divmod(milliseconds, 1000)
    minutes, seconds = divmod(seconds, 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours:02d}:{minutes:02d}:{seconds:02d}{point}{rest:03d}"

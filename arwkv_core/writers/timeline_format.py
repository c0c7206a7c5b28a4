"""What is known of a format of timelines before anything is written in it."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Protocol

from ..results import Timeline


class TimelineWriter(Protocol):
    """Writes timelines in one format to a stream, which it does not close."""

    def write(self, timeline: Timeline) -> None:
        """Add a recording; text is flushed: whoever reads along sees it now.

        Raises
        ------
        UsageError
            If it is the second in a format whose files hold one recording.
        """

    def close(self) -> None:
        """End the document. What was written till then is complete in itself, also after an interruption."""


@dataclass(frozen=True)
class TimelineFormat:
    """A format of timelines.

    Parameters
    ----------
    name : str
        What ``--format`` calls it.
    suffix : str
        Ending of its files, appended to the recording's full name.
    writer : callable
        Makes a `TimelineWriter` of a stream: text in UTF-8 with ``errors="backslashreplace"`` and
        ``newline=""``, or binary.
    several : bool
        Whether one document may hold several recordings.
    binary : bool
        Whether the stream takes bytes.
    """

    name: str
    suffix: str
    writer: Callable[[Any], TimelineWriter]
    several: bool
    binary: bool = False

"""Timelines as JSON lines: an object per recording and line."""

from ..results import Timeline
from .json_lines import JsonLines
from .timeline_record import timeline_record


class TimelineJsonLinesWriter(JsonLines):
    """Writes a line per recording, complete and flushed before the next one is begun."""

    def write(self, timeline: Timeline) -> None:
        """Add a recording's line."""
        self.add(timeline_record(timeline))

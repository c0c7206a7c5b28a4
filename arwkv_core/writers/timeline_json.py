"""Timelines as JSON: one array, an object per recording."""

from ..results import Timeline
from .json_array import JsonArray
from .timeline_record import timeline_record


class TimelineJsonWriter(JsonArray):
    """Writes the array object by object; the stream is as for `JsonArray`."""

    def write(self, timeline: Timeline) -> None:
        """Add a recording's object."""
        self.add(timeline_record(timeline))

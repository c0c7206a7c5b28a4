"""Events as DCASE lists them: filename, onset, offset and event_label, separated by tabs."""

from typing import TextIO

from ..results import Timeline
from .csv_rows import CsvRows
from .one_line import column, label
from .ticks import MICROSECONDS, decimals, event_ticks

COLUMNS = ("filename", "onset", "offset", "event_label")


class SedEventsWriter:
    """Writes a header and a row per event; a recording without events has a row with its name only.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._rows = CsvRows(stream, delimiter="\t")
        self._rows.add(COLUMNS)

    def write(self, timeline: Timeline) -> None:
        """Add a recording's rows."""
        file = column(timeline.file)
        empty = True
        for event, start, end in event_ticks(timeline, MICROSECONDS):
            times = decimals(start, MICROSECONDS), decimals(end, MICROSECONDS)
            self._rows.add([file, *times, column(label(event))])
            empty = False
        if empty:
            self._rows.add([file, None, None, None])
        self._rows.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row."""
        self._rows.flush()

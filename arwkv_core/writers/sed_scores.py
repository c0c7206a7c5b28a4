"""Step scores as sed_scores_eval reads them: onset, offset and a column per class, separated by tabs.

Unlike the others, this format holds no events but what they are made of, so its writer is given the scores as
they come, in any number of blocks::

    writer = SedScoresWriter(stream)
    writer.begin(file, names)
    for block in source:
        writer.add(block)
    writer.write(timeline)  # tells when the last step ends
    writer.close()
"""

from collections.abc import Sequence
from typing import TYPE_CHECKING, TextIO

from ..constants import STEP_SECONDS
from ..errors import UsageError
from ..results import Timeline
from .csv_rows import CsvRows
from .one_line import column
from .one_recording import OneRecording
from .ticks import MICROSECONDS, decimals, last_tick

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

SCORE_DIGITS = 6
"""Significant digits of a score: all that float32 holds."""


class SedScoresWriter:
    """Writes a header and a row per step of 160 ms, the last of which ends with the recording.

    Memory does not grow with the recording.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._recording = OneRecording("sed-scores")
        self._classes: int | None = None
        self._row = ""
        self._steps = 0
        self._last: str | None = None  # the step received last: where it ends is known at the end only

    def begin(self, file: str, names: Sequence[str]) -> None:
        """Name the recording, and the classes in the order of the scores.

        Raises
        ------
        UsageError
            If a recording was begun before, or if two classes have one name: columns are told apart by it.
        """
        self._recording.take(file)
        columns = [column_name(name) for name in names]
        for name in columns:
            if columns.count(name) > 1 or name in ("onset", "offset"):
                raise UsageError(
                    f"--format sed-scores: expected classes of different names, found two columns named {name!r}; "
                    "--exclude leaves classes out, by their mids"
                )
        CsvRows(self._stream, delimiter="\t").add(["onset", "offset", *columns])
        self._classes = len(columns)
        self._row = f"\t%.{SCORE_DIGITS}g" * len(columns)

    def add(self, scores: "NDArray[np.float32]") -> None:
        """Take the next steps ``(steps, classes)``.

        Raises
        ------
        ValueError
            If their classes are not those of `begin`.
        """
        if scores.ndim != 2 or scores.shape[1] != self._classes:
            raise ValueError(f"expected scores of {self._classes} classes, found shape {scores.shape}")
        for row in scores.tolist():
            if self._last is not None:
                self._write_last(self._edge(self._steps))
            self._last = self._row % tuple(row)
            self._steps += 1
        self._stream.flush()

    def write(self, timeline: Timeline) -> None:
        """Write the last step, which ends with the recording.

        Raises
        ------
        UsageError
            If a recording was written before.
        ValueError
            If there were no scores.
        """
        if self._last is None:
            if self._steps:
                self._recording.take(timeline.file)
            raise ValueError(f"{timeline.file}: no scores to write")
        end = last_tick(timeline.coverage.decoded_seconds, MICROSECONDS)
        self._write_last(max(end, self._edge(self._steps - 1) + 1))
        self._last = None
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends a table but its last row; a step whose end was never told is left out."""
        self._stream.flush()

    def _write_last(self, end: int) -> None:
        start = self._edge(self._steps - 1)
        times = f"{decimals(start, MICROSECONDS)}\t{decimals(end, MICROSECONDS)}"
        self._stream.write(f"{times}{self._last}\n")

    @staticmethod
    def _edge(step: int) -> int:
        return round(step * STEP_SECONDS * MICROSECONDS)


def column_name(name: str) -> str:
    """Name a class's column: on one line, and with / for the backslash, which sed_scores_eval refuses."""
    return column(name).replace("\\", "/")

"""The formats of ``arwkv timeline``."""

import dataclasses
from typing import Any

from arwkv_core.event_plan import EventPlan
from arwkv_core.results import Timeline
from arwkv_core.score_file import StoredScores
from arwkv_core.timeline_task import TimelineWithScores
from arwkv_core.writers import TIMELINE_FORMATS as CORE_FORMATS
from arwkv_core.writers.sed_scores import SedScoresWriter

SED_SCORES = "sed-scores"


class StoredSedScoresWriter:
    """Writes the step scores of timelines, which are read from the files that they name.

    Parameters
    ----------
    stream : TextIO
    """

    def __init__(self, stream: Any) -> None:
        self._writer = SedScoresWriter(stream)

    def write(self, timeline: Timeline) -> None:
        """Write all steps of a recording; the file of the scores goes if nobody wants to keep it."""
        assert isinstance(timeline, TimelineWithScores)
        assert isinstance(timeline.plan, EventPlan)
        try:
            self._writer.begin(timeline.file, timeline.plan.names)
            for codes in StoredScores(timeline.scores).codes():
                self._writer.add(timeline.plan.scores_of(codes))
            self._writer.write(timeline)
        finally:
            if timeline.passing:
                timeline.scores.unlink(missing_ok=True)

    def close(self) -> None:
        """End the document."""
        self._writer.close()


TIMELINE_FORMATS = CORE_FORMATS | {
    SED_SCORES: dataclasses.replace(CORE_FORMATS[SED_SCORES], writer=StoredSedScoresWriter)
}
"""By name; besides them there are lanes for people."""

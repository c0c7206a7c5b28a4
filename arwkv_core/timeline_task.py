"""The work of ``arwkv timeline`` on one recording of many."""

from __future__ import annotations

import secrets
from collections.abc import Callable
from dataclasses import dataclass, fields
from pathlib import Path
from typing import Any

from .batch import Progress
from .context import Context
from .event_defaults import DefaultsOfScores, EventDefaults
from .event_plan import EventPlan
from .event_settings import EventSettings
from .kept_scores import SUFFIX, KeptScores
from .results import StartTime, Timeline
from .start_time import find_start_time, read_option
from .timelines import timeline_of


@dataclass(frozen=True)
class TimelineWithScores(Timeline):
    """A timeline, and where the step scores lie of which it was made.

    Parameters
    ----------
    scores : Path
        A file of kept scores.
    passing : bool
        Whether the file is to be removed once it was read.
    plan : EventPlan
        Which classes or groups of them the timeline is about.
    """

    scores: Path = Path()
    passing: bool = False
    plan: EventPlan | None = None


@dataclass(frozen=True)
class TimelineTask:
    """Makes timelines, with a model or from the scores that were kept of recordings.

    Parameters
    ----------
    model, device, precision : str
        See `tagger.load`; not used where scores are only read.
    settings : EventSettings
    channel, hop, context
        See `Tagger.stream`.
    start : str, optional
        When the recording began, see `start_time.find_start_time`.
    kept : KeptScores, optional
        Where scores are kept.
    scores_folder : str, optional
        Give `TimelineWithScores`; scores that are not kept go to files in this folder.
    defaults_of : str, optional
        Take class defaults and calibration from the folder of this model, instead of that of the kept scores.
    """

    model: str
    device: str
    settings: EventSettings
    channel: int | None = None
    hop: float | None = None
    context: Context = None
    precision: str = "auto"
    start: str | None = None
    kept: KeptScores | None = None
    scores_folder: str | None = None
    defaults_of: str | None = None

    def open(self) -> Callable[[str, Progress], Timeline]:
        """Load the model, and check the options against it."""
        if self.start is not None:
            read_option(self.start)
        if self.kept is not None and self.kept.read_only:
            return self._read_kept()
        from .score_store import scored
        from .tagger import load

        tagger = load(self.model, self.device, self.precision)
        hearing: dict[str, Any] = {"channel": self.channel, "hop": self.hop, "context": self.context}
        defaults = EventDefaults.of_source(
            scored(tagger, "-", **hearing)
        )  # begins nothing; knows what can't be
        plan = EventPlan.of(self.settings, tagger.labels, defaults)

        def work(file: str, progress: Progress) -> Timeline:
            path = None if self.kept is None else self.kept.path(file)
            passing = path is None and self.scores_folder is not None
            if passing:
                path = Path(str(self.scores_folder), secrets.token_hex(8) + SUFFIX)
            start = find_start_time(file, option=self.start)
            scores = scored(tagger, file, kept=path, progress=progress, **hearing)
            found = timeline_of(scores, self.settings, start_time=start, defaults=defaults)
            if self.scores_folder is None or path is None:
                return found
            return _with_scores(found, path, passing, plan)

        return work

    def _read_kept(self) -> Callable[[str, Progress], Timeline]:
        defaults_of = DefaultsOfScores(self.defaults_of, raw_scores=self.settings.raw_scores)

        def work(file: str, progress: Progress) -> Timeline:
            assert self.kept is not None
            scores = self.kept.stored(file)
            defaults = defaults_of(scores)
            start = scores.start_time
            if self.start is not None:
                start = StartTime(read_option(self.start), "option")
            found = timeline_of(scores, self.settings, start_time=start, defaults=defaults)
            if self.scores_folder is None:
                return found
            plan = EventPlan.of(self.settings, scores.labels, defaults)
            return _with_scores(found, scores.path, False, plan)

        return work


def _with_scores(found: Timeline, scores: Path, passing: bool, plan: EventPlan) -> TimelineWithScores:
    own = {field.name: getattr(found, field.name) for field in fields(found)}
    return TimelineWithScores(**own, scores=scores, passing=passing, plan=plan)

"""Which events become clips, and how they are cut and named."""

from __future__ import annotations

import heapq
import math
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass

from .clip_file import CLIP_FORMATS
from .clip_name import DEFAULT_TEMPLATE, NameTemplate
from .errors import UsageError
from .labels import LabelSet, unknown_class
from .results import Event, StartTime, Timeline


@dataclass(frozen=True)
class ClipSettings:
    """What to cut and how.

    Parameters
    ----------
    format : {"wav", "flac", "ogg"}
        See `clip_file.ClipFile`.
    pad : float
        Seconds of sound to add before and behind an event; never beyond the recording.
    max_per_class : int, optional
        At most so many clips of a class in the whole run: those with the highest score.
    min_score : float, optional
        Leave out events whose highest score is below.
    name_template : str
        See `clip_name.FIELDS`.
    include, exclude : str or sequence of str, optional
        Cut only, or never, these classes: names in any case, or mids.

    Raises
    ------
    UsageError
        If a number is out of range, or the template can't be used.
    """

    format: str = "wav"
    pad: float = 0.0
    max_per_class: int | None = None
    min_score: float | None = None
    name_template: str = DEFAULT_TEMPLATE
    include: str | Sequence[str] | None = None
    exclude: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.format not in CLIP_FORMATS:
            raise UsageError(f"--format: expected one of {', '.join(CLIP_FORMATS)}, found {self.format!r}")
        if not 0 <= self.pad < math.inf:  # NaN fails too
            raise UsageError(f"--pad: expected seconds, at least 0, found {self.pad:g}")
        if self.max_per_class is not None and self.max_per_class < 1:
            raise UsageError(f"--max-per-class: expected at least 1, found {self.max_per_class}")
        if self.min_score is not None and not 0 <= self.min_score <= 1:
            raise UsageError(f"--min-score: expected a score from 0 to 1, found {self.min_score:g}")
        NameTemplate(self.name_template)
        for key in ("include", "exclude"):
            names = getattr(self, key)
            if names is not None:  # one name alone is meant as a list of one, not as a list of letters
                object.__setattr__(self, key, (names,) if isinstance(names, str) else tuple(names))

    def check_classes(self, known: Iterable[tuple[str, str]]) -> None:
        """Refuse a class that is neither one of AudioSet's nor among the events.

        Parameters
        ----------
        known : iterable of (str, str)
            Name and mid of the classes of the events.

        Raises
        ------
        UsageError
        """
        names = dict(known)
        labels = LabelSet.audioset()
        folded = {text.casefold() for text in (*names, *names.values(), *labels.names, *labels.mids)}
        for option in ("include", "exclude"):
            for query in getattr(self, option) or ():
                if query.strip().casefold() not in folded:
                    where = "AudioSet, nor among the events"
                    raise UsageError(f"--{option}: {unknown_class(query, where, [*names, *labels.names])}")

    def wants(self, event: Event) -> bool:
        """Whether an event is to be cut, whatever the others are."""
        if self.min_score is not None and event.max < self.min_score:
            return False
        texts = {event.name.casefold(), event.mid.casefold()}
        if self.include is not None and texts.isdisjoint(query.strip().casefold() for query in self.include):
            return False
        return self.exclude is None or texts.isdisjoint(query.strip().casefold() for query in self.exclude)


@dataclass(frozen=True)
class ClipPlan:
    """What to cut out of one recording.

    Parameters
    ----------
    file : str
    model : str
        Name of the model that heard the events; empty if that is not known.
    start_time : StartTime or None
    events : list of Event
        In the order of their clips' numbers.
    """

    file: str
    model: str
    start_time: StartTime | None
    events: list[Event]


class ClipChooser:
    """Takes timelines one by one, and gives what is to be cut as early as can be.

    With ``max_per_class`` that is at the end; what is held till then is no more than the best events so far.

    Parameters
    ----------
    settings : ClipSettings
    """

    def __init__(self, settings: ClipSettings) -> None:
        self.settings = settings
        self._plans: list[ClipPlan] = []  # without events: these are in the heaps
        self._best: dict[str, list[tuple[float, float, int, int, Event]]] = {}
        self._seen = 0

    def add(self, timeline: Timeline) -> ClipPlan | None:
        """Take a recording's events; return its plan, if it can be made already."""
        wanted = [event for event in timeline.events if self.settings.wants(event)]
        plan = ClipPlan(timeline.file, timeline.model, timeline.start_time, [])
        if self.settings.max_per_class is None:
            plan.events.extend(wanted)
            return plan
        self._plans.append(plan)
        for event in wanted:
            self._seen += 1  # of equals the first wins
            entry = (event.max, event.mean, -self._seen, len(self._plans) - 1, event)
            best = self._best.setdefault(event.mid or event.name, [])
            if len(best) < self.settings.max_per_class:
                heapq.heappush(best, entry)
            elif entry > best[0]:
                heapq.heapreplace(best, entry)
        return None

    def finish(self) -> Iterator[ClipPlan]:
        """Yield the plans that had to wait, in the order of their recordings."""
        chosen = [entry for best in self._best.values() for entry in best]
        for _, _, _, place, event in sorted(chosen, key=lambda entry: -entry[2]):
            self._plans[place].events.append(event)
        yield from self._plans

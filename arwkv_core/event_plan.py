"""What is to be found in the scores of one model: which classes or groups, by which thresholds."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from .detections import Detections
from .errors import UsageError
from .event_defaults import ClassDefaults, EventDefaults
from .event_settings import EventSettings, Thresholds
from .events import EventDetector
from .groups import MID_PREFIX, Groups, GroupScores
from .labels import LabelSet
from .ontology import Ontology
from .results import Event
from .roll_up import classes_below, roll_up
from .score_codec import Codes, decode, encode
from .score_curves import ScoreCurves
from .score_trace import ScoreTrace
from .selection import Selection

Floats = NDArray[np.float32]


@dataclass(frozen=True)
class EventPlan:
    """Settings, worked out for a model's classes.

    Attributes
    ----------
    columns : ndarray of int64
        Which columns of the scores matter.
    names, mids : tuple of str
        Of the classes or groups that are reported.
    thresholds : Thresholds
        One entry each.
    below : dict of int to list of int
        Which of them lie below which others; empty if nothing is to be rolled up.
    groups : GroupScores or None
        What makes their scores out of those of the columns, where they are groups.
    levels : ndarray or None
        With a calibration: the probability that each code of `score_codec` stands for, ``(codes, columns)``.
    calibration : str or None
        Its digest.
    """

    columns: NDArray[np.int64]
    names: tuple[str, ...]
    mids: tuple[str, ...]
    thresholds: Thresholds
    below: dict[int, list[int]]
    groups: GroupScores | None = None
    levels: Floats | None = None
    calibration: str | None = None

    @classmethod
    def of(cls, settings: EventSettings, labels: LabelSet, defaults: EventDefaults) -> EventPlan:
        """Work out settings; the same ones for the same model only once.

        Raises
        ------
        UsageError
            If a class or group is unknown, if none is left, or if ``off`` lies above the ``on`` of a class.
        ConfigError
            If the calibration lacks a class of the model.
        """
        return _plan(settings, labels, defaults.without_calibration() if settings.raw_scores else defaults)

    def scores_of(self, codes: Codes) -> Floats:
        """Turn kept scores of all of the model's classes, ``(steps, classes)``, into those of `names`."""
        mine = self.decode(codes[:, self.columns])
        return mine if self.groups is None else self.groups.of(mine)[0]

    def decode(self, codes: Codes) -> Floats:
        """Turn the codes of the columns into scores, or probabilities where there is a calibration."""
        if self.levels is None:
            return decode(codes)
        return self.levels[codes, np.arange(codes.shape[1])]

    def search(self) -> EventSearch:
        """Begin with a recording."""
        return EventSearch(self)


class EventSearch:
    """Finds the events of one recording as its scores come.

    Parameters
    ----------
    plan : EventPlan
    """

    def __init__(self, plan: EventPlan) -> None:
        self.plan = plan
        self._trace = ScoreTrace(plan.below, plan.levels)
        self._detector = EventDetector(plan.thresholds, self._trace)

    def add(self, scores: Floats) -> None:
        """Take the next steps ``(steps, classes)``, all classes of the model, as the network gives them."""
        self._take(encode(scores[:, self.plan.columns]))

    def add_codes(self, codes: Codes) -> None:
        """Take the next steps as they are kept: to round them again would take longer than all else."""
        self._take(codes[:, self.plan.columns])

    def _take(self, codes: Codes) -> None:
        mine = self.plan.decode(codes)
        if self.plan.groups is None:
            self._detector.add(mine)
        else:
            self._detector.add(*self.plan.groups.of(mine))

    def finish(self, seconds: float) -> list[Event]:
        """Return the events of a recording that lasts ``seconds``, in the order of their starts, then names."""
        found = self._detector.finish(seconds)
        if self.plan.below:
            found = roll_up(found, self.plan.below, self.plan.thresholds, self._trace)
        return self._name(found)

    def _name(self, found: Detections) -> list[Event]:
        columns = (found.start, found.end, found.column, found.mean, found.max)
        events = [
            Event(start, end, self.plan.names[column], self.plan.mids[column], mean, highest)
            for start, end, column, mean, highest in zip(*(c.tolist() for c in columns), strict=True)
        ]
        return sorted(events, key=lambda event: (event.start, event.name, event.mid))


@lru_cache(maxsize=8)
def _plan(settings: EventSettings, labels: LabelSet, defaults: EventDefaults) -> EventPlan:
    numbers = [
        settings.numbers(name, defaults.classes.get(mid, ClassDefaults()), defaults) for mid, name in labels
    ]
    if isinstance(settings.groups, Groups):
        return _plan_groups(settings, settings.groups, labels, defaults, numbers)
    chosen = Selection(include=settings.include, exclude=settings.exclude).classes(labels)
    levels, calibration = _levels(labels, defaults)
    mids = tuple(labels.mids[i] for i in chosen)
    return EventPlan(
        columns=np.array(chosen),
        names=tuple(labels.names[i] for i in chosen),
        mids=mids,
        thresholds=Thresholds.of([numbers[i] for i in chosen]),
        below=classes_below(mids, Ontology.audioset()) if settings.roll_up else {},
        levels=None if levels is None else levels[:, chosen],
        calibration=calibration,
    )


def _levels(labels: LabelSet, defaults: EventDefaults) -> tuple[Floats | None, str | None]:
    calibration = defaults.calibration
    if calibration is None:
        return None, None
    return ScoreCurves.of(calibration, labels).levels(), calibration.digest


def _plan_groups(
    settings: EventSettings,
    groups: Groups,
    labels: LabelSet,
    defaults: EventDefaults,
    numbers: Sequence[ClassDefaults],
) -> EventPlan:
    members = groups.columns(labels)
    included = _find_groups("include", settings.include, groups) or set(members)
    excluded = _find_groups("exclude", settings.exclude, groups)
    chosen = {name: columns for name, columns in members.items() if name in included - excluded}
    if not chosen:
        raise UsageError("--include/--exclude: no group is left to report")
    # what a class's own numbers say of smoothing and lengths does not hold for a group
    own = [settings.numbers(name, ClassDefaults(), defaults) for name in chosen]
    levels, calibration = _levels(labels, defaults)
    return EventPlan(
        columns=np.arange(len(labels)),
        names=tuple(chosen),
        mids=tuple(MID_PREFIX + name for name in chosen),
        thresholds=Thresholds.of(own),
        below={},
        groups=GroupScores(list(chosen.values()), Thresholds.of(numbers)),
        levels=levels,
        calibration=calibration,
    )


def _find_groups(option: str, names: str | Sequence[str] | None, groups: Groups) -> set[str]:
    by_folded = {name.casefold(): name for name in groups.members}
    found = set()
    for name in [names] if isinstance(names, str) else names or ():
        folded = name.strip().casefold().removeprefix(MID_PREFIX)
        if folded not in by_folded:
            raise UsageError(f"--{option}: {unknown_group(name, groups)}")
        found.add(by_folded[folded])
    return found


def unknown_group(name: str, groups: Groups) -> str:
    """Say that there is no such group, and which there are."""
    known = ", ".join(repr(group) for group in groups.members)
    return f"no group {name!r}; with --groups {groups}, there are {known}"

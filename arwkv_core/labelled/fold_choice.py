"""Which fold of a cross-validation each recording belongs to: as a table or a file's name says, or as it comes."""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import replace

from arwkv_core.errors import UsageError

from .folds import assign_folds
from .problems import Problems
from .segment import Segment

BY_NAME = "name"
"""Folds stand at the beginning of files' names, as in ESC-50: fold-recording-take-class."""

DEFAULT_FOLDS = 5

_ESC = re.compile(r"(?P<fold>\d+)-(?:(?P<recording>\d+)(?=-))?")


def with_folds(
    segments: Sequence[Segment], folds: int | str | None, seed: int, problems: Problems
) -> list[Segment]:
    """Give every segment that may be learnt from a fold.

    Parameters
    ----------
    segments : sequence of Segment
    folds : int, "name" or None
        How many, or ``name`` for the number at the beginning of each file's name. None takes those that the
        segments bring, or else five.
    seed : int
        Of the folds that are made.
    problems : Problems
        Takes names without a number, and labels that would be in one fold only.

    Raises
    ------
    UsageError
        If ``folds`` is none of these.
    """
    if folds is None:
        folds = "" if any(segment.fold for segment in segments) else DEFAULT_FOLDS
    if isinstance(folds, str) and folds.isdecimal():
        folds = int(folds)
    if folds not in ("", BY_NAME) and not (isinstance(folds, int) and folds >= 2):
        raise UsageError(f"--folds: expected at least 2, or {BY_NAME}, found {folds}")
    learnt = [segment for segment in segments if segment.split != "test"]
    if folds == BY_NAME:
        learnt = [_named(segment, problems) for segment in learnt]
    elif isinstance(folds, int):
        groups: dict[str, list[str]] = {}
        for segment in learnt:
            groups.setdefault(segment.group, []).extend(segment.labels)
        assigned = assign_folds(groups, folds, seed)
        learnt = [replace(segment, fold=str(assigned[segment.group] + 1)) for segment in learnt]
    _check(learnt, problems)
    return learnt + [segment for segment in segments if segment.split == "test"]


def _named(segment: Segment, problems: Problems) -> Segment:
    match = _ESC.match(segment.file.name)
    if not match:
        problems.add(
            segment.place, "a file name that begins with its fold, as 1-100038-A-14.wav", segment.file.name
        )
        return segment
    return replace(segment, fold=match["fold"], recording=segment.recording or match["recording"] or "")


def _check(segments: Sequence[Segment], problems: Problems) -> None:
    places: dict[str, dict[str, str]] = {}
    recordings: dict[str, Segment] = {}
    for segment in segments:
        other = recordings.setdefault(segment.group, segment)
        if other.fold != segment.fold:
            problems.add(
                segment.place,
                f"{segment.recording or segment.file} in one fold",
                f"it in {segment.fold} and, at {other.place}, in {other.fold}",
            )
        for label in segment.labels:
            places.setdefault(label, {}).setdefault(segment.fold, segment.place)
    for label, folds in sorted(places.items()):
        groups = {segment.group for segment in segments if label in segment.labels}
        if len(folds) == 1 and len(groups) > 1:  # of one recording alone it is said elsewhere
            ((fold, place),) = folds.items()
            problems.add(place, f"the label {label!r} in at least 2 folds", f"it in fold {fold} only")

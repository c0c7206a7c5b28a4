"""Which recordings a training is validated on: as a table or a fold says, or some of each class."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from arwkv_core.errors import UsageError

from .fold_choice import BY_NAME, with_folds
from .folds import assign_folds
from .problems import Problems
from .segment import Segment

MOST_SHARE = 0.5
"""The recordings are parted into equal shares, of which one is held back."""


def with_validation(
    segments: Sequence[Segment], share: float, fold: str | None, seed: int, problems: Problems
) -> list[Segment]:
    """Give every segment a split.

    Parameters
    ----------
    segments : sequence of Segment
    share : float
        Of the recordings that are to be learnt from, where nothing says which to validate on; above 0, at most a half.
    fold : str, optional
        The recordings of this fold, by their table or at the beginning of their names.
    seed : int
        Of the choice.
    problems : Problems
        Takes labels that none but validation recordings have.

    Raises
    ------
    UsageError
        If the share is out of range.
    """
    if fold is None and any(segment.fold for segment in segments):
        problems.note(f"--valid-fold: expected a fold of the table's, one of {', '.join(_folds(segments))}")
    if not 0 < share <= MOST_SHARE:
        raise UsageError(f"--valid-share: expected a number above 0, at most {MOST_SHARE:g}, found {share:g}")
    if fold is not None:
        named = None if any(segment.fold for segment in segments) else BY_NAME
        found = [_by_fold(segment, fold) for segment in with_folds(segments, named, seed, problems)]
        if not any(segment.split == "valid" for segment in found):
            problems.note(f"--valid-fold {fold}: expected a fold of {', '.join(_folds(found))}")
    elif any(segment.split == "valid" for segment in segments):
        found = list(segments)
    else:
        groups: dict[str, list[str]] = {}
        for segment in segments:
            if segment.split != "test":
                groups.setdefault(segment.group, []).extend(segment.labels)
        parts = assign_folds(groups, round(1 / share), seed)
        found = [
            segment
            if segment.split == "test"
            else replace(segment, split="train" if parts[segment.group] else "valid")
            for segment in segments
        ]
    _check(found, problems)
    return found


def _by_fold(segment: Segment, fold: str) -> Segment:
    return (
        segment
        if segment.split == "test"
        else replace(segment, split="valid" if segment.fold == fold else "train")
    )


def _folds(segments: Sequence[Segment]) -> list[str]:
    return sorted({segment.fold for segment in segments if segment.fold})


def _check(segments: Sequence[Segment], problems: Problems) -> None:
    training = {label for segment in segments if segment.split == "train" for label in segment.labels}
    groups: dict[str, set[str]] = {}
    for segment in segments:
        for label in segment.labels:
            if segment.split != "test":
                groups.setdefault(label, set()).add(segment.group)
    for segment in segments:
        for label in segment.labels:
            # of one recording alone it is said elsewhere
            if segment.split == "valid" and label not in training and len(groups[label]) > 1:
                training.add(label)
                problems.add(segment.place, f"{label!r} in the split train too", "it in valid only")

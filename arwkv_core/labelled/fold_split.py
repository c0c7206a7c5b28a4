"""One fold held back for a test, and some of the other recordings to choose the best weights by."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from .problems import Problems
from .segment import Segment
from .validation_split import with_validation


def with_test_fold(
    segments: Sequence[Segment], fold: str, share: float, seed: int, problems: Problems
) -> list[Segment]:
    """Give every segment the split that it has while a fold is tested.

    Parameters
    ----------
    segments : sequence of Segment
        Each with its fold.
    fold : str
        The one that is tested.
    share : float
        Of the other recordings, to validate on.
    seed : int
        Of the choice of those.
    problems : Problems
        Takes labels that would be tested and not learnt.

    Returns
    -------
    list of Segment
        In the order in which they came.

    Raises
    ------
    UsageError
        If the share is out of range.
    """
    others = [replace(each, split="", fold="") for each in segments if each.fold != fold]
    learnt = with_validation(others, share, None, seed, problems)
    known = {label for each in learnt if each.split == "train" for label in each.labels}
    rest = iter(learnt)
    arranged = [replace(each, split="test") if each.fold == fold else next(rest) for each in segments]
    for each in arranged:
        for label in each.labels if each.split == "test" else ():
            if label not in known:
                known.add(label)
                problems.add(
                    each.place,
                    f"{label!r} among what is learnt from while fold {fold} is tested",
                    "it in that fold and in validation only: a smaller --valid-share may help",
                )
    return arranged

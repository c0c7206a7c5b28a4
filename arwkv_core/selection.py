"""Which classes of a recording are reported as its tags, and in which order."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from .errors import LabelError, UsageError
from .labels import LabelSet
from .results import Tag, ranking_score
from .scores import Summary

POOLS = ("mean", "max", "active")
"""What can rank: mean score, maximum score, active seconds."""


def check_fraction(name: str, value: float) -> None:
    """Refuse a score threshold outside 0 to 1 (NaN too), naming its option."""
    if not 0 <= value <= 1:
        raise UsageError(f"--{name.replace('_', '-')}: expected a score from 0 to 1, found {value:g}")


@dataclass(frozen=True)
class Selection:
    """What to report.

    Parameters
    ----------
    top_k : int
        At most so many tags; no error if the model has fewer classes.
    threshold : float, optional
        Leave out tags whose ranking number is below: a score, or seconds with ``pool="active"``.
    pool : {"mean", "max", "active"}
        What ranks.
    include, exclude : str or sequence of str, optional
        Report only, or never, these classes (display names or mids).

    Raises
    ------
    UsageError
        If a number is out of range.
    """

    top_k: int = 5
    threshold: float | None = None
    pool: str = "mean"
    include: str | Sequence[str] | None = None
    exclude: str | Sequence[str] | None = None

    def __post_init__(self) -> None:
        if self.pool not in POOLS:
            raise UsageError(f"--pool: expected one of {', '.join(POOLS)}, found {self.pool!r}")
        if self.top_k < 1:
            raise UsageError(f"--top-k: expected at least 1, found {self.top_k}")
        if self.threshold is None:
            return
        if self.pool != "active":
            check_fraction("threshold", self.threshold)
        elif not 0 <= self.threshold < float("inf"):
            raise UsageError(f"--threshold: expected seconds (--pool active), found {self.threshold:g}")

    def classes(self, labels: LabelSet) -> list[int]:
        """Return the indices of the classes that may be reported, ascending.

        Raises
        ------
        UsageError
            If a name is unknown (the message offers close ones), or if no class is left.
        """
        chosen = set(range(len(labels)))
        if self.include is not None:
            chosen = _find("include", self.include, labels)
        if self.exclude is not None:
            chosen -= _find("exclude", self.exclude, labels)
        if not chosen:
            raise UsageError("--include/--exclude: no class is left to report")
        return sorted(chosen)

    def pick(self, summary: Summary, labels: LabelSet) -> list[Tag]:
        """Return the tags of a recording, highest first.

        Equal ones (0 active seconds, most often) are in the order of their means, then of the label list.
        """
        tags = [
            Tag(
                name=labels.names[index],
                mid=labels.mids[index],
                mean=float(summary.mean[index]),
                max=float(summary.max[index]),
                active_seconds=float(summary.active_seconds[index]),
            )
            for index in self.classes(labels)
        ]
        ranks = np.array([ranking_score(tag, self.pool) for tag in tags])
        means = np.array([tag.mean for tag in tags])
        order = np.lexsort((-means, -ranks))[: self.top_k]  # the last key is the first to count
        return [tags[i] for i in order if self.threshold is None or ranks[i] >= self.threshold]


def _find(option: str, names: str | Sequence[str], labels: LabelSet) -> set[int]:
    try:
        # one name alone is meant as a list of one, not as a list of letters
        return {labels.find(name) for name in ([names] if isinstance(names, str) else names)}
    except LabelError as error:
        raise UsageError(f"--{option}: {error}") from error

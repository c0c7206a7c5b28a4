"""From the step scores of a recording to its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .results import TagResult
from .scores import SummaryBuilder
from .selection import Selection, check_fraction

if TYPE_CHECKING:  # kept scores are read without torch, which this module needs
    from .recording import ScoreSource


def tag_of(scores: ScoreSource, selection: Selection, active_threshold: float) -> TagResult:
    """Tell what is in a recording, in memory that does not grow with its length.

    Parameters
    ----------
    scores : ScoreSource
        From the model, or kept.
    selection : Selection
    active_threshold : float
        Score from which a step counts as active.

    Returns
    -------
    TagResult

    Raises
    ------
    UsageError
        If an option is out of range or names a class that the model does not have: before any work is done.
    """
    check_fraction("active_threshold", active_threshold)
    selection.classes(scores.labels)  # a wrong name is refused before an hour of work, not after
    builder = SummaryBuilder(len(scores.labels), active_threshold)
    for block in scores:
        builder.add(block)
    coverage = scores.coverage
    return TagResult(
        file=scores.file,
        model=scores.model_name,
        pool=selection.pool,
        active_threshold=active_threshold,
        coverage=coverage,
        tags=selection.pick(builder.finish(coverage.decoded_seconds), scores.labels),
        warnings=scores.warnings,
    )

"""From the step scores of a recording to its tags."""

from __future__ import annotations

from typing import TYPE_CHECKING

from .event_defaults import EventDefaults
from .results import TagResult
from .score_curves import ScoreCurves
from .scores import SummaryBuilder
from .selection import Selection, check_fraction

if TYPE_CHECKING:  # kept scores are read without torch, which this module needs
    from .recording import ScoreSource


def tag_of(
    scores: ScoreSource,
    selection: Selection,
    active_threshold: float | None = None,
    *,
    raw_scores: bool = False,
    defaults: EventDefaults | None = None,
) -> TagResult:
    """Tell what is in a recording, in memory that does not grow with its length.

    Parameters
    ----------
    scores : ScoreSource
        From the model, or kept.
    selection : Selection
    active_threshold : float, optional
        Score from which a step counts as active; the model's own by default.
    raw_scores : bool
        Take scores as the network gives them, though the model's folder has a calibration.
    defaults : EventDefaults, optional
        Of the model: its calibration and its threshold. By default what the folder of the scores' model says.

    Returns
    -------
    TagResult

    Raises
    ------
    UsageError
        If an option is out of range or names a class that the model does not have: before any work is done.
    ConfigError
        If the calibration in the model's folder is damaged.
    """
    defaults = defaults or EventDefaults.of_source(scores, raw_scores=raw_scores)
    if raw_scores:
        defaults = defaults.without_calibration()
    if active_threshold is None:
        active_threshold = defaults.active_threshold
    check_fraction("active_threshold", active_threshold)
    selection.classes(scores.labels)  # a wrong name is refused before an hour of work, not after
    calibration = defaults.calibration
    curves = None if calibration is None else ScoreCurves.of(calibration, scores.labels)
    builder = SummaryBuilder(len(scores.labels), active_threshold)
    for block in scores:
        builder.add(block if curves is None else curves.of_scores(block))
    coverage = scores.coverage
    return TagResult(
        file=scores.file,
        model=scores.model_name,
        pool=selection.pool,
        active_threshold=active_threshold,
        coverage=coverage,
        tags=selection.pick(builder.finish(coverage.decoded_seconds), scores.labels),
        warnings=scores.warnings,
        calibration=None if calibration is None else calibration.digest,
    )

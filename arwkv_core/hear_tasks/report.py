"""What was measured of a model on a task of HEAR."""

from __future__ import annotations

import csv
import io
from collections.abc import Sequence
from dataclasses import asdict, dataclass
from typing import Any

from arwkv_core.evaluation.plain_numbers import plain

from .predictor import TrialResult


@dataclass(frozen=True)
class HearEvaluation:
    """Measures of one model on one task.

    Attributes
    ----------
    model, task, version : str
    embedding_type, prediction_type : str
        See `HearTask`.
    classes, clips : int
        Of all splits together.
    seconds : float
        The same.
    sample_rate : int
        Of the files that were read, in Hz.
    scores : dict of str to float
        The task's measures by their names in HEAR: of the split test, or the mean over the folds.
    deviations : dict of str to float
        Standard deviations over the folds (of a sample); empty where there are none.
    less_is_better : tuple of str
        Those of the measures that count errors.
    unsupported : dict of str to str
        Measures that the task wants and arwkv has not, each with the reason.
    trials : tuple of TrialResult
        One, or one a fold.
    """

    model: str
    task: str
    version: str
    embedding_type: str
    prediction_type: str
    classes: int
    clips: int
    seconds: float
    sample_rate: int
    scores: dict[str, float]
    deviations: dict[str, float]
    less_is_better: tuple[str, ...]
    unsupported: dict[str, str]
    trials: tuple[TrialResult, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist or are endless are None."""
        return {key: plain(value) for key, value in asdict(self).items()}


def trials_csv(results: Sequence[HearEvaluation]) -> str:
    """Write a row for each measure of each tested split; a number that does not exist is empty.

    Returns
    -------
    str
        With a header: model, task, split, clips, measure, value.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    rows.writerow(["model", "task", "split", "clips", "measure", "value"])
    for result in results:
        for trial in result.trials:
            for name, value in trial.scores.items():
                rows.writerow([result.model, result.task, trial.trial.test, trial.clips, name, plain(value)])
    return text.getvalue()

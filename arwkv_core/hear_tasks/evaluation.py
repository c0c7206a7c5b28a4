"""How well a model's embeddings serve for tasks of HEAR."""

from __future__ import annotations

import math
import statistics
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from tqdm.auto import tqdm

from arwkv_core.errors import DatasetError
from arwkv_core.probing.regression import require_sklearn

from .embedded import embed_task
from .folder import read_hear_tasks
from .measures import Measures
from .predictor import TrialResult, run_trial
from .report import HearEvaluation
from .task import HearTask

if TYPE_CHECKING:
    from arwkv_core.tagger import Tagger


def evaluate_hear(
    model: str | Path | Tagger,
    hear: str | Path | HearTask | Sequence[str | Path | HearTask],
    *,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> list[HearEvaluation]:
    """Embed the sounds of tasks, fit shallow predictors and measure them as the tasks want it.

    A predictor is a logistic regression on a sound's embedding or, in tasks about events, on each step's. It is fitted
    to the split train; its regularisation, and how events are made of its scores, are chosen on the split valid by
    the task's first measure; the split test is measured. With folds each is tested once, the next one chooses, and
    the others are learnt from.

    Parameters
    ----------
    model : str, Path or Tagger
        As for `arwkv_core.load`; a loaded tagger is used as it is.
    hear : str, Path, HearTask or sequence of them
        Folders of tasks, folders of such folders, or tasks that were read.
    device, precision : str
        As for `arwkv_core.load`.
    progress : bool
        Show bars on stderr.

    Returns
    -------
    list of HearEvaluation
        One a task, in the order of their folders' names.

    Raises
    ------
    DatasetError
        If a folder is not as it should be or a sound can't be decoded; it lists all that is wrong.
    ArwkvError
        If scikit-learn is missing, or the model can't be used.
    """
    from arwkv_core.tagger import Tagger, load

    require_sklearn("--hear")
    given = [hear] if isinstance(hear, str | Path | HearTask) else list(hear)
    tasks: list[HearTask] = []
    for each in given:
        tasks += [each] if isinstance(each, HearTask) else read_hear_tasks([each])
    wanted = [(task, measures_of(task)) for task in tasks]
    tagger = model if isinstance(model, Tagger) else load(model, device, precision)
    return [_evaluate(tagger, task, measures, progress=progress) for task, measures in wanted]


def measures_of(task: HearTask) -> Measures:
    """Find what of a task can be measured.

    Raises
    ------
    DatasetError
        If that is nothing.
    """
    measures = Measures.of(task)
    if not measures.names:
        reasons = "; ".join(f"{name}: {reason}" for name, reason in measures.unsupported.items())
        raise DatasetError(f"{task.folder}: expected a measure that arwkv has, found {reasons}")
    return measures


def _evaluate(tagger: Tagger, task: HearTask, measures: Measures, *, progress: bool) -> HearEvaluation:
    embedded = embed_task(task, tagger, progress=progress)
    results = tuple(
        run_trial(task, measures, trial, embedded)
        for trial in tqdm(task.trials, desc=f"{task.name}: predictors", unit="fold", disable=not progress)
    )
    clips = [clip for split in embedded.values() for clip in split]
    return HearEvaluation(
        model=tagger.name,
        task=task.name,
        version=task.version,
        embedding_type=task.embedding_type,
        prediction_type=task.prediction_type,
        classes=len(task.labels),
        clips=len(clips),
        seconds=sum(clip.seconds for clip in clips),
        sample_rate=task.sample_rate,
        scores=_over_trials(measures, results, _mean),
        deviations=_over_trials(measures, results, _deviation) if len(results) > 1 else {},
        less_is_better=tuple(sorted(measures.less_is_better)),
        unsupported=measures.unsupported,
        trials=results,
    )


def _over_trials(
    measures: Measures, results: Sequence[TrialResult], summary: Callable[[list[float]], float]
) -> dict[str, float]:
    """A number for each measure, of the trials in which it exists."""
    found = {}
    for name in measures.names:
        values = [each.scores[name] for each in results if not math.isnan(each.scores[name])]
        found[name] = summary(values) if values else math.nan
    return found


def _mean(values: Sequence[float]) -> float:
    with np.errstate(invalid="ignore"):  # +inf and -inf have no mean
        return float(np.mean(values))


def _deviation(values: Sequence[float]) -> float:
    """The standard deviation of a sample; NaN of a single value, and where values are endless."""
    return statistics.stdev(values) if len(values) > 1 and all(map(math.isfinite, values)) else math.nan

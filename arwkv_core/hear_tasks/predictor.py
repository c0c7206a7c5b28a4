"""A shallow predictor on embeddings: fitted to some splits of a task, chosen by another, tested on a third."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass

import numpy as np

from arwkv_core.probing.cross_validation import PATIENCE, STRENGTHS
from arwkv_core.probing.regression import Head, Regression, one_thread

from .embedded import EmbeddedClip, examples_of
from .measures import Measures
from .post_processing import PostProcessing, find_events
from .task import HearTask, Trial

Clips = list[EmbeddedClip]


@dataclass(frozen=True)
class TrialResult:
    """What came of a trial.

    Attributes
    ----------
    trial : Trial
    clips : int
        Sounds of the split that was tested.
    strength : float
        scikit-learn's ``C``, chosen on the valid split.
    post_processing : PostProcessing or None
        Chosen there too; None where the task is not about events.
    valid_score : float
        The first measure on the valid split.
    scores : dict of str to float
        All measures on the tested split.
    """

    trial: Trial
    clips: int
    strength: float
    post_processing: PostProcessing | None
    valid_score: float
    scores: dict[str, float]


@dataclass(frozen=True)
class _Candidate:
    """A predictor, and how it does on the valid split.

    Attributes
    ----------
    strength : float
    head : Head
    loss : float
    post_processing : PostProcessing or None
    valid : float
        The first measure; NaN where it does not exist, or was not looked at.
    merit : tuple of float
        The larger, the better.
    """

    strength: float
    head: Head
    loss: float
    post_processing: PostProcessing | None
    valid: float
    merit: tuple[float, float]


def run_trial(task: HearTask, measures: Measures, trial: Trial, embedded: Mapping[str, Clips]) -> TrialResult:
    """Fit logistic regressions of several strengths, choose one and test it.

    Parameters
    ----------
    task : HearTask
    measures : Measures
        Of the task, with one that can be computed at least.
    trial : Trial
    embedded : mapping of str to list of EmbeddedClip
        All splits.
    """
    training = [clip for name in trial.train for clip in embedded[name]]
    test = embedded[trial.test]
    with one_thread():
        best = _choose(task, measures, training, embedded[trial.valid])
        scores = _measured(measures, test, best.head, best.post_processing)
    return TrialResult(trial, len(test), best.strength, best.post_processing, best.valid, scores)


def _choose(task: HearTask, measures: Measures, training: Clips, valid: Clips) -> _Candidate:
    """Try less and less regularisation, until neither loss nor measure gets better."""
    regression = Regression(examples_of(training), task.multi_label)
    held_out = examples_of(valid)
    tried: list[_Candidate] = []
    for strength in STRENGTHS:
        head = regression.fit(strength)
        loss = held_out.loss(head) / len(held_out.rows)
        if task.chosen_by_loss:
            tried.append(_Candidate(strength, head, loss, None, math.nan, (-loss, 0.0)))
        else:
            tried.append(_judged(task, measures, valid, strength, head, loss))
        best = max(range(len(tried)), key=lambda index: tried[index].merit)
        lowest = min(range(len(tried)), key=lambda index: tried[index].loss)
        if len(tried) - 1 - max(best, lowest) >= PATIENCE:
            break
    chosen = max(tried, key=lambda each: each.merit)
    if task.chosen_by_loss:
        return _judged(task, measures, valid, chosen.strength, chosen.head, chosen.loss)
    return chosen


def _judged(
    task: HearTask, measures: Measures, valid: Clips, strength: float, head: Head, loss: float
) -> _Candidate:
    """Measure a predictor with the way of making events that suits it best."""
    name = measures.names[0]
    sign = -1 if name in measures.less_is_better else 1
    best: _Candidate | None = None
    for way in task.grid if task.timed else (None,):
        value = _measured(measures, valid, head, way, only=name)[name]
        merit = (-math.inf if math.isnan(value) else sign * value, -loss)
        if best is None or merit > best.merit:
            best = _Candidate(strength, head, loss, way, value, merit)
    assert best is not None, "there is one way at least"
    return best


def _measured(
    measures: Measures, clips: Clips, head: Head, way: PostProcessing | None, only: str | None = None
) -> dict[str, float]:
    """All measures, or one of them, of a predictor on a split."""
    if way is None:
        truth = np.concatenate([each.targets for each in clips])
        scores = head.scores(np.concatenate([each.rows for each in clips]))
        return {
            each.name: each.compute(truth, scores) for each in measures.scene if only in (None, each.name)
        }
    found = [each.findings(find_events(head.scores(each.rows), way)) for each in clips]
    return {each.name: each.compute(found) for each in measures.event if only in (None, each.name)}

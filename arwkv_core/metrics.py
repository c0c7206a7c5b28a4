"""Metrics of a tagger: average precision, area under the ROC curve and d-prime of its ranking, F1 of its decisions."""

from __future__ import annotations

from statistics import NormalDist

import numpy as np
from numpy.typing import NDArray


def average_precision(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Average precision of one class: the precision at every positive, averaged.

    Clips of equal score are taken together, so that their order in the file can't matter.

    Parameters
    ----------
    truth : ndarray of bool, shape (clips,)
        At least one positive.
    scores : ndarray, shape (clips,)
        Higher is more certain.

    Returns
    -------
    float
        In (0, 1]. NaN without positives.
    """
    positives = int(truth.sum())
    if not positives:
        return float("nan")
    order = np.argsort(-scores, kind="stable")
    ends = np.flatnonzero(np.diff(scores[order], append=np.inf))  # last place of each run of equal scores
    found = np.cumsum(truth[order])[ends]
    precision = found / (ends + 1)
    return float((np.diff(found, prepend=0) * precision).sum() / positives)


def roc_auc(truth: NDArray[np.bool_], scores: NDArray[np.floating]) -> float:
    """Probability that a positive scores above a negative, equal scores counting half.

    Returns
    -------
    float
        NaN where positives or negatives are missing.
    """
    positives = int(truth.sum())
    negatives = len(truth) - positives
    if not positives or not negatives:
        return float("nan")
    _, inverse, counts = np.unique(scores, return_inverse=True, return_counts=True)
    mean_ranks = np.cumsum(counts) - (counts - 1) / 2  # from 1
    rank_sum = mean_ranks[inverse][truth].sum()
    return float((rank_sum - positives * (positives + 1) / 2) / (positives * negatives))


def d_prime(auc: float) -> float:
    """Distance of two unit normals whose ROC curve has this area; infinite at 0 and 1."""
    if not 0 < auc < 1:
        return float("nan") if np.isnan(auc) else float("inf") * (1 if auc >= 1 else -1)
    return 2**0.5 * NormalDist().inv_cdf(auc)


def f1_score(truth: NDArray[np.bool_], decisions: NDArray[np.bool_]) -> float:
    """Harmonic mean of precision and recall: twice the hits over all that is true and all that was said.

    Returns
    -------
    float
        NaN where there is neither a positive nor a decision for one.
    """
    total = int(truth.sum()) + int(decisions.sum())
    return 2 * int((truth & decisions).sum()) / total if total else float("nan")

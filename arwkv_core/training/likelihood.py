"""How probable a model's clip scores make what is known: a measure that exists for any number of clips."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

LEAST_SCORE = 1e-7


def known_likelihood(scores: NDArray[np.floating], known: NDArray[np.bool_], kind: str) -> float:
    """Mean logarithm of the likelihood of the known labels; higher is better, 0 the best.

    Parameters
    ----------
    scores : ndarray, shape (clips, classes)
    known : ndarray of bool, shape (clips, classes)
    kind : {"sigmoid", "softmax"}
        Each class by itself, summed; or the mean over the classes that a clip has, where it has any.

    Returns
    -------
    float
    """
    chosen = np.clip(scores.astype(np.float64), LEAST_SCORE, 1 - LEAST_SCORE)
    if kind == "sigmoid":
        return float(np.log(np.where(known, chosen, 1 - chosen)).sum(1).mean())
    there = known.any(1)
    if not there.any():
        return float("nan")
    shares = known[there] / known[there].sum(1, keepdims=True)
    return float((np.log(chosen[there]) * shares).sum(1).mean())

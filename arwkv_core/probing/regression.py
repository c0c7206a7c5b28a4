"""Logistic regression on embeddings, as a head of the network: a row of weights and a number for each class."""

from __future__ import annotations

import warnings
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arwkv_core.errors import ArwkvError

Doubles = NDArray[np.float64]
Floats = NDArray[np.float32]

MOST_ITERATIONS = 1000

FLOAT32_DIGITS = 1e-6

RAREST = 1e-6
"""Probability of a class that an example set does not hold at all."""


@dataclass(frozen=True)
class Head:
    """What turns an embedding into scores.

    Attributes
    ----------
    weight : ndarray of float64, shape (classes, width)
    bias : ndarray of float64, shape (classes,)
    multi_label : bool
        Whether a class is scored by itself (sigmoid) or all share a sum of one (softmax).
    """

    weight: Doubles
    bias: Doubles
    multi_label: bool

    def scores(self, rows: Floats) -> Doubles:
        """Scores of embeddings: ``(n, width)`` -> ``(n, classes)``."""
        logits = rows @ self.weight.T + self.bias
        if self.multi_label:
            return np.exp(-np.logaddexp(0, -logits))
        powers = np.exp(logits - logits.max(1, keepdims=True))
        return powers / powers.sum(1, keepdims=True)


@dataclass(frozen=True)
class Examples:
    """Embeddings with what they should be taken for.

    Attributes
    ----------
    rows : ndarray of float32, shape (n, width)
    targets : ndarray of bool, shape (n, classes)
    weights : ndarray of float64, shape (n,)
        How much each counts, above 0.
    """

    rows: Floats
    targets: NDArray[np.bool_]
    weights: Doubles

    @classmethod
    def joined(cls, parts: Sequence[Examples]) -> Examples:
        """All of them, one after the other."""
        return cls(
            np.concatenate([part.rows for part in parts]),
            np.concatenate([part.targets for part in parts]),
            np.concatenate([part.weights for part in parts]),
        )

    def loss(self, head: Head) -> float:
        """Weighted sum of what the scores of a head cost: minus the logarithm of what it gives to the truth."""
        scores = np.clip(head.scores(self.rows), 1e-12, 1 - 1e-12)
        if head.multi_label:
            cost = -np.log(np.where(self.targets, scores, 1 - scores)).sum(1)
        else:
            cost = -np.log((scores * self.targets).sum(1).clip(min=1e-12))
        return float(self.weights @ cost)


class Regression:
    """Logistic regression (scikit-learn's) on some examples, fitted again and again with less regularisation.

    Parameters
    ----------
    examples : Examples
    multi_label : bool
        A regression for each class, or one for all.

    Attributes
    ----------
    mean, spread : ndarray of float64, shape (width,)
        The regressions see ``(rows - mean) / spread``.
    models : dict of int to LogisticRegression
        As last fitted, by class; one for all stands at 0.
    """

    def __init__(self, examples: Examples, multi_label: bool) -> None:
        rows = examples.rows.astype(np.float64)
        self.weights, self.targets, self.multi_label = examples.weights, examples.targets, multi_label
        self.mean = np.average(rows, axis=0, weights=self.weights)
        spread = np.sqrt(np.average((rows - self.mean) ** 2, axis=0, weights=self.weights))
        varies = spread > FLOAT32_DIGITS * np.abs(self.mean)  # what is left of a constant is rounding
        self.spread = np.where(varies, spread, 1)
        self.rows = ((rows - self.mean) / self.spread).astype(np.float32)  # half the time of float64
        self.models: dict[int, Any] = {}

    def fit(self, strength: float) -> Head:
        """Fit with scikit-learn's ``C``: the larger, the less regularised; begins where the last fit ended."""
        classes = self.targets.shape[1]
        weight, bias = np.zeros((classes, self.rows.shape[1])), np.zeros(classes)
        share = np.average(self.targets, axis=0, weights=self.weights)
        missing = np.minimum(share, 1 - share) <= 0  # nothing to tell apart
        bias[missing] = np.where(share[missing] > 0, -np.log(RAREST), np.log(RAREST))
        if self.multi_label:
            for k in np.flatnonzero(~missing):
                model = self._fitted(int(k), strength, self.targets[:, k])
                weight[k], bias[k] = model.coef_[0], model.intercept_[0]
        else:
            there = np.flatnonzero(~missing)
            if len(there) > 1:
                model = self._fitted(0, strength, self.targets.argmax(1))
                if len(model.classes_) == 2:  # one row of coefficients, for the second of them
                    weight[there[1]], bias[there[1]] = model.coef_[0], model.intercept_[0]
                    bias[there[0]] = 0.0
                else:
                    weight[there], bias[there] = model.coef_, model.intercept_
        weight = weight / self.spread
        return Head(weight, bias - weight @ self.mean, self.multi_label)

    def _fitted(self, key: int, strength: float, truth: NDArray[Any]) -> Any:
        from sklearn.exceptions import ConvergenceWarning
        from sklearn.linear_model import LogisticRegression

        model = self.models.setdefault(key, LogisticRegression(max_iter=MOST_ITERATIONS, warm_start=True))
        model.set_params(C=strength)
        with warnings.catch_warnings(), one_thread():
            # where classes can be told apart entirely, there is no end; what there is by then is good
            warnings.simplefilter("ignore", ConvergenceWarning)
            model.fit(self.rows, truth, sample_weight=self.weights)
        return model


@contextmanager
def one_thread() -> Iterator[None]:
    """Keep numpy's products on one core: they are small, and threads would wait for one another most of the time."""
    from threadpoolctl import threadpool_limits

    with threadpool_limits(1):
        yield


def require_sklearn(purpose: str = "a probe") -> str:
    """Return the version of scikit-learn.

    Parameters
    ----------
    purpose : str
        What needs it, for the message.

    Raises
    ------
    ArwkvError
        If it is not there; it says how to get it.
    """
    try:
        import sklearn
    except ImportError as error:
        raise ArwkvError(
            f"{purpose} needs scikit-learn, which is not installed here: pip install scikit-learn"
        ) from error
    return str(sklearn.__version__)

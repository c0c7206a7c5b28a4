"""How well a probe does on recordings that it was not fitted to, and how strongly it should be regularised."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from .heard import HeardStretch
from .regression import Doubles, Examples, Head, Regression

STRENGTHS = tuple(10.0**power for power in range(-4, 3))
"""Values of scikit-learn's ``C`` that are tried, the strongest regularisation first."""

PATIENCE = 2
"""So many values in a row that do worse end the search: the weaker the regularisation, the longer a fit takes."""


@dataclass(frozen=True)
class Material:
    """Stretches as examples.

    Attributes
    ----------
    heard : list of HeardStretch
    truth : ndarray of bool, shape (stretches, classes)
    multi_label : bool
    """

    heard: list[HeardStretch]
    truth: NDArray[np.bool_]
    multi_label: bool

    def examples(self, chosen: Sequence[int]) -> Examples:
        """Steps of stretches, each stretch counting as one.

        Silence is none of the classes. Where one of them must be taken, it has the class of its stretch, as all steps
        have: so the regression learns that silence tells little, and it does not outvote what sounds in a clip.
        """
        return Examples.joined([self._example(index) for index in chosen])

    def _example(self, index: int) -> Examples:
        heard = self.heard[index]
        targets = np.tile(self.truth[index], (len(heard.rows), 1))
        if self.multi_label:
            targets &= heard.audible[:, None]
        return Examples(heard.rows, targets, heard.weights)

    def scores(self, head: Head, chosen: Sequence[int]) -> Doubles:
        """What `arwkv tag` with this head would say of stretches: ``(stretches, classes)``."""
        return np.stack([self.heard[index].weights @ head.scores(self.heard[index].rows) for index in chosen])


@dataclass(frozen=True)
class CrossValidation:
    """What came of it.

    Attributes
    ----------
    strength : float
        scikit-learn's ``C`` that did best over all folds.
    scores : ndarray, shape (stretches, classes)
        Of each stretch, by a regression that was fitted to the other folds, and whose ``C`` was chosen on those.
    """

    strength: float
    scores: Doubles


def cross_validate(material: Material, folds: NDArray[np.int64], *, progress: bool = True) -> CrossValidation:
    """Fit with each fold left out.

    Parameters
    ----------
    material : Material
    folds : ndarray of int, shape (stretches,)
        At least two different ones.
    progress : bool
        Show a bar on stderr.
    """
    names = np.unique(folds)
    inside = [np.flatnonzero(folds == name) for name in names]
    regressions = [
        Regression(material.examples(np.flatnonzero(folds != name).tolist()), material.multi_label)
        for name in names
    ]
    held_out = [material.examples(each.tolist()) for each in inside]
    losses: list[list[float]] = []
    heads: list[list[Head]] = []
    bar = tqdm(total=len(STRENGTHS) * len(names), desc="regressions", unit="fit", disable=not progress)
    with bar:
        for strength in STRENGTHS:
            heads.append([])
            losses.append([])
            for regression, examples in zip(regressions, held_out, strict=True):
                head = regression.fit(strength)
                heads[-1].append(head)
                losses[-1].append(examples.loss(head))
                bar.update()
            sums = [sum(each) for each in losses]
            if len(sums) - 1 - int(np.argmin(sums)) >= PATIENCE:
                break
    table = np.asarray(losses)  # (strengths, folds)
    scores = np.zeros(material.truth.shape)
    for fold, chosen in enumerate(inside):
        others = table.sum(1) - table[:, fold]
        head = heads[int(np.argmin(others))][fold]
        scores[chosen] = material.scores(head, chosen.tolist())
    return CrossValidation(STRENGTHS[int(np.argmin(table.sum(1)))], scores)

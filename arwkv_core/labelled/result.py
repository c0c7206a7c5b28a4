"""How well sounds that were not learnt from are told apart."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arwkv_core.labels import LabelSet
from arwkv_core.metrics import average_precision, roc_auc


@dataclass(frozen=True)
class ClassResult:
    """One class: sounds that have it, and how well they are told from the others.

    ``recall`` is the share of them for which it scored highest; NaN where a sound may have several classes.
    """

    name: str
    mid: str
    clips: int
    ap: float
    auc: float
    recall: float


@dataclass(frozen=True)
class Result:
    """Measured on sounds that were not learnt from.

    Attributes
    ----------
    clips : int
        How many sounds.
    accuracy : float
        Share of them whose class scored highest; NaN where a sound may have several classes.
    map, auc : float
        Mean average precision and area under the ROC curve of the classes of which there are sounds and other sounds.
    chance_accuracy, chance_map : float
        What knowing nothing gives: naming the most frequent class always, and any order. (The AUC is 0.5 then.)
    classes : tuple of ClassResult
    """

    clips: int
    accuracy: float
    map: float
    auc: float
    chance_accuracy: float
    chance_map: float
    classes: tuple[ClassResult, ...]

    @classmethod
    def of(
        cls, scores: NDArray[np.floating], truth: NDArray[np.bool_], labels: LabelSet, *, multi_label: bool
    ) -> Result:
        """Measure scores ``(clips, classes)`` against the truth of the same shape."""
        best = scores.argmax(1)
        classes = []
        for k, (mid, name) in enumerate(labels):
            positives = truth[:, k]
            recall = float("nan")
            if positives.any() and not multi_label:
                recall = float((best[positives] == k).mean())
            ap = average_precision(positives, scores[:, k]) if not positives.all() else float("nan")
            auc = roc_auc(positives, scores[:, k])
            classes.append(ClassResult(name, mid, int(positives.sum()), ap, auc, recall))
        return cls(
            clips=len(scores),
            accuracy=float("nan") if multi_label else float(truth[np.arange(len(best)), best].mean()),
            map=_mean(each.ap for each in classes),
            auc=_mean(each.auc for each in classes),
            chance_accuracy=float("nan") if multi_label else float(truth.mean(0).max()),
            chance_map=_mean(each.clips / len(truth) for each in classes if each.ap == each.ap),
            classes=tuple(classes),
        )

    def summary(self) -> dict[str, float | int]:
        """The numbers that there are, without the classes."""
        numbers = {
            "clips": self.clips,
            "accuracy": self.accuracy,
            "map": self.map,
            "auc": self.auc,
            "chance_accuracy": self.chance_accuracy,
            "chance_map": self.chance_map,
        }
        return {key: round(value, 4) for key, value in numbers.items() if value == value}


def _mean(values: Iterable[float]) -> float:
    numbers = [value for value in values if value == value]
    return float(np.mean(numbers)) if numbers else float("nan")


def plain(value: Any) -> Any:
    """Plain values for JSON; numbers that don't exist are None."""
    if isinstance(value, float):
        return value if np.isfinite(value) else None
    if isinstance(value, dict):
        return {key: plain(inner) for key, inner in value.items()}
    if isinstance(value, list | tuple):
        return [plain(inner) for inner in value]
    return value

"""How well a tagger agrees with what sources state, and with its teacher."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .errors import UsageError
from .evaluation.confusion import Confusion, confusion_of
from .evaluation.plain_numbers import plain
from .event_defaults import ClassDefaults, EventDefaults
from .event_settings import EventSettings
from .metrics import average_precision, d_prime, f1_score, roc_auc
from .score_curves import score_of
from .training.corpus import Corpus

if TYPE_CHECKING:
    from .tagger import Tagger

LEAST_POSITIVES = 5
"""A class counts towards a mean from so many positive clips on."""

TEACHER_DECISION = 0.5
"""The teacher's mean score from which on it is taken to say that a class sounds."""

ESC10 = "ESC-10"
"""Name in the manifest's ``source`` column of the clips for the zero-shot test."""


@dataclass(frozen=True)
class ClassMetrics:
    """One class: positives and what the tagger makes of them; F1 is that of clips whose score reaches the threshold."""

    name: str
    mid: str
    positives: int
    ap: float
    auc: float
    d_prime: float
    f1: float
    threshold: float


@dataclass(frozen=True)
class Evaluation:
    """Metrics of one model on one split.

    Attributes
    ----------
    known_map, known_auc, known_d_prime : float
        Means over the classes with at least five positives by the known labels; a clip about which a source
        says nothing of a class counts as a negative, so that 1 is out of reach.
    teacher_map : float
        The same against the teacher's decisions (mean score over 0.5).
    teacher_correlation : float
        Pearson's correlation of all scores with the teacher's.
    esc10_accuracy : float
        Share of the ESC-10 clips whose class scores highest of the ten; NaN without such clips.
    confusion : Confusion or None
        What clips of one label each are taken for; None where the split is no such set, see `Confusion`.
    """

    model: str
    split: str
    clips: int
    known_classes: int
    known_map: float
    known_auc: float
    known_d_prime: float
    teacher_classes: int
    teacher_map: float
    teacher_correlation: float
    esc10_clips: int
    esc10_accuracy: float
    classes: tuple[ClassMetrics, ...]
    confusion: Confusion | None = None

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        return {key: plain(value) for key, value in asdict(self).items()}


MEASURES = tuple(name for name, kind in Evaluation.__annotations__.items() if kind == "float")
"""Measures that may be required."""


def evaluate_scores(
    scores: NDArray[np.floating],
    corpus: Corpus,
    indices: list[int],
    model: str,
    split: str,
    thresholds: NDArray[np.floating] | None = None,
) -> Evaluation:
    """Compute all metrics from clip scores.

    Parameters
    ----------
    scores : ndarray, shape (clips, classes)
        In the order of ``indices``, and of the corpus' label list.
    corpus : Corpus
    indices : list of int
        Clips of the corpus.
    model, split : str
        Named in the result.
    thresholds : ndarray, shape (classes,), optional
        Score from which a clip is taken to hold the class; `TEACHER_DECISION` by default.
    """
    if scores.shape != (len(indices), len(corpus.labels)):
        raise ValueError(f"scores: expected {(len(indices), len(corpus.labels))}, found {scores.shape}")
    known = corpus.known_matrix(indices)
    teacher = np.stack([corpus.teacher_frames(i).mean(0) for i in indices])
    if thresholds is None:
        thresholds = np.full(len(corpus.labels), TEACHER_DECISION)
    classes = tuple(_class_metrics(corpus, known, scores, thresholds))
    aucs = [c.auc for c in classes]
    decisions = teacher > TEACHER_DECISION
    judged = np.flatnonzero(decisions.sum(0) >= LEAST_POSITIVES)
    correct = esc10_correct(scores, corpus, indices)
    varied = scores.std() > 0 and teacher.std() > 0
    return Evaluation(
        model=model,
        split=split,
        clips=len(indices),
        known_classes=len(classes),
        known_map=_mean(c.ap for c in classes),
        known_auc=_mean(aucs),
        known_d_prime=d_prime(_mean(aucs)),
        teacher_classes=len(judged),
        teacher_map=_mean(average_precision(decisions[:, k], scores[:, k]) for k in judged),
        teacher_correlation=float(np.corrcoef(scores.ravel(), teacher.ravel())[0, 1])
        if varied
        else float("nan"),
        esc10_clips=len(correct),
        esc10_accuracy=_mean(correct),
        classes=classes,
        confusion=confusion_of(scores, corpus, indices, ESC10),
    )


def teacher_scores(corpus: Corpus, indices: list[int]) -> NDArray[np.float32]:
    """Clip scores of the teacher, the mean over its frames: ``(clips, classes)``."""
    return np.stack([corpus.teacher_frames(i).mean(0) for i in indices])


def esc10_correct(scores: NDArray[np.floating], corpus: Corpus, indices: list[int]) -> NDArray[np.bool_]:
    """Whether each ESC-10 clip's own class scores highest of the ten.

    An ESC-10 class stands for one or two AudioSet classes (Dog, Bark); its score is the higher of them.
    """
    rows = [row for row, i in enumerate(indices) if corpus.clips[i].source == ESC10 and corpus.clips[i].known]
    groups = sorted(
        {corpus.clips[i].known for i in indices if corpus.clips[i].source == ESC10 and corpus.clips[i].known}
    )
    if not rows:
        return np.zeros(0, bool)
    by_group = np.stack([scores[np.ix_(rows, list(group))].max(1) for group in groups], 1)
    truth = [groups.index(corpus.clips[indices[row]].known) for row in rows]
    return by_group.argmax(1) == np.asarray(truth)


def evaluate(
    model: str | Path,
    manifest: str | Path,
    *,
    split: str = "test",
    labels: str | Path | None = None,
    teacher: str | Path | None = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> tuple[Evaluation, Evaluation | None]:
    """Tag every clip of a split and compare.

    Parameters
    ----------
    model : str or Path
        As for `arwkv_core.load`. Its classes are matched to the corpus' by mid; one that the model lacks
        scores 0.
    manifest : str or Path
        CSV with the columns path, split and known_labels.
    split : {"train", "valid", "test"}
    labels, teacher : str or Path, optional
        ``labels.csv`` and ``teacher_frames.npz`` beside the manifest by default.
    device, precision : str
        As for `arwkv_core.load`.
    progress : bool
        Show a bar on stderr.

    Returns
    -------
    ours, teachers : Evaluation
        The second is None where there is no teacher.

    Raises
    ------
    UsageError
        If the manifest is a folder.
    ArwkvError
        If manifest, labels or teacher can't be used, or a clip can't be decoded.
    """
    from tqdm.auto import tqdm

    from .tagger import load

    if Path(manifest).is_dir():
        raise UsageError(
            f"{manifest}: expected a manifest, found a folder; --hear takes tasks of HEAR, --events annotations"
        )
    folder = Path(manifest).parent
    if teacher is None and (folder / "teacher_frames.npz").exists():
        teacher = folder / "teacher_frames.npz"
    corpus = Corpus.read(manifest, labels or folder / "labels.csv", teacher)
    indices = corpus.split(split)
    tagger = load(model, device, precision)
    columns = {mid: column for column, mid in enumerate(tagger.labels.mids)}
    source = [columns.get(mid, -1) for mid in corpus.labels.mids]
    placed = np.asarray(source) >= 0
    scores = np.zeros((len(indices), len(source)), np.float32)
    for row, index in enumerate(tqdm(indices, desc="clips", unit="clip", disable=not progress)):
        mean = tagger.step_scores(corpus.clips[index].path, raw_scores=True).values.mean(0)
        scores[row] = np.where(placed, mean[source], 0)
    thresholds = np.where(placed, tagger_thresholds(tagger)[source], np.inf)
    ours = evaluate_scores(scores, corpus, indices, tagger.name, split, thresholds)
    if teacher is None:
        return ours, None
    return ours, evaluate_scores(teacher_scores(corpus, indices), corpus, indices, "teacher", split)


def tagger_thresholds(tagger: Tagger) -> NDArray[np.float64]:
    """Score from which each of a model's classes counts as sounding, by its folder's defaults ``(classes,)``."""
    settings = EventSettings()
    defaults = EventDefaults.of_folder(tagger.folder, tagger.config.active_threshold)
    numbers = (
        settings.numbers(name, defaults.classes.get(mid, ClassDefaults()), defaults)
        for mid, name in tagger.labels
    )
    on = np.array([each.on for each in numbers], np.float64)
    if (
        defaults.calibration is not None
    ):  # those are probabilities, and clips are measured by the network's own scores
        curves = defaults.calibration.of_classes(tagger.labels)
        on = np.array([score_of(curve, float(each)) for curve, each in zip(curves, on, strict=True)])
    return on


def _class_metrics(
    corpus: Corpus, truth: NDArray[np.bool_], scores: NDArray[np.floating], thresholds: NDArray[np.floating]
) -> Iterable[ClassMetrics]:
    for k in np.flatnonzero(truth.sum(0) >= LEAST_POSITIVES):
        auc = roc_auc(truth[:, k], scores[:, k])
        yield ClassMetrics(
            corpus.labels.names[k],
            corpus.labels.mids[k],
            int(truth[:, k].sum()),
            average_precision(truth[:, k], scores[:, k]),
            auc,
            d_prime(auc),
            f1_score(truth[:, k], scores[:, k] >= thresholds[k]),
            float(thresholds[k]),
        )


def _mean(values: Iterable[float]) -> float:
    numbers = list(values)
    return float(np.mean(numbers)) if numbers else float("nan")

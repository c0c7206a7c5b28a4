"""A task of HEAR as its folder states it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arwkv_core.evaluation.segments import Span

from .post_processing import PostProcessing

EmbeddingType = Literal["scene", "event"]
PredictionType = Literal["multiclass", "multilabel"]

SPLITS = ("train", "valid", "test")


@dataclass(frozen=True)
class TaskClip:
    """A sound and what is true of it.

    Attributes
    ----------
    file : Path
    labels : tuple of int
        Columns of its classes; for tasks about events those that sound at some time.
    events : tuple of Span
        Start and end in seconds, and the class's column; of tasks about events only. Those of one class may overlap.
    """

    file: Path
    labels: tuple[int, ...]
    events: tuple[Span, ...] = ()


@dataclass(frozen=True)
class Trial:
    """Which splits a predictor is fitted to, chosen by and tested on."""

    train: tuple[str, ...]
    valid: str
    test: str


@dataclass(frozen=True)
class HearTask:
    """A task.

    Attributes
    ----------
    folder : Path
    name, version : str
    embedding_type : {"scene", "event"}
        Whether a sound as a whole is labelled, or when in it something happens.
    prediction_type : {"multiclass", "multilabel"}
        Whether each sound has exactly one label.
    labels : tuple of str
        The classes, in the order of the vocabulary.
    measures : tuple of str
        What the task wants measured; the first decides between predictors.
    splits : mapping of str to list of TaskClip
        Train, valid and test, or folds.
    sample_rate : int
        Of the files that are read, in Hz.
    grid : tuple of PostProcessing
        Ways of making events of scores, of which the valid split chooses one.
    chosen_by_loss : bool
        Choose between predictors by their loss on the valid split, since the measure takes long.
    """

    folder: Path
    name: str
    version: str
    embedding_type: EmbeddingType
    prediction_type: PredictionType
    labels: tuple[str, ...]
    measures: tuple[str, ...]
    splits: Mapping[str, list[TaskClip]]
    sample_rate: int
    grid: tuple[PostProcessing, ...]
    chosen_by_loss: bool

    @property
    def multi_label(self) -> bool:
        """Whether each class is scored by itself."""
        return self.prediction_type == "multilabel"

    @property
    def timed(self) -> bool:
        """Whether the task is about when something happens."""
        return self.embedding_type == "event"

    @property
    def trials(self) -> list[Trial]:
        """One, or one a fold: each is tested once, the next one in order chooses, and the others are learnt from."""
        names = list(self.splits)
        if set(names) == set(SPLITS):
            return [Trial(("train",), "valid", "test")]
        folds = sorted(names)
        trials = []
        for place, test in enumerate(folds):
            valid = folds[(place + 1) % len(folds)]
            trials.append(Trial(tuple(name for name in folds if name not in (test, valid)), valid, test))
        return trials

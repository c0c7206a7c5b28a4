"""The measures of HEAR's tasks by their names there."""

from __future__ import annotations

import re
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TypeAlias

import numpy as np
from numpy.typing import NDArray

from arwkv_core.evaluation.f_scores import event_f1, segment_error_rate
from arwkv_core.evaluation.heard import Findings
from arwkv_core.metrics import average_precision, d_prime, roc_auc

from .task import HearTask

Truth: TypeAlias = NDArray[np.bool_]
Scores: TypeAlias = NDArray[np.floating]

SEMITONES = 12

_ONSET = re.compile(r"event_onset_(\d+)ms_fms")
_ONSET_OFFSET = re.compile(r"event_onset_offset_(\d+)ms_(\d+)perc_fms")
_ERROR_RATE = re.compile(r"segment_(\d+)s_er")


@dataclass(frozen=True)
class SceneMeasure:
    """A measure of whole sounds: of their true classes and scores, both ``(clips, classes)``."""

    name: str
    compute: Callable[[Truth, Scores], float]
    less_is_better: bool = False


@dataclass(frozen=True)
class EventMeasure:
    """A measure of events."""

    name: str
    compute: Callable[[Sequence[Findings]], float]
    less_is_better: bool = False


@dataclass(frozen=True)
class Measures:
    """What of a task's measures can be computed.

    Attributes
    ----------
    scene : list of SceneMeasure
        Of tasks about whole sounds.
    event : list of EventMeasure
        Of tasks about events.
    unsupported : dict of str to str
        The others, and why not.
    """

    scene: list[SceneMeasure]
    event: list[EventMeasure]
    unsupported: dict[str, str]

    @property
    def known(self) -> list[SceneMeasure | EventMeasure]:
        """Those that can be computed; the first decides."""
        return [*self.scene, *self.event]

    @property
    def names(self) -> list[str]:
        """Their names."""
        return [each.name for each in self.known]

    @property
    def less_is_better(self) -> set[str]:
        """Names of those that count errors."""
        return {each.name for each in self.known if each.less_is_better}

    @classmethod
    def of(cls, task: HearTask) -> Measures:
        """Find the measures that a task wants."""
        measures = cls([], [], {})
        for name in dict.fromkeys(task.measures):
            found = _event_measure(name, len(task.labels)) if task.timed else _scene_measure(name, task)
            if isinstance(found, str):
                measures.unsupported[name] = found
            elif isinstance(found, SceneMeasure):
                measures.scene.append(found)
            else:
                measures.event.append(found)
        return measures


def _scene_measure(name: str, task: HearTask) -> SceneMeasure | str:
    averages = {"mAP": average_precision, "aucroc": roc_auc, "d_prime": _class_d_prime}
    if name in averages:
        return SceneMeasure(name, lambda truth, scores: _macro(averages[name], truth, scores))
    if name in ("top1_acc", "pitch_acc", "chroma_acc"):
        if task.multi_label:
            return "it needs exactly one label a sound, which multilabel tasks don't promise"
        if name != "chroma_acc":
            return SceneMeasure(name, _accuracy)
        if not all(re.fullmatch(r"\d+", label) for label in task.labels):
            return "it needs labels that are numbers of notes, as in MIDI"
        tones = np.array([int(label) % SEMITONES for label in task.labels])
        return SceneMeasure(
            name, lambda truth, scores: float((tones[truth.argmax(1)] == tones[scores.argmax(1)]).mean())
        )
    return "arwkv does not know this measure of whole sounds"


def _event_measure(name: str, classes: int) -> EventMeasure | str:
    if match := _ONSET.fullmatch(name):
        collar = int(match[1]) / 1000
        return EventMeasure(name, lambda found: event_f1(found, classes, collar, None).micro)
    if match := _ONSET_OFFSET.fullmatch(name):
        collar, share = int(match[1]) / 1000, int(match[2]) / 100
        return EventMeasure(name, lambda found: event_f1(found, classes, collar, share).micro)
    if (match := _ERROR_RATE.fullmatch(name)) and int(match[1]) > 0:
        length = float(match[1])
        return EventMeasure(
            name, lambda found: segment_error_rate(found, classes, length), less_is_better=True
        )
    return "arwkv does not know this measure of events"


def _accuracy(truth: Truth, scores: Scores) -> float:
    return float((truth.argmax(1) == scores.argmax(1)).mean())


def _class_d_prime(truth: Truth, scores: Scores) -> float:
    return d_prime(roc_auc(truth, scores))


def _macro(measure: Callable[[Truth, Scores], float], truth: Truth, scores: Scores) -> float:
    """The mean over the classes of which there are sounds and other sounds."""
    known = [k for k in range(truth.shape[1]) if 0 < truth[:, k].sum() < len(truth)]
    if not known:
        return float("nan")
    with np.errstate(invalid="ignore"):  # a d' of +inf and one of -inf have no mean
        return float(np.mean([measure(truth[:, k], scores[:, k]) for k in known]))

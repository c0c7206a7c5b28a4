"""Choosing the probabilities at which events start, and those below which they end.

First one for all classes: of several in a row, the one whose events have the highest F1, counted in steps of all
classes together. Events are found as ``arwkv timeline`` finds them. Then pairs for single classes. A class gets numbers
of its own only if that helps: it must sound in enough clips and be found at all, and the pair that is best on one half
of the recordings must raise the F1 on the other half.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.event_defaults import OFF_SHARE, ClassDefaults, EventDefaults
from arwkv_core.event_settings import EventSettings, Thresholds
from arwkv_core.events import EventDetector

from .evidence import Evidence, HeardClip

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]
Doubles = NDArray[np.float64]

ON = tuple(round(0.2 + 0.05 * step, 2) for step in range(13))
"""Probabilities at which events start that are tried: 0.2 to 0.8."""

OFF_SHARES = (0.4, 0.6, 0.8)
"""Shares of that below which they end."""

LEAST_CLIPS = 8
"""Clips in which a class must sound, in each half at least half of them."""

PAUSE_STEPS = 8
"""Between clips: longer than any gap that is merged."""

LEAST_F1 = 0.4
"""With a lower one, most of what a lower score adds is wrong: better to miss the class than to make it up."""

LEAST_GAIN = 0.02
"""By which the F1 must rise on the halves that had no part in the choice, in the mean."""


@dataclass(frozen=True)
class ClassThreshold:
    """What was chosen for a class.

    Attributes
    ----------
    column : int
        Of the model's classes.
    clips : int
        In which it sounds.
    on, off : float
    f1_before, f1_after : float
        On all recordings, with the default and with the numbers chosen.
    gain : float
        Of the F1 on the halves that had no part in the choice, in the mean.
    """

    column: int
    clips: int
    on: float
    off: float
    f1_before: float
    f1_after: float
    gain: float


@dataclass(frozen=True)
class Choice:
    """What was chosen.

    Attributes
    ----------
    on : float
        Where events of all classes start that have no threshold of their own.
    f1 : float
        Of all classes together, with that.
    classes : tuple of ClassThreshold
    """

    on: float
    f1: float
    classes: tuple[ClassThreshold, ...]


def choose_thresholds(clips: Sequence[HeardClip], evidence: Evidence, levels: Floats) -> Choice:
    """Choose a threshold for all classes, and those of the classes that others help.

    Parameters
    ----------
    clips : sequence of HeardClip
    evidence : Evidence
        Of the clips.
    levels : ndarray, shape (L, C)
        Probability of each level.
    """
    (heard_of,) = np.nonzero(evidence.clips.sum(0))
    pairs = [(on, round(on * OFF_SHARE, 3)) for on in ON]
    together = f1(_count(clips, levels, heard_of, pairs).sum((0, 2)))  # (pairs,)
    first = int(together.argmax())

    clips_of = evidence.clips
    (enough,) = np.nonzero((clips_of.min(0) >= LEAST_CLIPS / 2) & (clips_of.sum(0) >= LEAST_CLIPS))
    chosen: list[ClassThreshold] = []
    pairs = [pairs[first], *((on, round(on * share, 3)) for on, share in product(ON, OFF_SHARES))]
    counts = _count(clips, levels, enough, pairs)
    by_half, whole = f1(counts), f1(counts.sum(0))  # (2, pairs, classes), (pairs, classes)
    columns = np.arange(len(enough))
    best = [by_half[half, 1:].argmax(0) + 1 for half in (0, 1)]
    gains = np.stack([by_half[1 - half, best[half], columns] - by_half[1 - half, 0] for half in (0, 1)])
    for place, column in enumerate(enough.tolist()):
        pair = int(whole[1:, place].argmax()) + 1
        gain = gains[:, place]
        if gain.min() >= 0 and gain.mean() >= LEAST_GAIN and whole[pair, place] >= LEAST_F1:
            numbers = (float(whole[0, place]), float(whole[pair, place]), float(gain.mean()))
            chosen.append(ClassThreshold(column, int(clips_of[:, column].sum()), *pairs[pair], *numbers))
    return Choice(ON[first], float(together[first]), tuple(chosen))


def _count(
    clips: Sequence[HeardClip],
    levels: Floats,
    columns: NDArray[np.int64],
    pairs: Sequence[tuple[float, float]],
) -> Doubles:
    """Steps that are right, too many, missing, by half, pair of thresholds and class: ``(2, pairs, columns, 3)``."""
    counts = np.zeros((2, len(pairs), len(columns), 3))
    for half in (0, 1):
        heard, there = _joined([clip for clip in clips if clip.half == half], levels, columns)
        for place, (on, off) in enumerate(pairs):
            active = active_steps(heard, _thresholds(on, off, len(columns)))
            for kind, steps in enumerate((active & there, active & ~there, there & ~active)):
                counts[half, place, :, kind] = steps.sum(0)
    return counts


def _joined(clips: Sequence[HeardClip], levels: Floats, columns: NDArray[np.int64]) -> tuple[Floats, Flags]:
    """Probabilities and truth of clips, one after the other, with pauses in which events end: ``(T, columns)``."""
    pause = np.zeros((PAUSE_STEPS, len(columns)), np.float32)
    heard, there = [pause], [pause > 0]
    for clip in clips:
        heard += [levels[:, columns][clip.codes[:, columns], np.arange(len(columns))], pause]
        there += [clip.sounding[:, columns], pause > 0]
    return np.concatenate(heard), np.concatenate(there)


def _thresholds(on: float, off: float, classes: int) -> Thresholds:
    numbers = EventSettings(on=on, off=off).numbers("", ClassDefaults(), EventDefaults())
    return Thresholds.of([numbers] * classes)


def active_steps(scores: Floats, thresholds: Thresholds) -> Flags:
    """Steps in which there are events: ``(T, classes)``."""
    detector = EventDetector(thresholds)
    detector.add(scores)
    found = detector.finish(len(scores) * STEP_SECONDS)
    active = np.zeros(scores.shape, np.bool_)
    for column, first, last in zip(found.column, found.first, found.last, strict=True):
        active[first:last, column] = True
    return active


def f1(counts: Doubles) -> Doubles:
    """From ``(..., 3)`` steps that are right, too many, missing; 0 where there is nothing to find."""
    right, extra, missing = np.moveaxis(counts, -1, 0)
    found: Doubles = 2 * right / np.maximum(2 * right + extra + missing, 1)
    return found

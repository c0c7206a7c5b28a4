"""A recording as metrics of detection see it."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from arwkv_core.scores import StepScores

from .segments import Span

if TYPE_CHECKING:
    from arwkv_core.context import Context
    from arwkv_core.tagger import Tagger


@dataclass(frozen=True)
class Heard:
    """A recording: what is true, and what a model found there.

    Attributes
    ----------
    name : str
        Different for every recording.
    seconds : float
    truth, found : list of Span
        Start, end and column; those of one class don't overlap.
    scores : ndarray of float32, shape (steps, classes)
    edges : ndarray, shape (steps + 1,)
        Seconds between which the steps lie.
    """

    name: str
    seconds: float
    truth: list[Span]
    found: list[Span]
    scores: NDArray[np.float32]
    edges: NDArray[np.float64]


def network_scores(
    tagger: Tagger, file: str | Path, *, hop: float | None = None, context: Context = None
) -> StepScores:
    """Score a recording as the network does, whatever the model's folder makes of its scores.

    Raises
    ------
    AudioError
        If the recording can't be decoded.
    UsageError
        If the model takes no such context.
    """
    stream = tagger.stream(file, hop=hop, context=context)
    values = np.concatenate(list(stream))
    return StepScores(values, stream.coverage, stream.warnings)

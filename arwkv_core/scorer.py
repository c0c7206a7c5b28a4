"""What the library knows of a model, and of anything else that gives the scores of a recording."""

from collections.abc import Callable, Iterable, Iterator
from typing import Any, Protocol

import numpy as np
from numpy.typing import NDArray

from .labels import LabelSet
from .results import Coverage

Floats = NDArray[np.float32]


class Scorer(Protocol):
    """What the rest of the library knows of a model."""

    @property
    def name(self) -> str:
        """Name that stands in results."""

    @property
    def labels(self) -> LabelSet:
        """Classes, in the order of the scores."""

    @property
    def sample_rate(self) -> int:
        """Samples a second (Hz) of the sound from which it takes log-mels."""

    @property
    def window_frames(self) -> int:
        """Frames that it hears at once, a multiple of 16."""

    @property
    def any_length(self) -> bool:
        """Whether it takes windows of any length, shorter and longer than its own."""

    @property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What, besides the windows, its scores depend on: tables ``model`` and ``front_end``, as JSON has them."""

    def scores(self, features: Floats) -> Floats:
        """``(B, frames, 128)`` log-mels, not normalised -> ``(B, ceil(frames / 16), classes)``, 0 to 1."""

    def embed(self, features: Floats) -> Floats:
        """``(B, frames, 128)`` log-mels, not normalised -> ``(B, ceil(frames / 16), width)``."""

    def stream_scores(
        self, blocks: Iterable[Floats], report: Callable[[float], None] | None = None
    ) -> Iterator[Floats]:
        """`scores` of one window of any length, log-mels ``(frames, 128)`` and scores ``(steps, classes)`` in blocks.

        All log-mels are taken before the first scores are given; then ``report`` hears of the share of the work
        that is done, 0 to 1.
        """

    def stream_embeddings(
        self, blocks: Iterable[Floats], report: Callable[[float], None] | None = None
    ) -> Iterator[Floats]:
        """`embed` in the same way: ``(steps, width)`` in blocks."""


class ScoreSource(Protocol):
    """The step scores of one recording, wherever they come from: the model at work, or a store.

    Iterate once, to the end; then `coverage` and `warnings` are valid.
    """

    @property
    def file(self) -> str:
        """The recording, as the user named it."""

    @property
    def model_name(self) -> str:
        """Name of the model that gave the scores."""

    @property
    def labels(self) -> LabelSet:
        """Classes, in the order of the scores."""

    @property
    def coverage(self) -> Coverage:
        """How much of the recording was heard."""

    @property
    def warnings(self) -> list[str]:
        """What the decoder or the front end found odd."""

    def __iter__(self) -> Iterator[Floats]:
        """Yield ``(steps, classes)`` float32, each step of the recording once, in order."""

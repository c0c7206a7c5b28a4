"""The work of ``arwkv tag`` on one recording of many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .batch import Progress
from .context import Context
from .kept_scores import KeptScores
from .results import TagResult
from .selection import Selection


@dataclass(frozen=True)
class TagTask:
    """Tags recordings, with a model or from the scores that were kept of them.

    Parameters
    ----------
    model, device, precision : str
        See `tagger.load`; not used where scores are only read.
    selection : Selection
    channel, hop, context, active_threshold
        See `Tagger.tag`.
    kept : KeptScores, optional
        Where scores are kept.
    """

    model: str
    device: str
    selection: Selection
    channel: int | None = None
    hop: float | None = None
    context: Context = None
    precision: str = "auto"
    active_threshold: float | None = None
    kept: KeptScores | None = None

    def open(self) -> Callable[[str, Progress], TagResult]:
        """Load the model, and check the options against it."""
        if self.kept is not None and self.kept.read_only:
            return self._from_kept
        from .score_store import scored
        from .selection import check_fraction
        from .tagger import load
        from .tagging import tag_of

        tagger = load(self.model, self.device, self.precision)
        threshold = self._threshold(tagger.config.active_threshold)
        check_fraction("active_threshold", threshold)
        self.selection.classes(tagger.labels)
        hearing: dict[str, Any] = {"channel": self.channel, "hop": self.hop, "context": self.context}
        scored(tagger, "-", **hearing)  # begins nothing, but knows which windows there can be

        def work(file: str, progress: Progress) -> TagResult:
            path = None if self.kept is None else self.kept.path(file)
            scores = scored(tagger, file, kept=path, progress=progress, **hearing)
            return tag_of(scores, self.selection, threshold)

        return work

    def _from_kept(self, file: str, progress: Progress) -> TagResult:
        from .tagging import tag_of

        assert self.kept is not None
        scores = self.kept.stored(file)
        return tag_of(scores, self.selection, self._threshold(scores.active_threshold))

    def _threshold(self, models_own: float) -> float:
        return models_own if self.active_threshold is None else self.active_threshold

"""The work of ``arwkv tag`` on one recording of many."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from .batch import Progress
from .context import Context
from .event_defaults import DefaultsOfScores
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
    channel, hop, context, active_threshold, raw_scores
        See `Tagger.tag`.
    kept : KeptScores, optional
        Where scores are kept.
    defaults_of : str, optional
        Take the calibration from the folder of this model, instead of that of the kept scores.
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
    raw_scores: bool = False
    defaults_of: str | None = None

    def open(self) -> Callable[[str, Progress], TagResult]:
        """Load the model, and check the options against it."""
        if self.kept is not None and self.kept.read_only:
            return self._read_kept()
        from .score_store import scored
        from .selection import check_fraction
        from .tagger import load
        from .tagging import tag_of

        tagger = load(self.model, self.device, self.precision)
        if self.active_threshold is not None:
            check_fraction("active_threshold", self.active_threshold)
        self.selection.classes(tagger.labels)
        hearing: dict[str, Any] = {"channel": self.channel, "hop": self.hop, "context": self.context}
        scored(tagger, "-", **hearing)  # begins nothing, but knows which windows there can be
        defaults = tagger.defaults

        def work(file: str, progress: Progress) -> TagResult:
            path = None if self.kept is None else self.kept.path(file)
            scores = scored(tagger, file, kept=path, progress=progress, **hearing)
            return tag_of(
                scores, self.selection, self.active_threshold, raw_scores=self.raw_scores, defaults=defaults
            )

        return work

    def _read_kept(self) -> Callable[[str, Progress], TagResult]:
        defaults_of = DefaultsOfScores(self.defaults_of, raw_scores=self.raw_scores)

        def work(file: str, progress: Progress) -> TagResult:
            from .tagging import tag_of

            assert self.kept is not None
            scores = self.kept.stored(file)
            return tag_of(
                scores,
                self.selection,
                self.active_threshold,
                raw_scores=self.raw_scores,
                defaults=defaults_of(scores),
            )

        return work

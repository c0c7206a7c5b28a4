"""A loaded model that tells what is in recordings."""

import logging
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .checkpoint import load_model
from .constants import DEFAULT_MODEL
from .context import Context
from .device import AUTO, choose_device
from .embeddings import Embeddings, EmbeddingStream
from .event_defaults import EventDefaults
from .model_scorer import ModelScorer
from .recording import Progress, ScoreStream, Source
from .results import Coverage, Tag, TagResult, Timeline
from .score_curves import ScoreCurves
from .scores import StepScores
from .selection import Selection
from .tagging import tag_of

__all__ = ["Coverage", "Tag", "TagResult", "Tagger", "load", "tag"]

logger = logging.getLogger("arwkv.tagger")

Floats = NDArray[np.float32]


def load(name_or_path: str | Path = DEFAULT_MODEL, device: str = AUTO, precision: str = AUTO) -> "Tagger":
    """Load a model.

    Parameters
    ----------
    name_or_path : str or Path
        A name that ``arwkv models list`` shows, a model folder, or a published weight file.
    device : str
        ``auto``, ``cpu``, ``cuda`` …; auto takes CUDA where there is a fast kernel for it, else the CPU.
    precision : {"auto", "fp32", "bf16", "int8"}
        Of the matrix products; auto takes bf16 where the CPU has instructions for it, else fp32.

    Returns
    -------
    Tagger

    Raises
    ------
    ModelNotFound, CheckpointError, ConfigError, LabelError
        If there is no such model, or its files are damaged.
    UsageError
        If the device or the precision can't be used here.
    """
    chosen = choose_device(device)
    model, config, labels = load_model(name_or_path, device=str(chosen))
    from arwkv_models import locate  # here, since the zoo imports this package

    place = locate(name_or_path)
    return Tagger(model, config, labels, place if place.is_dir() else None, precision)


def tag(
    path: Source,
    *,
    top_k: int = 5,
    threshold: float | None = None,
    model: "str | Path | Tagger" = DEFAULT_MODEL,
    device: str = AUTO,
    precision: str = AUTO,
    channel: int | None = None,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    pool: str = "mean",
    hop: float | None = None,
    context: Context = None,
    active_threshold: float | None = None,
    raw_scores: bool = False,
) -> TagResult:
    """Tell what is in a recording.

    The options are those of ``arwkv tag``. To tag many recordings, load the model once:
    ``tagger = load()``, then ``tagger.tag(path)``.

    Parameters
    ----------
    path : str, Path or BinaryIO
        A sound file of any length, ``"-"`` for stdin, or an open binary file.
    top_k, threshold, channel, include, exclude, pool, hop, context, active_threshold, raw_scores
        See `Tagger.tag`.
    model : str, Path or Tagger
        See `load`; a loaded tagger is used as it is.
    device, precision : str
        See `load`; not used with a loaded tagger.

    Returns
    -------
    TagResult

    Examples
    --------
    >>> result = tag("recording.wav", top_k=3)
    >>> result.names
    ['Speech', 'Music', 'Laughter']
    """
    tagger = model if isinstance(model, Tagger) else load(model, device, precision)
    return tagger.tag(
        path,
        top_k=top_k,
        threshold=threshold,
        channel=channel,
        include=include,
        exclude=exclude,
        pool=pool,
        hop=hop,
        context=context,
        active_threshold=active_threshold,
        raw_scores=raw_scores,
    )


class Tagger(ModelScorer):
    """A loaded model that hears recordings.

    What it says of a recording is calibrated where the model's folder has a calibration; `scores`, `stream_scores`
    and `stream` give what the network says.

    Parameters
    ----------
    model : ARWKV
        On its device; put into evaluation mode and float32.
    config : ModelConfig
    labels : LabelSet
        One class per row of the model's head.
    folder : Path, optional
        The model's folder, where it may say how its events are found, and what its scores mean.
    """

    @property
    def defaults(self) -> EventDefaults:
        """What the model's folder says of thresholds and calibration; read again where it has changed.

        Raises
        ------
        ConfigError
            If ``events.csv`` or ``calibration.csv`` is damaged.
        """
        return EventDefaults.of_folder(self.folder, self.config.active_threshold)

    def stream(
        self,
        path: Source,
        *,
        channel: int | None = None,
        hop: float | None = None,
        context: Context = None,
        progress: Progress | None = None,
    ) -> ScoreStream:
        """Score a recording of any length block by block, without calibration; see `ScoreStream`."""
        return ScoreStream(self, path, channel=channel, hop=hop, context=context, progress=progress)

    def timeline(self, path: Source, **options: Any) -> Timeline:
        """Tell what happens when in a recording; the options are those of `timelines.timeline`."""
        from .timelines import timeline

        return timeline(path, model=self, **options)

    def embeddings(self, path: Source, **options: Any) -> Embeddings:
        """Embed a recording; the options are those of `EmbeddingStream`, above all ``level``."""
        return EmbeddingStream(self, path, **options).collect()

    def step_scores(
        self,
        path: Source,
        *,
        channel: int | None = None,
        hop: float | None = None,
        context: Context = None,
        raw_scores: bool = False,
    ) -> StepScores:
        """Score a recording and keep all steps: about 47 MB an hour with 521 classes.

        Parameters
        ----------
        path, channel, hop, context, raw_scores
            See `tag`.

        Returns
        -------
        StepScores
        """
        calibration = None if raw_scores else self.defaults.calibration
        stream = self.stream(path, channel=channel, hop=hop, context=context)
        blocks: Iterable[Floats] = stream
        if calibration is not None:
            blocks = map(ScoreCurves.of(calibration, self.labels).of_scores, stream)
        values = np.concatenate(list(blocks))
        return StepScores(values, stream.coverage, stream.warnings)

    def tag(
        self,
        path: Source,
        *,
        top_k: int = 5,
        threshold: float | None = None,
        channel: int | None = None,
        include: str | Sequence[str] | None = None,
        exclude: str | Sequence[str] | None = None,
        pool: str = "mean",
        hop: float | None = None,
        context: Context = None,
        active_threshold: float | None = None,
        raw_scores: bool = False,
        progress: Progress | None = None,
    ) -> TagResult:
        """Tell what is in a recording, in memory that does not grow with its length (but see ``context``).

        Parameters
        ----------
        path : str, Path or BinaryIO
            A sound file of any length, ``"-"`` for stdin, or an open binary file.
        top_k : int
            At most so many tags.
        threshold : float, optional
            Leave out tags that rank below: a score, or seconds with ``pool="active"``.
        channel : int, optional
            The channel to hear; the mean of all by default.
        include, exclude : str or sequence of str, optional
            Report only, or never, these classes: display names in any case, or mids.
        pool : {"mean", "max", "active"}
            What ranks the tags.
        hop : float, optional
            Seconds between the starts of windows, rounded to 0.16 s; half a window by default, or what the
            model's config says of its own window.
        context : float or str, optional
            Seconds of a window, or ``"full"``: the whole recording at once, in memory that grows with it. By
            default the model's own window.
        active_threshold : float, optional
            Score from which a step counts as active; the model's own by default.
        raw_scores : bool
            Take scores as the network gives them, though the model's folder has a calibration.
        progress : callable, optional
            Called with the seconds scored so far and the header's duration (or None).

        Returns
        -------
        TagResult

        Raises
        ------
        AudioError
            If the recording can't be decoded or is shorter than 25 ms.
        UsageError
            If an option is out of range or names a class that the model does not have.
        """
        selection = Selection(top_k, threshold, pool, include, exclude)
        stream = self.stream(path, channel=channel, hop=hop, context=context, progress=progress)
        return tag_of(stream, selection, active_threshold, raw_scores=raw_scores, defaults=self.defaults)

"""A loaded model that tags recordings: log-mels in, scores per 160 ms step out."""

import logging
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .checkpoint import load_model
from .constants import DEFAULT_MODEL, FRAMES_PER_STEP, N_MELS, SAMPLE_RATE
from .device import AUTO, choose_device
from .embeddings import Embeddings, EmbeddingStream
from .errors import FeatureError
from .labels import LabelSet
from .model import ARWKV
from .model_config import FRONT_END, ModelConfig
from .recording import Progress, ScoreStream, Source
from .results import Coverage, Tag, TagResult, Timeline
from .scores import StepScores
from .selection import Selection
from .tagging import tag_of
from .windows import count_steps

__all__ = ["Coverage", "Tag", "TagResult", "Tagger", "load", "tag"]

logger = logging.getLogger("arwkv.tagger")

Floats = NDArray[np.float32]

_SCORE_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
}


def load(name_or_path: str | Path = DEFAULT_MODEL, device: str = AUTO) -> "Tagger":
    """Load a model.

    Parameters
    ----------
    name_or_path : str or Path
        A name that ``arwkv models list`` shows, a model folder, or a published weight file.
    device : str
        ``auto``, ``cpu``, ``cuda`` …; auto takes CUDA where there is a fast kernel for it, else the CPU.

    Returns
    -------
    Tagger

    Raises
    ------
    ModelNotFound, CheckpointError, ConfigError, LabelError
        If there is no such model, or its files are damaged.
    UsageError
        If the device can't be used here.
    """
    chosen = choose_device(device)
    model, config, labels = load_model(name_or_path, device=str(chosen))
    from arwkv_models import locate  # here, since the zoo imports this package

    place = locate(name_or_path)
    return Tagger(model, config, labels, folder=place if place.is_dir() else None)


def tag(
    path: Source,
    *,
    top_k: int = 5,
    threshold: float | None = None,
    model: "str | Path | Tagger" = DEFAULT_MODEL,
    device: str = AUTO,
    channel: int | None = None,
    include: str | Sequence[str] | None = None,
    exclude: str | Sequence[str] | None = None,
    pool: str = "mean",
    hop: float | None = None,
    active_threshold: float | None = None,
) -> TagResult:
    """Tell what is in a recording.

    The options are those of ``arwkv tag``. To tag many recordings, load the model once:
    ``tagger = load()``, then ``tagger.tag(path)``.

    Parameters
    ----------
    path : str, Path or BinaryIO
        A sound file of any length, ``"-"`` for stdin, or an open binary file.
    top_k, threshold, channel, include, exclude, pool, hop, active_threshold
        See `Tagger.tag`.
    model : str, Path or Tagger
        See `load`; a loaded tagger is used as it is.
    device : str
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
    tagger = model if isinstance(model, Tagger) else load(model, device)
    return tagger.tag(
        path,
        top_k=top_k,
        threshold=threshold,
        channel=channel,
        include=include,
        exclude=exclude,
        pool=pool,
        hop=hop,
        active_threshold=active_threshold,
    )


class Tagger:
    """A model with its front end and labels (it is a `recording.Scorer`).

    Parameters
    ----------
    model : ARWKV
        On its device; put into evaluation mode and float32.
    config : ModelConfig
    labels : LabelSet
        One class per row of the model's head.
    folder : Path, optional
        The model's folder, where it may say how its events are found.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self, model: ARWKV, config: ModelConfig, labels: LabelSet, folder: Path | None = None
    ) -> None:
        self.model = model.eval().float()
        self.config = config
        self.labels = labels
        self.folder = folder
        self._score_function = _SCORE_FUNCTIONS[config.score_function]

    @property
    def name(self) -> str:
        """The model's name."""
        return self.config.name

    @property
    def window_frames(self) -> int:
        """Frames (10 ms) that the model hears at once."""
        return self.config.window_frames

    @property
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What, besides the windows, its scores depend on: tables ``model`` and ``front_end``, as JSON has them."""
        config = self.config
        return {
            "model": {
                "name": config.name,
                "weights_sha256": config.weights_sha256,
                "score_function": config.score_function,
                "active_threshold": config.active_threshold,
            },
            "front_end": {
                "kind": FRONT_END,
                "sample_rate": self.sample_rate,
                "mean": config.mean,
                "std": config.std,
            },
        }

    @property
    def device(self) -> torch.device:
        """Where the model lies."""
        return self.model.pos_embed.device

    def scores(self, features: Floats | Tensor) -> Floats:
        """Score each step of one or several stretches of log-mels.

        Parameters
        ----------
        features : ndarray or Tensor
            ``(frames, 128)`` or ``(B, frames, 128)``, as `log_mel` gives them: not normalised. A model with
            absolute positions takes at most `window_frames`, any other any length.

        Returns
        -------
        ndarray
            ``(B, ceil(frames / 16), classes)`` float32, 0 to 1.

        Raises
        ------
        FeatureError
            If the shape is another.
        """
        return self._run(features, lambda fbank: self._score_function(self.model.step_logits(fbank)))

    def embed(self, features: Floats | Tensor) -> Floats:
        """Embed each step: like `scores`, but gives what the head sees, ``(B, ceil(frames / 16), width)``."""
        return self._run(features, self.model.step_embeddings)

    def _run(self, features: Floats | Tensor, network: Callable[[Tensor], Tensor]) -> Floats:
        with torch.inference_mode():
            fbank = self._prepare(features)
            steps = count_steps(features.shape[-2])
            return network(fbank)[:, :steps].float().cpu().numpy()  # surplus steps heard padding only

    def _prepare(self, features: Floats | Tensor) -> Tensor:
        """Pad to a length that the model takes and normalise: -> ``(B, 1, frames, 128)``."""
        batch = torch.as_tensor(features, dtype=torch.float32, device=self.device)
        batch = batch[None] if batch.ndim == 2 else batch  # (B, frames, 128)
        if batch.ndim != 3 or 0 in batch.shape or batch.shape[2] != N_MELS:
            expected, found = f"(frames, {N_MELS}) or (B, frames, {N_MELS})", tuple(features.shape)
            raise FeatureError(f"features: expected {expected}, found {found}")
        frames = batch.shape[1]
        if self.model.arch.position == "frequency":
            whole = count_steps(frames) * FRAMES_PER_STEP
        else:
            whole = self.model.arch.frames
            if frames > whole:
                raise FeatureError(
                    f"features: expected at most {whole} frames, the model's window, found {frames}; "
                    "Tagger.step_scores(path) takes recordings of any length"
                )
        # zeros before normalisation, as the published training pads: not silence, but what those models know
        batch = torch.nn.functional.pad(batch, (0, 0, 0, whole - frames))
        return ((batch - self.config.mean) / self.config.std)[:, None]

    def stream(
        self,
        path: Source,
        *,
        channel: int | None = None,
        hop: float | None = None,
        progress: Progress | None = None,
    ) -> ScoreStream:
        """Score a recording of any length block by block; see `ScoreStream`."""
        return ScoreStream(self, path, channel=channel, hop=hop, progress=progress)

    def timeline(self, path: Source, **options: Any) -> Timeline:
        """Tell what happens when in a recording; the options are those of `timelines.timeline`."""
        from .timelines import timeline

        return timeline(path, model=self, **options)

    def embeddings(self, path: Source, **options: Any) -> Embeddings:
        """Embed a recording; the options are those of `EmbeddingStream`, above all ``level``."""
        return EmbeddingStream(self, path, **options).collect()

    def step_scores(
        self, path: Source, *, channel: int | None = None, hop: float | None = None
    ) -> StepScores:
        """Score a recording and keep all steps: about 47 MB an hour with 521 classes.

        Parameters
        ----------
        path, channel, hop
            See `tag`.

        Returns
        -------
        StepScores
        """
        stream = self.stream(path, channel=channel, hop=hop)
        values = np.concatenate(list(stream))
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
        active_threshold: float | None = None,
        progress: Progress | None = None,
    ) -> TagResult:
        """Tell what is in a recording, in memory that does not grow with its length.

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
            Seconds between the starts of windows, rounded to 0.16 s; half a window by default.
        active_threshold : float, optional
            Score from which a step counts as active; the model's own by default.
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
        if active_threshold is None:
            active_threshold = self.config.active_threshold
        selection = Selection(top_k, threshold, pool, include, exclude)
        stream = self.stream(path, channel=channel, hop=hop, progress=progress)
        return tag_of(stream, selection, active_threshold)

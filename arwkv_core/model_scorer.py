"""A model as the rest of the library knows it: log-mels in; scores or embeddings, per 160 ms step, out."""

from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import Any, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from .constants import FRAMES_PER_STEP, MODEL_FRAMES, N_MELS, SAMPLE_RATE
from .errors import FeatureError
from .full_context import FullContext
from .inference import BATCHES_AT_ONCE, Inference
from .labels import LabelSet
from .model import ARWKV
from .model_config import FRONT_END, ModelConfig
from .precision import FP32, choose_precision
from .windows import count_steps

Floats = NDArray[np.float32]
T = TypeVar("T")

LONGEST_AT_ONCE = 8 * MODEL_FRAMES
"""Frames of a longest input that the network takes as it is; longer ones go through it in chunks."""

_SCORE_FUNCTIONS: dict[str, Callable[[Tensor], Tensor]] = {
    "sigmoid": torch.sigmoid,
    "softmax": lambda logits: torch.softmax(logits, dim=-1),
}


class ModelScorer:
    """A network with its front end and labels, at work on log-mels: a `Scorer`.

    Parameters
    ----------
    model : ARWKV
        On its device; put into evaluation mode and float32.
    config : ModelConfig
    labels : LabelSet
        One class per row of the model's head.
    folder : Path, optional
        The model's folder, where it may say how its events are found.
    precision : {"auto", "fp32", "bf16", "int8"}
        Of matrix products; see `precision.choose_precision`. `load` leaves it to the CPU.
    """

    sample_rate = SAMPLE_RATE

    def __init__(
        self,
        model: ARWKV,
        config: ModelConfig,
        labels: LabelSet,
        folder: Path | None = None,
        precision: str = FP32,
    ) -> None:
        self.model = model.eval().float()
        self.precision, _ = choose_precision(self.device, precision)
        self._network = Inference(self.model, self.precision)
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
    def hop_frames(self) -> int | None:
        """Frames between its own windows that it prefers; None for half a window."""
        return self.config.hop_frames

    @property
    def batches_at_once(self) -> int:
        """Batches of windows that are best heard at the same time, by threads of the caller."""
        return BATCHES_AT_ONCE if self.device.type == "cpu" else 1

    def beside(self, work: Callable[[], T]) -> T:
        """Have something done beside the model's work, such as decoding what it hears next; see `Inference.beside`."""
        return self._network.beside(work)

    @property
    def any_length(self) -> bool:
        """Whether it takes windows of any length: it has no table of positions in time."""
        return self.model.arch.position == "frequency"

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
                "precision": self.precision,
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
        return self._run(features, self._scores_of)

    def embed(self, features: Floats | Tensor) -> Floats:
        """Embed each step: like `scores`, but gives what the head sees, ``(B, ceil(frames / 16), width)``."""
        return self._run(features, lambda embeddings: embeddings)

    def stream_scores(
        self, blocks: Iterable[Floats], report: Callable[[float], None] | None = None
    ) -> Iterator[Floats]:
        """Score one window of any length, where the model has no table of positions in time.

        Parameters
        ----------
        blocks : iterable of ndarray
            Its log-mels ``(frames, 128)``, not normalised, in pieces of any length; taken before any work is done.
        report : callable, optional
            Called with the share of the work that is done, 0 to 1.

        Yields
        ------
        ndarray
            ``(steps, classes)`` float32, 0 to 1; ``ceil(frames / 16)`` steps in all.

        Raises
        ------
        FeatureError
            If the shape is another, or there are no frames.
        """
        for embeddings in self._stream(blocks, report):
            with torch.inference_mode():
                yield _array(self._scores_of(embeddings))[0]

    def stream_embeddings(
        self, blocks: Iterable[Floats], report: Callable[[float], None] | None = None
    ) -> Iterator[Floats]:
        """Embed one window of any length: as `stream_scores`, but ``(steps, width)``."""
        for embeddings in self._stream(blocks, report):
            yield _array(embeddings)[0]

    def _scores_of(self, embeddings: Tensor) -> Tensor:
        return self._score_function(self.model.head(embeddings))

    def _run(self, features: Floats | Tensor, finish: Callable[[Tensor], Tensor]) -> Floats:
        """Run the network, in chunks where the input is long, and let `finish` see its embeddings."""
        batch = self._checked(features)  # (B, frames, 128)
        frames = batch.shape[1]
        long = self.any_length and frames > LONGEST_AT_ONCE
        with torch.inference_mode():
            if long:
                pieces = self._stream(torch.split(batch, LONGEST_AT_ONCE, 1))
                return np.concatenate([_array(finish(x)) for x in pieces], axis=1)
            steps = count_steps(frames)  # surplus ones hear padding only
            parts = self._network.run(
                batch,
                lambda windows: self._normalised(self._padded(windows)),
                lambda embeddings: finish(embeddings[:, :steps]),
            )
            return np.concatenate([_array(part) for part in parts])

    def _stream(
        self, blocks: Iterable[Floats | Tensor], report: Callable[[float], None] | None = None
    ) -> Iterator[Tensor]:
        """Embed a batch of one length given in blocks ``([B,] frames, 128)``: ``(B, steps, width)`` in blocks."""
        run = FullContext(self.model)
        frames, last = 0, None
        for block in blocks:
            batch = self._checked(block)
            run.push(self._normalised(batch))
            frames, last = frames + batch.shape[1], batch[:, -1:]
        if last is None:
            raise FeatureError("features: expected at least one frame, found none")
        if missing := -frames % FRAMES_PER_STEP:
            run.push(self._normalised(last.expand(-1, missing, -1)))
        return run.step_embeddings(report)

    def _checked(self, features: Floats | Tensor) -> Tensor:
        batch = torch.as_tensor(features, dtype=torch.float32, device=self.device)
        batch = batch[None] if batch.ndim == 2 else batch  # (B, frames, 128)
        if batch.ndim != 3 or 0 in batch.shape or batch.shape[2] != N_MELS:
            expected, found = f"(frames, {N_MELS}) or (B, frames, {N_MELS})", tuple(features.shape)
            raise FeatureError(f"features: expected {expected}, found {found}")
        return batch

    def _normalised(self, batch: Tensor) -> Tensor:
        return (batch - self.config.mean).div_(self.config.std)[:, None]  # (B, 1, frames, 128)

    def _padded(self, batch: Tensor) -> Tensor:
        """Pad ``(B, frames, 128)`` to a length that the model takes."""
        frames = batch.shape[1]
        if self.any_length:
            # The last frame goes on to the end of its step. With zeros, which are loud, the last step was 0.08 off
            # the scores of the same step of a longer recording, with the last frame 0.06 (80 recordings).
            missing = -frames % FRAMES_PER_STEP
            if not missing:
                return batch
            return torch.cat([batch, batch[:, -1:].expand(-1, missing, -1)], dim=1)
        whole = self.model.arch.frames
        if frames > whole:
            raise FeatureError(
                f"features: expected at most {whole} frames, the model's window, found {frames}; "
                "Tagger.step_scores(path) takes recordings of any length"
            )
        # zeros before normalisation, as the published training pads: not silence, but what those models know
        return torch.nn.functional.pad(batch, (0, 0, 0, whole - frames))


def _array(x: Tensor) -> Floats:
    return x.float().cpu().numpy()

"""The common API of HEAR, the benchmark of audio embeddings (https://hearbenchmark.com/hear-api.html).

``heareval`` and ``hear-validator`` take ``arwkv_core.hear`` as the name of the module. The embeddings are those of
``arwkv embed`` for the same sound: a timestamp's is that of ``--level step``, a scene's that of ``--level recording``.
"""

from collections.abc import Iterator
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from .constants import (
    DEFAULT_MODEL,
    HOP_SAMPLES,
    SAMPLE_RATE,
    STEP_SECONDS,
    WINDOW_SAMPLES,
)
from .context import hop_in_frames
from .errors import FeatureError
from .features import frame_count, log_mel
from .scores import step_edges
from .tagger import Tagger, load
from .windows import StepBlender, count_steps, plan_windows

__all__ = ["HearModel", "get_scene_embeddings", "get_timestamp_embeddings", "load_model"]

Floats = NDArray[np.float32]

BATCH_WINDOWS = 8
"""Windows that the model takes at once, of one sound or of several."""


class HearModel(nn.Module):
    """A model as HEAR wants to see it; move it to a device with ``.to(device)``.

    Parameters
    ----------
    tagger : Tagger

    Attributes
    ----------
    sample_rate : int
        Of the sounds that it takes, 32000 Hz.
    scene_embedding_size, timestamp_embedding_size : int
        Length of a vector, the model's width.
    """

    sample_rate = SAMPLE_RATE

    def __init__(self, tagger: Tagger) -> None:
        super().__init__()
        self.network = tagger.model
        self.tagger = tagger
        self.scene_embedding_size = self.timestamp_embedding_size = tagger.model.arch.width

    def forward(self, audio: Tensor) -> Tensor:
        """Scene embeddings; see `get_scene_embeddings`."""
        return get_scene_embeddings(audio, self)


def load_model(model_file_path: str | Path = "") -> HearModel:
    """Load a model, on the CPU.

    Parameters
    ----------
    model_file_path : str or Path
        A name that ``arwkv models list`` shows, a model folder, or a published weight file; without one, the bundled
        model.

    Returns
    -------
    HearModel

    Raises
    ------
    ModelNotFound, CheckpointError, ConfigError, LabelError
        If there is no such model, or its files are damaged.
    """
    return HearModel(load(model_file_path or DEFAULT_MODEL, device="cpu"))


def get_timestamp_embeddings(audio: Tensor, model: HearModel) -> tuple[Tensor, Tensor]:
    """Embed every 160 ms of sounds of one length.

    Parameters
    ----------
    audio : Tensor
        ``(n_sounds, n_samples)`` at 32 kHz, full scale at ±1, on any device. Sounds shorter than 25 ms are padded with
        silence to that; samples that are no numbers are taken as silence. No gradients flow back into it.
    model : HearModel

    Returns
    -------
    embeddings : Tensor
        ``(n_sounds, n_timestamps, size)`` float32, where the audio lies.
    timestamps : Tensor
        ``(n_sounds, n_timestamps)`` float32: the middle of each step in milliseconds, 80, 240, 400 … The last step
        may be cut short by the sound's end; its timestamp keeps the distance.

    Raises
    ------
    FeatureError
        If the audio has another shape or is not of floating type.
    """
    steps = count_steps(frame_count(_heard_samples(audio)))
    groups = [np.concatenate(list(_step_rows(group, model.tagger))) for group in _groups(audio)]
    rows = np.concatenate([np.zeros((steps, 0, model.timestamp_embedding_size), np.float32), *groups], axis=1)
    embeddings = torch.from_numpy(np.ascontiguousarray(rows.transpose(1, 0, 2))).to(audio.device)
    middles = (torch.arange(steps, dtype=torch.float64) + 0.5) * (1000 * STEP_SECONDS)
    return embeddings, middles.float().to(audio.device).repeat(len(audio), 1)


def get_scene_embeddings(audio: Tensor, model: HearModel) -> Tensor:
    """Embed whole sounds of one length, each as the mean of its steps, weighted with their lengths.

    Parameters
    ----------
    audio, model
        See `get_timestamp_embeddings`. Memory beyond the audio's own does not grow with its length.

    Returns
    -------
    Tensor
        ``(n_sounds, size)`` float32, where the audio lies.

    Raises
    ------
    FeatureError
        If the audio has another shape or is not of floating type.
    """
    samples = _heard_samples(audio)
    lengths = np.diff(
        step_edges(count_steps(frame_count(samples)), samples / SAMPLE_RATE)
    )  # (steps,) seconds
    scenes = np.zeros((len(audio), model.scene_embedding_size))
    first = 0
    for group in _groups(audio):
        step = 0
        for rows in _step_rows(group, model.tagger):
            scenes[first : first + len(group)] += np.einsum(
                "t,tnc->nc", lengths[step : step + len(rows)], rows
            )
            step += len(rows)
        first += len(group)
    return torch.from_numpy((scenes / lengths.sum()).astype(np.float32)).to(audio.device)


def _heard_samples(audio: Tensor) -> int:
    """How long the sounds are, with the silence after those that are shorter than a frame."""
    if not isinstance(audio, Tensor) or audio.ndim != 2 or not audio.dtype.is_floating_point:
        kind = f"{tuple(audio.shape)} of {audio.dtype}" if isinstance(audio, Tensor) else type(audio).__name__
        raise FeatureError(f"audio: expected a floating tensor (n_sounds, n_samples) in ±1, found {kind}")
    return max(audio.shape[1], WINDOW_SAMPLES)


def _groups(audio: Tensor) -> Iterator[Tensor]:
    """Part the sounds into as many as the model takes at once, so that a large batch needs no more memory."""
    for first in range(0, len(audio), BATCH_WINDOWS):
        yield audio[first : first + BATCH_WINDOWS].detach()


def _step_rows(audio: Tensor, tagger: Tagger) -> Iterator[Floats]:
    """Run windows of sounds ``(n, samples)``; yield ``(steps, n, width)`` as they become final, in order."""
    sounds = len(audio)
    frames = frame_count(_heard_samples(audio))
    length = min(frames, tagger.window_frames)
    hop = hop_in_frames(None, tagger.window_frames)
    assert hop is not None, "a window of a length has a hop"
    starts = plan_windows(frames, tagger.window_frames, hop)
    at_once = max(1, BATCH_WINDOWS // sounds)
    blender: StepBlender | None = None
    width = 0
    for index in range(0, len(starts), at_once):
        here = starts[index : index + at_once]
        features = torch.stack([_log_mels(sound, start, length) for start in here for sound in audio])
        rows = tagger.embed(features)  # (windows * n, steps, width)
        width = rows.shape[2]
        blender = blender or StepBlender(sounds * width)
        for start, window in zip(here, rows.reshape(len(here), sounds, -1, width), strict=True):
            columns = window.transpose(1, 0, 2).reshape(-1, sounds * width)  # all sounds side by side
            yield blender.add(start, length, columns).reshape(-1, sounds, width)
    assert blender is not None, "there is a window at least"
    yield blender.finish().reshape(-1, sounds, width)


def _log_mels(sound: Tensor, start: int, frames: int) -> Tensor:
    """Log-mels ``(frames, 128)`` of a sound from frame ``start`` on."""
    first = start * HOP_SAMPLES
    samples = sound[first : first + (frames - 1) * HOP_SAMPLES + WINDOW_SAMPLES]
    samples = torch.nan_to_num(samples.float(), nan=0.0, posinf=0.0, neginf=0.0)
    missing = WINDOW_SAMPLES - len(samples)
    return log_mel(torch.nn.functional.pad(samples, (0, missing)) if missing > 0 else samples)

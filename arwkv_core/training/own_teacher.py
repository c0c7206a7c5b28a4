"""A model as its own teacher: what it says of sounds now, so that it does not forget it while it learns others."""

from __future__ import annotations

import dataclasses
import hashlib
import os
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from arwkv_core.constants import HOP_SECONDS, STEP_SECONDS
from arwkv_core.model_scorer import ModelScorer

from .corpus import TEACHER_FRAME_SECONDS, TEACHER_HOP_SECONDS, Corpus
from .mel_store import MelStore


def taught_by(scorer: ModelScorer, corpus: Corpus, mels: MelStore, cache: Path, *, progress: bool) -> Corpus:
    """Give a corpus what a model says of it, for the classes that the model has: the first of the corpus.

    Scores are kept in the cache: another computation might round one of them otherwise, and then a run that was
    stopped would not be the same run.

    Parameters
    ----------
    scorer : ModelScorer
    corpus : Corpus
    mels : MelStore
        Of its clips.
    cache : Path
    progress : bool
        Show a bar on stderr.
    """
    mark = hashlib.sha256(f"{scorer.config.weights_sha256} {len(corpus.labels)}".encode())
    mark.update(np.ascontiguousarray(mels.offsets).data)
    mark.update("\n".join(f"{clip.path} {clip.start} {clip.end}" for clip in corpus.clips).encode())
    path = cache / f"teacher-{mark.hexdigest()[:16]}.npz"
    if not path.exists():
        clips = tqdm(range(len(corpus.clips)), desc="own opinion", unit="clip", disable=not progress)
        frames = [_frames(scorer, np.asarray(mels[clip], np.float32)) for clip in clips]
        scores = np.zeros((sum(map(len, frames)), len(corpus.labels)), np.uint8)
        scores[:, : len(scorer.labels)] = np.round(255 * np.concatenate(frames)).astype(np.uint8)
        offsets = np.cumsum([0, *map(len, frames)])
        partial = path.with_suffix(f".{os.getpid()}.part")
        with partial.open("wb") as file:
            np.savez(file, scores=scores, offsets=offsets)
        partial.replace(path)
    with np.load(path) as arrays:
        return dataclasses.replace(corpus, teacher=arrays["scores"], offsets=arrays["offsets"])


def _frames(scorer: ModelScorer, mels: NDArray[np.float32]) -> NDArray[np.float32]:
    """Scores of a clip's teacher frames: means over the steps whose middle lies in them."""
    window = scorer.window_frames
    windows = [scorer.scores(mels[start : start + window])[0] for start in range(0, len(mels), window)]
    steps = np.concatenate(windows)  # (steps, classes)
    seconds = len(mels) * HOP_SECONDS
    count = 1 + max(0, int(np.ceil((seconds - TEACHER_FRAME_SECONDS) / TEACHER_HOP_SECONDS - 1e-9)))
    starts = np.arange(count) * TEACHER_HOP_SECONDS
    starts[-1] = max(0.0, seconds - TEACHER_FRAME_SECONDS)
    middles = (np.arange(len(steps)) + 0.5) * STEP_SECONDS
    inside = (middles >= starts[:, None]) & (middles < starts[:, None] + TEACHER_FRAME_SECONDS)
    inside[~inside.any(1), -1] = True  # the last frame of a clip shorter than a frame
    means: NDArray[np.float32] = (inside @ steps / inside.sum(1, keepdims=True)).astype(np.float32)
    return means

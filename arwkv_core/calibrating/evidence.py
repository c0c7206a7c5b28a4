"""What a model scored the steps of labelled clips, and what sounded in them.

The truth of a step is what the clip's source states, wherever the clip is not silent, and for all other classes the
teacher's decision. Without a teacher, what no source states counts as absent.

Letters in shape comments: T steps, L levels of `score_codec`, C classes of the model.
"""

from __future__ import annotations

import math
import zlib
from collections import defaultdict
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arwkv_core.audio import open_audio
from arwkv_core.constants import FRAMES_PER_STEP, STEP_SECONDS
from arwkv_core.features import log_mel, log_mel_blocks
from arwkv_core.score_codec import LEVELS, Codes, encode
from arwkv_core.tagger import Tagger
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.targets import audible_steps, teacher_weights

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]
Flags = NDArray[np.bool_]

TEACHER_DECISION = 0.5
"""The teacher's score from which on it is taken to say that a class sounds."""

LEAST_STEPS = 3
"""Steps that a class must sound in a clip for the clip to count as one of its clips."""

BATCH = 8
"""Clips of one length that the model hears at once."""


@dataclass(frozen=True)
class HeardClip:
    """A clip as the model heard it.

    Attributes
    ----------
    codes : ndarray of uint8, shape (T, C)
        Scores, as they are kept.
    sounding : ndarray of bool, shape (T, C)
        Which of the model's classes sounded.
    half : {0, 1}
        By recording: what is fitted to one half is measured on the other.
    """

    codes: Codes
    sounding: Flags
    half: int


@dataclass(frozen=True)
class Evidence:
    """Counts of steps, each weighed so that all clips weigh the same.

    Attributes
    ----------
    total, positive : ndarray, shape (2, L, C)
        Of each half, level and class: clips' worth of steps, and of those in which the class sounded.
    clips : ndarray of int64, shape (2, C)
        Clips of each half in which the class sounded.
    judged : ndarray of bool, shape (C,)
        Classes of which the truth is known at all.
    """

    total: Doubles
    positive: Doubles
    clips: NDArray[np.int64]
    judged: Flags

    @classmethod
    def of(cls, clips: Sequence[HeardClip], judged: Flags) -> Evidence:
        """Count the steps of clips; ``judged`` is as above."""
        classes = len(judged)
        total, positive = (np.zeros((2, len(LEVELS), classes)) for _ in range(2))
        counts = np.zeros((2, classes), np.int64)
        columns = np.arange(classes)
        for clip in clips:
            weight = 1 / len(clip.codes)
            # a clip has a pair of level and class in many steps: add.at counts each
            np.add.at(total[clip.half], (clip.codes, columns), weight)
            steps, sounding = np.nonzero(clip.sounding)
            np.add.at(positive[clip.half], (clip.codes[steps, sounding], sounding), weight)
            counts[clip.half] += clip.sounding.sum(0) >= min(LEAST_STEPS, len(clip.codes))
        return cls(total * judged, positive * judged, counts * judged, judged)


def hear(
    tagger: Tagger, corpus: Corpus, indices: Sequence[int], halves: Sequence[int], progress: bool
) -> Iterator[HeardClip]:
    """Let a model hear clips of a corpus; those of one length are heard together.

    A clip that is a part of its recording is heard where it lies, as `arwkv timeline` hears it.

    Parameters
    ----------
    tagger : Tagger
        Its classes are matched to the corpus' by mid.
    corpus : Corpus
    indices : sequence of int
        Parts of one recording follow one another.
    halves : sequence of {0, 1}
        Of each of these clips.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    AudioError
        If a clip can't be decoded.
    """
    from tqdm.auto import tqdm

    place = {mid: column for column, mid in enumerate(corpus.labels.mids)}
    columns = np.array([place.get(mid, -1) for mid in tagger.labels.mids])
    half = dict(zip(indices, halves, strict=True))
    waiting: dict[int, list[tuple[int, Floats, float]]] = defaultdict(list)
    recording: HeardRecording | None = None

    def finished(index: int, scores: Floats, mels: Floats, seconds: float) -> HeardClip:
        sounding = truth(corpus, index, len(scores), seconds, mels)[:, columns] & (columns >= 0)
        return HeardClip(encode(scores), sounding, half[index])

    def run(batch: list[tuple[int, Floats, float]]) -> Iterator[HeardClip]:
        scores = tagger.scores(np.stack([mels for _, mels, _ in batch]))
        for (index, mels, seconds), own in zip(batch, scores, strict=True):
            yield finished(index, own, mels, seconds)

    for index in tqdm(indices, desc="clips", unit="clip", disable=not progress):
        clip = corpus.clips[index]
        path = clip.path
        if clip.start > 0 or math.isfinite(clip.end):
            if recording is None or recording.path != path:
                recording = HeardRecording.of(tagger, path)
            yield finished(index, *recording.part(clip.start, clip.end))
            continue
        with open_audio(path) as audio:
            mels = log_mel(np.concatenate(list(audio)))
            seconds = audio.decoded_seconds
        if len(mels) > tagger.window_frames:  # as `arwkv tag` hears it: in windows
            yield finished(index, tagger.step_scores(path, raw_scores=True).values, mels, seconds)
            continue
        batch = waiting[len(mels)]
        batch.append((index, mels, seconds))
        if len(batch) == BATCH:
            yield from run(waiting.pop(len(mels)))
    for batch in waiting.values():
        yield from run(batch)


@dataclass(frozen=True)
class HeardRecording:
    """A recording as the model heard all of it, of which clips are parts.

    Attributes
    ----------
    path : Path
    scores : ndarray of float32, shape (T, C)
        Of the network.
    level : ndarray of float32, shape (frames, 1)
        The loudest band of each log-mel frame: of hours, all bands would take gigabytes.
    """

    path: Path
    scores: Floats
    level: Floats

    @classmethod
    def of(cls, tagger: Tagger, path: Path) -> HeardRecording:
        """Hear it: once for its scores and once for its level."""
        scores = tagger.step_scores(path, raw_scores=True).values
        with open_audio(path) as audio:
            level = np.concatenate([block.max(1, keepdims=True) for block in log_mel_blocks(audio)])
        return cls(path, scores, level)

    def part(self, start: float, end: float) -> tuple[Floats, Floats, float]:
        """Scores, level and seconds of the steps whose middle lies in a part, or of the one next to it."""
        first, last = (
            round(time / STEP_SECONDS) for time in (start, min(end, len(self.scores) * STEP_SECONDS))
        )
        first = min(first, len(self.scores) - 1)
        last = max(last, first + 1)
        level = self.level[first * FRAMES_PER_STEP : last * FRAMES_PER_STEP]
        if not len(level):  # a last step of which no frame is whole
            level = self.level[-1:]
        return self.scores[first:last], level, (last - first) * STEP_SECONDS


def truth(corpus: Corpus, index: int, steps: int, seconds: float, mels: Floats) -> Flags:
    """Which classes of the corpus sound in each step of a clip: ``(T, classes)``."""
    teacher = corpus.teacher_frames(index)
    before, after, share = teacher_weights(len(teacher), seconds, 0, steps)
    sounding: Flags = (1 - share[:, None]) * teacher[before] + share[:, None] * teacher[
        after
    ] >= TEACHER_DECISION
    known = list(corpus.clips[index].known)
    sounding[:, known] |= audible_steps(mels.astype(np.float16), 0, steps)[:, None]
    return sounding


def half_of(corpus: Corpus, index: int) -> int:
    """To which half a clip belongs; clips of one recording belong to the same."""
    clip = corpus.clips[index]
    return zlib.crc32((clip.source_file or str(clip.path)).encode(errors="surrogateescape")) % 2


def judged_classes(tagger: Tagger, corpus: Corpus, indices: Sequence[int], by_teacher: bool) -> Flags:
    """Of which classes of the model the truth is known: with a teacher all of the corpus', else those stated."""
    mids = set(corpus.labels.mids)
    if not by_teacher:
        mids = {corpus.labels.mids[k] for index in indices for k in corpus.clips[index].known}
    return np.array([mid in mids for mid in tagger.labels.mids])

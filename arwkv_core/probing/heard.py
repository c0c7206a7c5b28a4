"""What a model hears in the labelled stretches of a recording, weighted as its scores will be when it tags them."""

from __future__ import annotations

from collections.abc import Callable
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arwkv_core.batch import Progress
from arwkv_core.constants import FRAMES_PER_STEP, HOP_SECONDS, STEP_SECONDS
from arwkv_core.labelled.segment import Segment, Stretch, stretches
from arwkv_core.recording import StepStream
from arwkv_core.scores import step_edges
from arwkv_core.training.targets import AUDIBLE_DB, DB_PER_NEPER, LOUD_PERCENTILE
from arwkv_core.windows import Span, Window, count_steps, lay_on_grid

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]


@dataclass(frozen=True)
class HeardStretch:
    """The embeddings that a stretch's score rests on.

    `arwkv tag` gives a recording the mean of its steps' scores, and a step the weighted mean of what the windows over
    it say. Both are linear: the score of a stretch is ``weights @ score(rows)`` for any head on the embeddings.

    Attributes
    ----------
    stretch : Stretch
    rows : ndarray of float32, shape (n, width)
        Embeddings of windows' steps.
    weights : ndarray of float64, shape (n,)
        Their shares of the score; they sum to 1.
    audible : ndarray of bool, shape (n,)
        Whether the step is not silent, compared with the loud parts of the stretch.
    """

    stretch: Stretch
    rows: Floats
    weights: Doubles
    audible: NDArray[np.bool_]


@dataclass(frozen=True)
class HeardRecording:
    """A recording's labelled stretches, and how long it is (seconds)."""

    stretches: list[HeardStretch]
    seconds: float


class EmbeddingWindows(StepStream):
    """Embeddings of windows as scores are made of them, and in a last column how loud each step is.

    The loudness is the largest log-mel of the step, a natural logarithm of power.

    Attributes
    ----------
    wanted : callable, optional
        Whether something of a window is asked for. Batches without any such window are not heard: of a night with a
        few labels, that is nearly all. Such windows come without steps.
    """

    own_hop = True
    wanted: Callable[[Span], bool] | None = None

    def _hear_batch(self, windows: list[Window]) -> Floats:
        wanted = self.wanted
        if wanted is None or any(wanted(Span(each.start, len(each.features))) for each in windows):
            return super()._hear_batch(windows)
        return np.zeros((len(windows), 0, 0), np.float32)

    def hear(self, features: Floats) -> Floats:
        """Embed windows of one length: ``(windows, frames, 128)`` -> ``(windows, steps, width + 1)``."""
        embedded = self.require_numbers(self.scorer.embed(features), "embeddings that are numbers")
        level = features.max(2)  # (windows, frames)
        missing = -level.shape[1] % FRAMES_PER_STEP
        level = np.pad(level, ((0, 0), (0, missing)), mode="edge")
        level = level.reshape(len(level), -1, FRAMES_PER_STEP).max(2)  # (windows, steps)
        return np.concatenate([embedded, level[:, :, None]], axis=2)


@dataclass(frozen=True)
class _Window:
    """A window's steps on the recording's grid of steps: ``shares @ rows``, each with its weight among windows."""

    first: int
    shares: Doubles
    weights: Doubles
    rows: Floats


def hear(stream: EmbeddingWindows, segments: list[Segment], *, background: bool) -> HeardRecording:
    """Let a model hear a recording, and keep what bears on its segments.

    Parameters
    ----------
    stream : EmbeddingWindows
    segments : list of Segment
        Of this recording.
    background : bool
        Keep what no segment covers too, as stretches without labels.

    Raises
    ------
    AudioError
        If the recording can't be decoded.
    """

    def touches(window: Span) -> bool:
        begin = window.start // FRAMES_PER_STEP * STEP_SECONDS
        end = (window.start + window.frames) * HOP_SECONDS + STEP_SECONDS
        return background or any(each.start < end and each.end > begin for each in segments)

    stream.wanted = touches
    kept: list[_Window] = []
    total = np.zeros(0)
    with closing(stream.windows()) as windows:
        for window, rows in windows:
            first, shift = divmod(window.start, FRAMES_PER_STEP)
            shares, weights = lay_on_grid(
                shift, window.frames, np.eye(count_steps(window.frames), dtype=np.float32)
            )
            steps = first + len(weights)
            total = np.pad(total, (0, max(0, steps - len(total))))
            total[first:steps] += weights
            if touches(window):
                kept.append(_Window(first, shares, weights, rows))
    seconds = stream.coverage.decoded_seconds
    edges = step_edges(stream.coverage.steps, seconds)
    parts = [_part(each, kept, total, edges) for each in stretches(segments, seconds, background=background)]
    return HeardRecording(parts, seconds)


def _part(stretch: Stretch, windows: list[_Window], total: Doubles, edges: Doubles) -> HeardStretch:
    overlap = np.minimum(edges[1:], stretch.end) - np.maximum(edges[:-1], stretch.start)
    share_of_step = np.maximum(overlap, 0) / (stretch.end - stretch.start) / total  # (steps,)
    rows, weights = [], []
    for window in windows:
        here = slice(window.first, window.first + len(window.weights))
        each = (share_of_step[here] * window.weights) @ window.shares  # (the window's steps,)
        chosen = np.flatnonzero(each > 0)
        rows.append(window.rows[chosen])
        weights.append(each[chosen])
    together, share = np.concatenate(rows), np.concatenate(weights)
    level = together[:, -1] * DB_PER_NEPER
    audible = level >= np.percentile(level, LOUD_PERCENTILE) - AUDIBLE_DB
    return HeardStretch(stretch, together[:, :-1], share / share.sum(), audible)


@dataclass(frozen=True)
class HearTask:
    """Hears recordings, in any number of processes (it is a `batch.Task`).

    Parameters
    ----------
    segments : dict of str to list of Segment
        Of each recording.
    background : bool
    model, device, precision : str
        See `tagger.load`.
    """

    segments: dict[str, list[Segment]]
    background: bool
    model: str | Path
    device: str
    precision: str

    def open(self) -> Callable[[str, Progress], HeardRecording]:
        """Load the model, and return the work."""
        from arwkv_core.tagger import load

        tagger = load(self.model, self.device, self.precision)

        def work(file: str, progress: Progress) -> HeardRecording:
            stream = EmbeddingWindows(tagger, file, progress=progress)
            return hear(stream, self.segments[file], background=self.background)

        return work

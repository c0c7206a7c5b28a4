"""From a recording to its step scores: decode, log-mels, windows, model, blend; in flat memory."""

from collections.abc import Callable, Generator, Iterable, Iterator
from contextlib import closing
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO, Protocol

import numpy as np
from numpy.typing import NDArray

from .audio import open_audio
from .constants import FRAMES_PER_STEP, HOP_SECONDS, STEP_SECONDS, WINDOW_SECONDS
from .errors import CheckpointError, UsageError
from .features import log_mel_blocks
from .labels import LabelSet
from .prefetch import prefetch
from .results import Coverage
from .windows import StepBlender, Window, WindowCutter, count_steps

Floats = NDArray[np.float32]
Source = str | Path | BinaryIO
Progress = Callable[[float, float | None], None]
"""Called with the seconds scored so far and, where known, the seconds that the header states."""

BATCH_FRAMES = 8 * 992
"""Frames that the model takes at once: eight windows of 9.92 s."""

BLOCKS_AHEAD = 4
"""Blocks of log-mels that wait for the model at most."""


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
    def provenance(self) -> dict[str, dict[str, Any]]:
        """What, besides the windows, its scores depend on: tables ``model`` and ``front_end``, as JSON has them."""

    def scores(self, features: Floats) -> Floats:
        """``(B, frames, 128)`` log-mels, not normalised -> ``(B, ceil(frames / 16), classes)``, 0 to 1."""

    def embed(self, features: Floats) -> Floats:
        """``(B, frames, 128)`` log-mels, not normalised -> ``(B, ceil(frames / 16), width)``."""


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


def hop_in_frames(hop: float | None, window: int) -> int:
    """Turn the distance between windows into frames.

    Parameters
    ----------
    hop : float or None
        Seconds, rounded to whole steps of 160 ms; None takes half a window.
    window : int
        Length of a window in frames, a multiple of 16.

    Raises
    ------
    UsageError
        If ``hop`` is below a step or above a window, which would leave gaps.
    """
    longest = window * HOP_SECONDS
    if hop is None:
        return max(1, round(window / 2 / FRAMES_PER_STEP)) * FRAMES_PER_STEP
    if not STEP_SECONDS - 1e-9 <= hop <= longest + 1e-9:  # NaN fails too
        raise UsageError(f"--hop: expected {STEP_SECONDS:g} to {longest:g} seconds (a window), found {hop:g}")
    return round(hop / STEP_SECONDS) * FRAMES_PER_STEP


class StepStream:
    """What a model says of each step of a recording, in blocks, as it becomes final.

    Decoding and log-mels run in a thread ahead of the model.

    Parameters
    ----------
    scorer : Scorer
    source : str, Path or BinaryIO
        A file, ``"-"`` for stdin, or an open binary file.
    channel : int, optional
        The channel to hear; the mean of all by default.
    hop : float, optional
        Seconds between windows; half a window by default.
    progress : callable, optional
        Called before the first window and after each batch of windows.
    first_step : int
        Go on from this step, where what is said of those before it is at hand: the model hears only what bears on
        it and on what follows. The batches are those of a whole run, so that the rows are the same to the bit.

    Attributes
    ----------
    coverage : Coverage
        Valid once the stream has ended.
    warnings : list of str
        The same.

    Raises
    ------
    UsageError
        If ``hop`` is out of range.
    """

    coverage: Coverage
    warnings: list[str]

    def __init__(
        self,
        scorer: Scorer,
        source: Source,
        *,
        channel: int | None = None,
        hop: float | None = None,
        progress: Progress | None = None,
        first_step: int = 0,
    ) -> None:
        self.scorer, self.source, self.channel, self.progress = scorer, source, channel, progress
        self.first_step = first_step
        self.hop_frames = hop_in_frames(hop, scorer.window_frames)
        self.warnings = []

    @property
    def file(self) -> str:
        """The recording, as the caller named it."""
        return describe(self.source)

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self.scorer.name

    def hear(self, features: Floats) -> Floats:
        """Let the model hear windows of one length: ``(windows, frames, 128)`` -> ``(windows, steps, columns)``."""
        raise NotImplementedError

    def __iter__(self) -> Iterator[Floats]:
        """Yield ``(steps, columns)`` float32, each step of the recording from `first_step` on once, in order.

        Raises
        ------
        AudioError
            If the recording can't be decoded or is shorter than a frame (25 ms).
        CheckpointError
            If what the model says are not numbers.
        """
        blender: StepBlender | None = None
        step = 0  # of the recording, at which the blender's next rows begin
        with closing(self.windows()) as windows:
            for window, rows in windows:
                if blender is None:
                    step = window.start // FRAMES_PER_STEP
                    blender = StepBlender(rows.shape[1], step)
                final = blender.add(window.start, len(window.features), rows)
                yield from self._from_first_step(final, step)
                step += len(final)
        if blender is not None:
            final = blender.finish()
            yield from self._from_first_step(final, step)
            step += len(final)
        assert max(step, self.first_step) == self.coverage.steps, "a step of the recording was lost"

    def windows(self) -> Generator[tuple[Window, Floats], None, None]:
        """Yield each window that bears on `first_step` or what follows, and what the model says of its steps.

        Yields
        ------
        window : Window
        rows : ndarray
            ``(steps, columns)``; raises are those of iterating over the stream.
        """
        scorer = self.scorer
        cutter = WindowCutter(scorer.window_frames, self.hop_frames)
        with open_audio(self.source, sample_rate=scorer.sample_rate, channel=self.channel) as audio:
            self._report(0.0, audio)
            with closing(prefetch(log_mel_blocks(audio), BLOCKS_AHEAD)) as blocks:
                for windows in _batches(_cut(cutter, blocks), max(1, BATCH_FRAMES // scorer.window_frames)):
                    end = max(window.start + len(window.features) for window in windows)
                    if end > self.first_step * FRAMES_PER_STEP:
                        rows = self.hear(np.stack([window.features for window in windows]))
                        yield from zip(windows, rows, strict=True)
                    self._report(end * HOP_SECONDS, audio)
            self.coverage = Coverage(
                header_seconds=audio.header_seconds,
                decoded_seconds=audio.decoded_seconds,
                filled_seconds=audio.filled_seconds,
                analysed_seconds=(cutter.frames - 1) * HOP_SECONDS + WINDOW_SECONDS,
                steps=count_steps(cutter.frames),
                invalid_samples=audio.invalid_samples,
            )
            self.warnings = list(audio.warnings)

    def require_numbers(self, rows: Floats, expected: str) -> Floats:
        """Return what the model said, if it is finite.

        Raises
        ------
        CheckpointError
            If not; the message says what was ``expected``.
        """
        if not np.isfinite(rows).all():
            raise CheckpointError(
                f"{self.file}: expected {expected}, found NaN: are the weights of {self.model_name} damaged? "
                "(another model: --model)"
            )
        return rows

    def _from_first_step(self, rows: Floats, step: int) -> Iterator[Floats]:
        """Yield what of ``rows``, which begin at ``step``, is asked for."""
        rows = rows[max(self.first_step - step, 0) :]
        if len(rows):
            yield rows

    def _report(self, seconds: float, audio: Any) -> None:
        if self.progress is not None:
            self.progress(seconds, audio.header_seconds)


class ScoreStream(StepStream):
    """The step scores of a recording: a row has a column for each class."""

    @property
    def labels(self) -> LabelSet:
        """Classes, in the order of the scores."""
        return self.scorer.labels

    def hear(self, features: Floats) -> Floats:
        """Score windows of one length: ``(windows, steps, classes)``."""
        return self.require_numbers(self.scorer.scores(features), "scores from 0 to 1")


def describe(source: Source) -> str:
    """Return how results and messages name a source: as the caller did, where that is a path."""
    if isinstance(source, str | Path):
        return str(source)
    name = getattr(source, "name", None)
    return name if isinstance(name, str) else "<stream>"


def _cut(cutter: WindowCutter, blocks: Iterable[Floats]) -> Iterator[Window]:
    for block in blocks:
        yield from cutter.push(block)
    yield from cutter.finish()


def _batches(windows: Iterator[Window], size: int) -> Iterator[list[Window]]:
    while batch := list(islice(windows, size)):
        yield batch

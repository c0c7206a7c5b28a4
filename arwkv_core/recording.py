"""From a recording to its step scores: decode, log-mels, windows, model, blend; in flat memory."""

from collections import deque
from collections.abc import Callable, Generator, Iterable, Iterator
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import closing, contextmanager
from itertools import islice
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import NDArray

from .audio import open_audio
from .constants import FRAMES_PER_STEP, HOP_SECONDS, WINDOW_SECONDS
from .context import Context, context_in_frames, hop_in_frames, says_out_of_memory
from .errors import CheckpointError, ContextError
from .features import log_mel_blocks
from .labels import LabelSet
from .prefetch import prefetch
from .results import Coverage
from .scorer import Scorer, ScoreSource
from .side_work import each_by
from .windows import Span, StepBlender, Window, WindowCutter, count_steps

__all__ = ["Progress", "ScoreSource", "ScoreStream", "Scorer", "Source", "StepStream", "describe"]

Floats = NDArray[np.float32]
Source = str | Path | BinaryIO
Progress = Callable[[float, float | None], None]
"""Called with the seconds scored so far and, where known, the seconds that the header states."""

BATCH_FRAMES = 8 * 992
"""Frames that the model takes at once at most: eight windows of 9.92 s."""

BATCH_ADVANCE_FRAMES = 4992
"""Frames by which the batches in work get on at most, six windows that are 8.32 s apart: a kill
costs less than a minute of a recording."""

DECODING_SHARE = 0.15
"""Share of the time that decoding takes where the whole recording is heard at once; for progress only."""

BLOCKS_AHEAD = 4
"""Blocks of log-mels that wait for the model at most."""


class StepStream:
    """What a model says of each step of a recording, in blocks, as it becomes final.

    Decoding and log-mels run ahead of the model, in a thread or in those of the model.

    Parameters
    ----------
    scorer : Scorer
    source : str, Path or BinaryIO
        A file, ``"-"`` for stdin, or an open binary file.
    channel : int, optional
        The channel to hear; the mean of all by default.
    hop : float, optional
        Seconds between windows; half a window by default, but see `own_hop`.
    context : float or str, optional
        Seconds that the model hears at once, or ``"full"``: the whole recording. By default the model's own window.
    progress : callable, optional
        Called before the first window and after each batch of windows; often with ``context="full"``, where the
        seconds stand for the share of the work that is done.
    first_step : int
        Go on from this step, where what is said of those before it is at hand: the model hears only what bears on
        it and on what follows. The batches are those of a whole run, so that the rows are the same to the bit.

    Attributes
    ----------
    window_frames, hop_frames : int or None
        Length of a window and distance between windows; both None where one window is the whole recording.
    coverage : Coverage
        Valid once the stream has ended.
    warnings : list of str
        The same.

    Raises
    ------
    UsageError
        If ``hop`` or ``context`` is out of range, or the model takes its own window only.
    """

    coverage: Coverage
    warnings: list[str]

    own_hop = False
    """Whether the model may say how far apart its own windows are by default, instead of half a window."""

    def __init__(
        self,
        scorer: Scorer,
        source: Source,
        *,
        channel: int | None = None,
        hop: float | None = None,
        context: Context = None,
        progress: Progress | None = None,
        first_step: int = 0,
    ) -> None:
        self.scorer, self.source, self.channel, self.progress = scorer, source, channel, progress
        self.first_step = first_step
        self.window_frames: int | None = scorer.window_frames
        if context is not None:
            self.window_frames = context_in_frames(
                context, scorer.window_frames, any_length=scorer.any_length, model=scorer.name
            )
        # whoever else gives scores need not prefer a hop
        own = getattr(scorer, "hop_frames", None) if self.own_hop and context is None else None
        self.hop_frames = hop_in_frames(hop, self.window_frames, own)
        self.warnings = []
        self._frames = 0

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

    def hear_whole(self, blocks: Iterable[Floats], report: Callable[[float], None]) -> Iterator[Floats]:
        """Let the model hear one window of any length; see `Scorer.stream_scores`."""
        raise NotImplementedError

    def __iter__(self) -> Generator[Floats, None, None]:
        """Yield ``(steps, columns)`` float32, each step of the recording from `first_step` on once, in order.

        Raises
        ------
        AudioError
            If the recording can't be decoded or is shorter than a frame (25 ms).
        CheckpointError
            If what the model says are not numbers.
        ContextError
            If there is too little memory for a context longer than the model's own window.
        """
        end = 0
        with closing(self._whole() if self.window_frames is None else self._blended()) as blocks:
            for step, rows in blocks:
                end = step + len(rows)
                rows = rows[max(self.first_step - step, 0) :]
                if len(rows):
                    yield rows
        assert max(end, self.first_step) == self.coverage.steps, "a step of the recording was lost"

    def windows(self) -> Generator[tuple[Span, Floats], None, None]:
        """Yield each window that bears on `first_step` or what follows, and what the model says of its steps.

        Yields
        ------
        window : Span
        rows : ndarray
            ``(steps, columns)``; raises are those of iterating over the stream.
        """
        if self.window_frames is None or self.hop_frames is None:
            with closing(self._whole()) as blocks:
                rows = np.concatenate([rows for _, rows in blocks])
            yield Span(0, self._frames), rows
            return
        cutter = WindowCutter(self.window_frames, self.hop_frames)
        with self._open() as (audio, log_mels):
            size = max(1, min(BATCH_FRAMES // self.window_frames, BATCH_ADVANCE_FRAMES // self.hop_frames))
            at_once = getattr(self.scorer, "batches_at_once", 1) if size > 1 else 1
            batches = _batches(_cut(cutter, log_mels), max(1, size // at_once))
            # heard in a thread ahead, so that the model need not wait while scores are blended
            with closing(prefetch(self._heard(batches, at_once), 1)) as heard:
                for spans, rows in heard:
                    yield from zip(spans, rows, strict=True)
                    self._report((spans[-1].start + spans[-1].frames) * HOP_SECONDS, audio)
            self._conclude(cutter.frames, audio)

    def _heard(
        self, batches: Iterable[list[Window]], at_once: int
    ) -> Generator[tuple[list[Span], Floats], None, None]:
        """Yield where the windows of a batch lie, and what the model says of them; `at_once` batches are in work.

        Batches that end before `first_step` are passed over.
        """
        with ThreadPoolExecutor(at_once, thread_name_prefix="arwkv-batch") as threads:
            in_work: deque[tuple[list[Span], Future[Floats]]] = deque()
            try:
                for windows in batches:
                    spans = [Span(window.start, len(window.features)) for window in windows]
                    if spans[-1].start + spans[-1].frames > self.first_step * FRAMES_PER_STEP:
                        in_work.append((spans, threads.submit(self._hear_batch, windows)))
                    del windows
                    if len(in_work) == at_once:
                        spans, future = in_work.popleft()
                        yield spans, future.result()
                while in_work:
                    spans, future = in_work.popleft()
                    yield spans, future.result()
            finally:
                for _, future in in_work:
                    future.cancel()

    def _hear_batch(self, windows: list[Window]) -> Floats:
        features = [window.features for window in windows]
        windows.clear()  # what the model has heard is not held while scores wait
        # a window may be long: one alone is not copied
        batch = features[0][None] if len(features) == 1 else np.stack(features)
        features.clear()
        return self.hear(batch)

    def _blended(self) -> Generator[tuple[int, Floats], None, None]:
        """Yield rows that are final, and the step at which they begin."""
        blender: StepBlender | None = None
        step = 0
        with closing(self.windows()) as windows:
            for window, rows in windows:
                if blender is None:
                    step = window.start // FRAMES_PER_STEP
                    blender = StepBlender(rows.shape[1], step)
                final = blender.add(window.start, window.frames, rows)
                yield step, final
                step += len(final)
        if blender is not None:
            yield step, blender.finish()

    def _whole(self) -> Generator[tuple[int, Floats], None, None]:
        """The same where one window is the whole recording."""
        with self._open() as (audio, log_mels):
            self._frames = step = 0

            def counted() -> Iterator[Floats]:
                for block in log_mels:
                    self._frames += len(block)
                    yield block
                    report(0.0)

            def report(share: float) -> None:
                share = DECODING_SHARE + share * (1 - DECODING_SHARE)
                self._report(self._frames * HOP_SECONDS * share, audio)

            for rows in self.hear_whole(counted(), report):
                yield step, rows
                step += len(rows)
            self._conclude(self._frames, audio)

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Iterator[Floats]]]:
        """Decode, and make log-mels ahead of the model."""
        with open_audio(
            self.source, sample_rate=self.scorer.sample_rate, channel=self.channel, block_seconds=None
        ) as audio:
            self._report(0.0, audio)
            log_mels = log_mel_blocks(audio)
            if beside := getattr(self.scorer, "beside", None):  # whoever else gives scores need not have it
                log_mels = each_by(beside, log_mels)
            with closing(prefetch(log_mels, BLOCKS_AHEAD)) as blocks:
                try:
                    yield audio, blocks
                except (MemoryError, RuntimeError) as error:
                    if self.window_frames == self.scorer.window_frames or not says_out_of_memory(error):
                        raise
                    raise ContextError(
                        f"{self.file}: there is not enough memory to hear so much of it at once; a smaller --context, "
                        "such as 600, gives nearly the same"
                    ) from error

    def _conclude(self, frames: int, audio: Any) -> None:
        self.coverage = Coverage(
            header_seconds=audio.header_seconds,
            decoded_seconds=audio.decoded_seconds,
            filled_seconds=audio.filled_seconds,
            analysed_seconds=(frames - 1) * HOP_SECONDS + WINDOW_SECONDS,
            steps=count_steps(frames),
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

    def _report(self, seconds: float, audio: Any) -> None:
        if self.progress is not None:
            self.progress(seconds, audio.header_seconds)


class ScoreStream(StepStream):
    """The step scores of a recording: a row has a column for each class."""

    own_hop = True

    @property
    def labels(self) -> LabelSet:
        """Classes, in the order of the scores."""
        return self.scorer.labels

    def hear(self, features: Floats) -> Floats:
        """Score windows of one length: ``(windows, steps, classes)``."""
        return self.require_numbers(self.scorer.scores(features), "scores from 0 to 1")

    def hear_whole(self, blocks: Iterable[Floats], report: Callable[[float], None]) -> Iterator[Floats]:
        """Score one window of any length, in blocks ``(steps, classes)``."""
        for rows in self.scorer.stream_scores(blocks, report):
            yield self.require_numbers(rows, "scores from 0 to 1")


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

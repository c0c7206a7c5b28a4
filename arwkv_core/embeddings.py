"""From a recording to its embeddings, a vector a step, a window or the whole recording; in flat memory.

An embedding is what the model's head sees: the output of its last layer norm (`Tagger.embed`). docs/embeddings.md
says which mean is meant by which level.
"""

from collections.abc import Callable, Iterable, Iterator
from contextlib import closing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .constants import DEFAULT_MODEL, FRAMES_PER_STEP, HOP_SECONDS, STEP_SECONDS
from .context import Context
from .errors import UsageError
from .recording import Progress, Scorer, Source, StepStream
from .results import Coverage

if TYPE_CHECKING:
    from .tagger import Tagger

Floats = NDArray[np.float32]
Doubles = NDArray[np.float64]

LEVELS = ("step", "window", "recording")
"""What a vector stands for: 160 ms, a window of the model, or all of the recording."""

_EXPECTED = "embeddings that are numbers"

_FRAMES_PER_SECOND = round(1 / HOP_SECONDS)


@dataclass(frozen=True)
class EmbeddingBlock:
    """Vectors that follow one another.

    Parameters
    ----------
    starts, ends : ndarray
        ``(n,)`` float64, seconds from the recording's beginning.
    vectors : ndarray
        ``(n, width)`` float32.
    """

    starts: Doubles
    ends: Doubles
    vectors: Floats


@dataclass(frozen=True)
class Embeddings:
    """The embeddings of one recording.

    Parameters
    ----------
    file : str
        As the caller named it.
    model, weights_sha256 : str
        Name of the model, and the hash of its weights ("" if they come from no file).
    level : {"step", "window", "recording"}
        What a vector stands for.
    starts, ends : ndarray
        ``(n,)`` float64, seconds from the recording's beginning; the last end is the recording's.
    vectors : ndarray
        ``(n, width)`` float32, in the order of time.
    coverage : Coverage
    warnings : list of str
        What the decoder or the front end found odd.
    """

    file: str
    model: str
    weights_sha256: str
    level: str
    starts: Doubles = field(repr=False)
    ends: Doubles = field(repr=False)
    vectors: Floats = field(repr=False)
    coverage: Coverage
    warnings: list[str] = field(default_factory=list)


def embed(
    path: Source,
    *,
    level: str = "window",
    model: "str | Path | Tagger" = DEFAULT_MODEL,
    device: str = "auto",
    precision: str = "auto",
    channel: int | None = None,
    hop: float | None = None,
    context: Context = None,
) -> Embeddings:
    """Embed a recording.

    The options are those of ``arwkv embed``. For many recordings, load the model once: ``tagger = load()``, then
    ``tagger.embeddings(path)``. For recordings whose vectors don't fit into memory, see `EmbeddingStream`.

    Parameters
    ----------
    path : str, Path or BinaryIO
        A sound file of any length, ``"-"`` for stdin, or an open binary file.
    level : {"window", "step", "recording"}
        A vector for each window of the model (9.92 s, each half over the one before), for each 160 ms, or one in all.
    model : str, Path or Tagger
        See `load`; a loaded tagger is used as it is.
    device, precision : str
        See `load`; not used with a loaded tagger.
    channel : int, optional
        The channel to hear; the mean of all by default.
    hop : float, optional
        Seconds between the starts of windows, rounded to 0.16 s; half a window by default.
    context : float or "full", optional
        Seconds that the model hears at once, or the whole recording, if it can; its own window by default.

    Returns
    -------
    Embeddings

    Raises
    ------
    AudioError
        If the recording can't be decoded or is shorter than 25 ms.
    UsageError
        If an option is out of range.

    Examples
    --------
    >>> result = embed("recording.wav", level="step")
    >>> result.vectors.shape, result.starts[:3]
    ((375, 192), array([0.  , 0.16, 0.32]))
    """
    from .tagger import Tagger, load

    tagger = model if isinstance(model, Tagger) else load(model, device, precision)
    return tagger.embeddings(path, level=level, channel=channel, hop=hop, context=context)


class EmbeddingStream:
    """The embeddings of a recording, in blocks, as they become final.

    Parameters
    ----------
    scorer : Scorer
        A loaded model.
    source, channel, hop, context, progress
        See `ScoreStream`.
    level : {"step", "window", "recording"}

    Attributes
    ----------
    level : str

    Raises
    ------
    UsageError
        If the level is another, ``hop`` or ``context`` is out of range, or the model takes its own window only.

    Examples
    --------
    >>> for block in EmbeddingStream(tagger, "night.flac", level="step"):
    ...     index.add(block.vectors)
    """

    def __init__(
        self,
        scorer: Scorer,
        source: Source,
        *,
        level: str = "window",
        channel: int | None = None,
        hop: float | None = None,
        context: Context = None,
        progress: Progress | None = None,
    ) -> None:
        if level not in LEVELS:
            raise UsageError(f"--level: expected {', '.join(LEVELS)}, found {level}")
        self.level = level
        self._steps = _StepEmbeddings(
            scorer, source, channel=channel, hop=hop, context=context, progress=progress
        )

    @property
    def file(self) -> str:
        """The recording, as the caller named it."""
        return self._steps.file

    @property
    def model_name(self) -> str:
        """Name of the model."""
        return self._steps.model_name

    @property
    def provenance(self) -> dict[str, Any]:
        """All that decides what the vectors of a recording are: plain values, as JSON has them."""
        steps = self._steps
        tables = steps.scorer.provenance
        model = tables["model"]
        return {
            "level": self.level,
            "model": {key: model[key] for key in ("name", "weights_sha256", "precision") if key in model},
            "front_end": {**tables["front_end"], "channel": steps.channel},
            "windows": {
                "frames": steps.window_frames,
                "hop_frames": steps.hop_frames,
                "step_seconds": STEP_SECONDS,
            },
        }

    @property
    def coverage(self) -> Coverage:
        """How much of the recording was heard; valid once the stream has ended."""
        return self._steps.coverage

    @property
    def warnings(self) -> list[str]:
        """What the decoder or the front end found odd; valid once the stream has ended."""
        return self._steps.warnings

    def __iter__(self) -> Iterator[EmbeddingBlock]:
        """Yield the vectors, each once, in order.

        Raises
        ------
        AudioError
            If the recording can't be decoded or is shorter than a frame (25 ms).
        CheckpointError
            If the model gives no numbers.
        """
        levels = {"step": self._by_step, "window": self._by_window, "recording": self._of_recording}
        return levels[self.level]()

    def collect(self) -> Embeddings:
        """Return all of it at once: a step's vector is 768 bytes with 192 columns, an hour of them 17 MB."""
        blocks = list(self)
        return Embeddings(
            file=self.file,
            model=self.model_name,
            weights_sha256=self.provenance["model"]["weights_sha256"],
            level=self.level,
            starts=np.concatenate([block.starts for block in blocks]),
            ends=np.concatenate([block.ends for block in blocks]),
            vectors=np.concatenate([block.vectors for block in blocks]),
            coverage=self.coverage,
            warnings=self.warnings,
        )

    def _by_step(self) -> Iterator[EmbeddingBlock]:
        for first, rows, final in self._rows():
            times = _seconds(FRAMES_PER_STEP * np.arange(first, first + len(rows) + 1))
            if final:
                times[-1] = self.coverage.decoded_seconds
            yield EmbeddingBlock(times[:-1], times[1:], rows)

    def _by_window(self) -> Iterator[EmbeddingBlock]:
        last: tuple[int, Floats] | None = None  # its end is known when the recording ends
        with closing(self._steps.windows()) as windows:
            for window, rows in windows:
                if last is not None:
                    yield _window(*last, float(_seconds(last[0] + FRAMES_PER_STEP * len(last[1]))))
                last = window.start, rows
        if last is not None:
            yield _window(*last, self.coverage.decoded_seconds)

    def _of_recording(self) -> Iterator[EmbeddingBlock]:
        total: Doubles | None = None
        for first, rows, final in self._rows():
            seconds = np.full(len(rows), STEP_SECONDS)
            if final:
                seconds[-1] = self.coverage.decoded_seconds - first * STEP_SECONDS
            part: Doubles = seconds @ rows.astype(np.float64)
            total = part if total is None else total + part
        assert total is not None, "a recording has a step at least"
        length = self.coverage.decoded_seconds
        yield EmbeddingBlock(np.zeros(1), np.array([length]), (total / length).astype(np.float32)[None])

    def _rows(self) -> Iterator[tuple[int, Floats, bool]]:
        """Yield the steps' rows, the index of the first, and whether it is the last step, which comes alone.

        It comes when the recording has ended: only then is its length known.
        """
        first = 0
        held: Floats | None = None
        with closing(iter(self._steps)) as blocks:
            for block in blocks:
                rows = block if held is None else np.concatenate([held, block])
                if len(rows) > 1:
                    yield first, rows[:-1], False
                    first += len(rows) - 1
                held = rows[-1:]
        if held is not None:
            yield first, held, True


class _StepEmbeddings(StepStream):
    """A row a step, blended where windows overlap, as scores are."""

    def hear(self, features: Floats) -> Floats:
        return self.require_numbers(self.scorer.embed(features), _EXPECTED)

    def hear_whole(self, blocks: Iterable[Floats], report: Callable[[float], None]) -> Iterator[Floats]:
        for rows in self.scorer.stream_embeddings(blocks, report):
            yield self.require_numbers(rows, _EXPECTED)


def _window(start: int, rows: Floats, end: float) -> EmbeddingBlock:
    """The mean of a window's steps ``(steps, width)``, weighted with their lengths; the last ends with it."""
    first = float(_seconds(start))
    seconds = np.full(len(rows), STEP_SECONDS)
    seconds[-1] = end - first - (len(rows) - 1) * STEP_SECONDS
    mean = seconds @ rows.astype(np.float64) / (end - first)
    return EmbeddingBlock(np.array([first]), np.array([end]), mean.astype(np.float32)[None])


def _seconds(frames: Any) -> Any:
    """When frames begin. A quotient is the float64 nearest to the time, a product with 0.01 need not be."""
    return frames / _FRAMES_PER_SECOND

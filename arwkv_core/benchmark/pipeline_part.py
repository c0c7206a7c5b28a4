"""``arwkv tag`` on a long mp3: the whole process for each shape, and what decoding and features add to the model."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
from numpy.typing import NDArray

from arwkv_core.audio import open_audio
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.features import log_mel_blocks
from arwkv_core.recording import ScoreStream
from arwkv_core.tagger import Tagger

from .correctness import WrongOutput
from .model_check import check_tagger
from .outcome import Failure, Outcome, row
from .precisions import choose, load_on_cpu
from .settings import Settings
from .targets import MINUTES
from .timing import ratios, side_by_side
from .workplace import Workplace

Floats = NDArray[np.float32]


class HeardAlready(ScoreStream):
    """Scores of a recording whose log-mels are in memory: the model's work alone.

    Parameters
    ----------
    tagger : Tagger
    path : str
    """

    def __init__(self, tagger: Tagger, path: str) -> None:
        super().__init__(tagger, path)
        with open_audio(path) as audio:
            self._blocks = list(log_mel_blocks(audio))
            self._audio = audio

    @contextmanager
    def _open(self) -> Iterator[tuple[Any, Iterator[Floats]]]:
        yield self._audio, iter(self._blocks)


def measure_pipeline(settings: Settings, place: Workplace) -> Iterator[Outcome]:
    """Measure each shape, after its scores in the precision that is picked by itself were checked."""
    precision, _ = choose()
    sound = 60 * settings.minutes
    at_target = settings.minutes >= MINUTES
    for shape in settings.model:
        what = f"arwkv tag of a {settings.minutes:g}-minute mp3, {shape} shape"
        note = "bundled model, as one calls it" if shape == "T" else "random weights, no overlap"
        try:
            tagger = load_on_cpu(DEFAULT_MODEL if shape == "T" else place.random_model(shape), precision)
            check_tagger(tagger, precision)
            runs = place.tagged(shape)
        except WrongOutput as error:
            yield Failure(f"pipeline.{shape}", what, str(error))
            continue
        yield row(
            f"pipeline.{shape}",
            what,
            "× real time",
            [sound / done.seconds for done in runs],
            as_asked=at_target,
            note=f"{note}, {precision}",
        )
        if shape == "T":
            yield from _front_end_share(settings, place, tagger)


def _front_end_share(settings: Settings, place: Workplace, tagger: Tagger) -> Iterator[Outcome]:
    path = str(place.recording(60 * settings.minutes))
    whole, alone = ScoreStream(tagger, path), HeardAlready(tagger, path)

    def steps(stream: ScoreStream) -> int:
        return sum(len(rows) for rows in stream)

    if steps(whole) != steps(alone):
        raise WrongOutput("the model heard another number of steps from log-mels in memory")
    seconds = side_by_side({"whole": lambda: steps(whole), "alone": lambda: steps(alone)}, settings.repeats)
    yield row(
        "pipeline.front_end_share",
        "decoding, resampling and log-mels beside the model: share of the whole, T shape",
        "%",
        [100 * (1 - share) for share in ratios(seconds["alone"], seconds["whole"])],
        as_asked=settings.minutes >= MINUTES,
        note="the same windows with their log-mels in memory take the rest",
    )

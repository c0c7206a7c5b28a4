"""How well a model finds events in annotated recordings: when each class sounds, not only that it does."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from arwkv_core.context import Context
from arwkv_core.errors import UsageError
from arwkv_core.event_defaults import EventDefaults
from arwkv_core.event_plan import EventPlan
from arwkv_core.event_settings import EventSettings
from arwkv_core.labels import LabelSet

from .annotations import read_annotations
from .f_scores import event_f1, segment_f1
from .heard import Heard
from .plain_numbers import plain
from .psds import PSDS1, PSDS2, psds
from .segments import SEGMENT_SECONDS, segment_average_precision, segment_scores, segment_truth

if TYPE_CHECKING:
    from arwkv_core.tagger import Tagger

COLLAR_SECONDS = 0.2
OFFSET_SHARE = 0.2
SHORTEST_SEGMENT = 0.01
LONGEST_SECONDS = 3600.0


@dataclass(frozen=True)
class DetectedClass:
    """One annotated class: its events and seconds, and how well it is found."""

    name: str
    mid: str
    events: int
    seconds: float
    segment_ap: float
    segment_f1: float
    event_f1: float


@dataclass(frozen=True)
class DetectionEvaluation:
    """Metrics of one model on annotated recordings.

    Attributes
    ----------
    segment_map : float
        Mean over the classes of the average precision over segments.
    segment_f1_micro, segment_f1_macro, event_f1_micro, event_f1_macro : float
        Of the events that ``arwkv timeline --no-roll-up`` finds; see `f_scores`.
    psds1, psds2 : float
        Of the scores, over all thresholds, see `psds.PSDS1`.
    unknown_classes : tuple of str
        Annotated, but not among the model's classes: left out of all numbers.
    """

    model: str
    recordings: int
    seconds: float
    events: int
    segment_seconds: float
    collar_seconds: float
    offset_share: float
    segment_map: float
    segment_f1_micro: float
    segment_f1_macro: float
    event_f1_micro: float
    event_f1_macro: float
    psds1: float
    psds2: float
    unknown_classes: tuple[str, ...]
    classes: tuple[DetectedClass, ...]

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        return {key: plain(value) for key, value in asdict(self).items()}


MEASURES = tuple(
    name
    for name in DetectionEvaluation.__annotations__
    if name.startswith(("segment_m", "segment_f", "event_", "psds"))
)
"""Measures that may be required."""


def evaluate_detection(
    model: str | Path | Tagger,
    events: str | Path | Sequence[str | Path],
    *,
    audio: str | Path | None = None,
    segment: float = SEGMENT_SECONDS,
    collar: float = COLLAR_SECONDS,
    offset_share: float = OFFSET_SHARE,
    on: float | None = None,
    hop: float | None = None,
    context: Context = None,
    device: str = "auto",
    precision: str = "auto",
    progress: bool = True,
) -> DetectionEvaluation:
    """Find the annotated classes in annotated recordings, and compare.

    Parameters
    ----------
    model : str, Path or Tagger
        As for `arwkv_core.load`; a loaded tagger is used as it is.
    events : str, Path or sequence of them
        Annotations: a file or folder that `annotations.read_annotations` reads.
    audio : str or Path, optional
        The folder where the recordings lie.
    segment : float
        Seconds of a segment.
    collar : float
        Seconds by which an onset may be off, and an offset at least.
    offset_share : float
        Share of an event's length by which its offset may be off, if that is more.
    on, hop, context
        See `arwkv_core.timeline`.
    device, precision : str
        As for `arwkv_core.load`.
    progress : bool
        Show a bar on stderr.

    Raises
    ------
    UsageError
        If an option is out of range, or the annotations can't be used.
    AudioError
        If a recording can't be decoded.
    """
    from tqdm.auto import tqdm

    from arwkv_core.tagger import Tagger, load

    _check_ranges(segment, collar, offset_share)
    tagger = model if isinstance(model, Tagger) else load(model, device, precision)
    paths = [events] if isinstance(events, str | Path) else list(events)
    annotations = read_annotations(paths, tagger.labels, audio=audio)
    settings = EventSettings(on=on, include=annotations.labels.mids, roll_up=False)
    defaults = EventDefaults.of_folder(tagger.folder, tagger.config.active_threshold)
    plan = EventPlan.of(settings, tagger.labels, defaults)
    columns = [tagger.labels.index(mid) for mid in annotations.labels.mids]
    places = {mid: place for place, mid in enumerate(annotations.labels.mids)}
    recordings = []
    for file, truth in tqdm(
        annotations.recordings, desc="recordings", unit="recording", disable=not progress
    ):
        steps = tagger.step_scores(file, hop=hop, context=context, raw_scores=True)
        seconds = steps.coverage.decoded_seconds
        search = plan.search()
        search.add(steps.values)
        found = [(each.start, each.end, places[each.mid]) for each in search.finish(seconds)]
        within = [(start, min(end, seconds), column) for start, end, column in truth if start < seconds]
        recordings.append(Heard(seconds, within, found, steps.values[:, columns].copy(), steps.edges))
    return measure(
        recordings, annotations.labels, tagger.name, segment, collar, offset_share, annotations.unknown
    )


def measure(
    recordings: Sequence[Heard],
    labels: LabelSet,
    model: str,
    segment: float = SEGMENT_SECONDS,
    collar: float = COLLAR_SECONDS,
    offset_share: float = OFFSET_SHARE,
    unknown: tuple[str, ...] = (),
) -> DetectionEvaluation:
    """Compute all metrics of recordings whose scores and events are known; see `evaluate_detection`."""
    classes = len(labels)
    truth = [segment_truth(heard.truth, classes, heard.seconds, segment) for heard in recordings]
    scores = [segment_scores(heard.scores, heard.edges, segment) for heard in recordings]
    precisions = segment_average_precision(truth, scores)
    by_segment = segment_f1(recordings, classes, segment)
    by_event = event_f1(recordings, classes, collar, offset_share)
    spans = [span for heard in recordings for span in heard.truth]
    return DetectionEvaluation(
        model=model,
        recordings=len(recordings),
        seconds=sum(heard.seconds for heard in recordings),
        events=len(spans),
        segment_seconds=segment,
        collar_seconds=collar,
        offset_share=offset_share,
        segment_map=float(np.nanmean(precisions)) if np.isfinite(precisions).any() else float("nan"),
        segment_f1_micro=by_segment.micro,
        segment_f1_macro=by_segment.macro,
        event_f1_micro=by_event.micro,
        event_f1_macro=by_event.macro,
        psds1=psds(recordings, classes, PSDS1),
        psds2=psds(recordings, classes, PSDS2),
        unknown_classes=unknown,
        classes=tuple(
            DetectedClass(
                name=labels.names[k],
                mid=labels.mids[k],
                events=sum(column == k for _, _, column in spans),
                seconds=sum(end - start for start, end, column in spans if column == k),
                segment_ap=float(precisions[k]),
                segment_f1=by_segment.classes[k],
                event_f1=by_event.classes[k],
            )
            for k in range(classes)
        ),
    )


def _check_ranges(segment: float, collar: float, offset_share: float) -> None:
    for option, value, least, most in (
        ("--segment", segment, SHORTEST_SEGMENT, LONGEST_SECONDS),
        ("--collar", collar, 0.0, LONGEST_SECONDS),
        ("--offset-share", offset_share, 0.0, 1.0),
    ):
        if not least <= value <= most:  # NaN fails too
            raise UsageError(f"{option}: expected {least:g} to {most:g}, found {value:g}")

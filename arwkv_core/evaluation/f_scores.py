"""F1 of segments and of events through sed_eval, the field's own program.

It comes with ``pip install "arwkv[evaluate]"``. One thing is mended on the way: it leaves a class that was never found
out of its mean over the classes, so that saying nothing helps. Here such a class counts 0.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.util import find_spec
from typing import Any

import numpy as np

from arwkv_core.errors import UsageError

from .heard import Heard
from .segments import Span

PACKAGE = "sed_eval"
INSTALL = 'pip install "arwkv[evaluate]"'


@dataclass(frozen=True)
class FScores:
    """F1: of all decisions together, the mean over the classes that sound somewhere, and of each class."""

    micro: float
    macro: float
    classes: tuple[float, ...]


def check_installed() -> None:
    """Refuse to begin without the package.

    Raises
    ------
    UsageError
        With the command that installs it.
    """
    if find_spec(PACKAGE) is None:
        raise UsageError(f"--events: needs {PACKAGE}: {INSTALL}")


def segment_f1(recordings: Sequence[Heard], names: Sequence[str], length: float) -> FScores:
    """Segment-based F1: a decision for each class and each segment of ``length`` seconds.

    Parameters
    ----------
    recordings : sequence of Heard
    names : sequence of str
        Of the classes, all different.
    length : float
    """
    from sed_eval.sound_event import SegmentBasedMetrics

    metrics = SegmentBasedMetrics(list(names), time_resolution=length)
    for heard in recordings:
        metrics.evaluate(
            _rows(heard, heard.truth, names),
            _rows(heard, heard.found, names),
            evaluated_length_seconds=heard.seconds,
        )
    return _f_scores(metrics, names)


def event_f1(
    recordings: Sequence[Heard], names: Sequence[str], collar: float, offset_share: float
) -> FScores:
    """Event-based F1: an event counts if class, onset and offset are right.

    Parameters
    ----------
    recordings : sequence of Heard
    names : sequence of str
        Of the classes, all different.
    collar : float
        Seconds by which an onset may be off, and an offset at least.
    offset_share : float
        Share of the true event's length by which its offset may be off, if that is more.
    """
    from sed_eval.sound_event import EventBasedMetrics

    metrics = EventBasedMetrics(list(names), t_collar=collar, percentage_of_length=offset_share)
    for heard in recordings:
        metrics.evaluate(_rows(heard, heard.truth, names), _rows(heard, heard.found, names))
    return _f_scores(metrics, names)


def _rows(heard: Heard, spans: Sequence[Span], names: Sequence[str]) -> list[dict[str, Any]]:
    return [
        {"filename": heard.name, "event_onset": start, "event_offset": end, "event_label": names[column]}
        for start, end, column in spans
    ]


def _f_scores(metrics: Any, names: Sequence[str]) -> FScores:
    by_class = metrics.results_class_wise_metrics()
    classes = tuple(_zero_if_nan(by_class[name]["f_measure"]["f_measure"]) for name in names)
    sounding = [f for f, name in zip(classes, names, strict=True) if by_class[name]["count"]["Nref"] > 0]
    return FScores(
        micro=_zero_if_nan(metrics.results_overall_metrics()["f_measure"]["f_measure"]),
        macro=float(np.mean(sounding)) if sounding else math.nan,
        classes=classes,
    )


def _zero_if_nan(value: float) -> float:
    return 0.0 if math.isnan(value) else float(value)

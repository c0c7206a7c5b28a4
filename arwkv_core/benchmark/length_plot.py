"""Time and memory over the length of a recording, as a picture."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterable, Sequence
from pathlib import Path
from typing import Any

from arwkv_core.errors import UsageError
from arwkv_core.whole_file import PARTIAL_SUFFIX

from .length_curve import Point

SIZE_INCHES = (9.0, 3.8)
DOTS_AN_INCH = 110
INK = "#3b3b3b"
FAINT = "#d8d8d8"
COLOURS = ("#1b7f79", "#2f5fa8", "#7a4fa3", "#c8553d")
MARKERS = ("o", "s", "^", "D")

TICKS = {10: "10 s", 60: "1 min", 600: "10 min", 3_600: "1 h"}


def require_matplotlib() -> None:
    """Refuse to measure what can't be drawn afterwards.

    Raises
    ------
    UsageError
        If matplotlib is not installed.
    """
    if importlib.util.find_spec("matplotlib") is None:
        raise UsageError("--plot: needs matplotlib: pip install 'arwkv[bench]'")


def draw(points: Sequence[Point], path: Path) -> None:
    """Draw the curves into a PNG; the file appears whole or not at all.

    Parameters
    ----------
    points : sequence of Point
        Of any number of models, each by growing length.
    path : Path
    """
    from matplotlib.figure import Figure

    figure = Figure(figsize=SIZE_INCHES, dpi=DOTS_AN_INCH, layout="constrained")
    left, right = figure.subplots(1, 2)
    models = list(dict.fromkeys(point.model for point in points))
    for model, colour, marker in zip(models, COLOURS, MARKERS, strict=False):
        own = [point for point in points if point.model == model]
        _line(left, model, [(p.sound_seconds, p.seconds) for p in own], colour, marker)
        _line(right, model, [(p.sound_seconds, p.bytes / 1e6) for p in own if p.bytes], colour, marker)
    _finish(left, "time (s)")
    _finish(right, "memory above the loaded model (MB)")
    left.legend(frameon=False, fontsize=9, labelcolor=INK)
    unfinished = path.with_name(path.name + PARTIAL_SUFFIX)
    figure.savefig(unfinished, format="png")
    unfinished.replace(path)


def _line(axes: Any, model: str, values: Iterable[tuple[float, float]], colour: str, marker: str) -> None:
    pairs = list(values)
    if pairs:
        lengths, heights = zip(*pairs, strict=True)
        axes.plot(lengths, heights, label=model, color=colour, marker=marker, markersize=4, linewidth=1.6)


def _finish(axes: Any, what: str) -> None:
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(list(TICKS), list(TICKS.values()))
    axes.set_xticks([], minor=True)
    axes.set_xlabel("sound heard at once", color=INK)
    axes.set_title(what, fontsize=10, color=INK, loc="left")
    axes.grid(True, which="major", color=FAINT, linewidth=0.6)
    axes.tick_params(colors=INK, labelsize=9)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)

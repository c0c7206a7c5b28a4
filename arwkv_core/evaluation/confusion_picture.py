"""A confusion matrix as a picture."""

from __future__ import annotations

from importlib.util import find_spec
from pathlib import Path

import numpy as np

from arwkv_core.errors import UsageError
from arwkv_core.whole_file import WholeFile

from .confusion import Confusion

CELL_INCHES = 0.45
MARGIN_INCHES = 2.6
DOTS_PER_INCH = 120


def check_drawable() -> None:
    """Refuse to begin without matplotlib.

    Raises
    ------
    UsageError
        With the command that installs it.
    """
    if find_spec("matplotlib") is None:
        raise UsageError("--confusion: needs matplotlib: pip install matplotlib")


def draw_confusion(confusion: Confusion | None, path: Path, title: str, *, overwrite: bool = False) -> None:
    """Write a PNG: a row for each true class, a column for each that is heard, darker for a larger share of the row.

    Parameters
    ----------
    confusion : Confusion or None
    path : Path
        Whatever its ending, the file is a PNG.
    title : str
    overwrite : bool
        Replace what is there.

    Raises
    ------
    UsageError
        If there is nothing to draw.
    """
    if confusion is None:
        raise UsageError(
            "--confusion: expected clips of one label each, found none, or labels that go together with several others"
        )
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    counts = np.array(confusion.counts)
    shares = counts / np.maximum(counts.sum(1, keepdims=True), 1)
    size = MARGIN_INCHES + CELL_INCHES * len(counts)
    figure = Figure(figsize=(size, size), layout="constrained")
    FigureCanvasAgg(figure)
    axes = figure.add_subplot()
    axes.imshow(shares, cmap="Blues", vmin=0, vmax=1)
    axes.set_title(title)
    axes.set_xlabel("heard")
    axes.set_ylabel("true")
    places = range(len(counts))
    axes.set_xticks(places, confusion.names, rotation=60, ha="right", rotation_mode="anchor")
    axes.set_yticks(places, confusion.names)
    for row, column in zip(*np.nonzero(counts), strict=True):
        color = "white" if shares[row, column] > 0.5 else "black"
        axes.text(column, row, str(counts[row, column]), ha="center", va="center", color=color)
    file = WholeFile(path, overwrite=overwrite)
    try:
        figure.savefig(file.stream.buffer, format="png", dpi=DOTS_PER_INCH)
    except BaseException:
        file.discard()
        raise
    file.commit()

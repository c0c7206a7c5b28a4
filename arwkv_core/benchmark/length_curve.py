"""Time and memory over the length of what is heard at once: A-RWKV with full context, and AST.

Each point is a process of its own, since memory that was held once may stay with a process.
"""

from __future__ import annotations

import json
import sys
from collections.abc import Callable, Iterator
from dataclasses import dataclass

from arwkv_core.errors import ArwkvError

from .peers import ast
from .precisions import resolved_precisions
from .process import run
from .settings import Settings
from .workplace import Workplace

LENGTHS = (10, 30, 60, 120, 300, 600, 1_800, 3_600)
"""Seconds of sound."""

LONGEST_RUN = 30.0
"""Seconds: a curve ends where its next point would take longer."""

GROWTH = {"ast": 2, "arwkv": 1}
"""Power of the length with which the time of a long recording grows."""


@dataclass(frozen=True)
class Point:
    """One length of one model.

    Attributes
    ----------
    model : str
        Its name for people.
    sound_seconds : float
        Heard at once.
    seconds : float
        Median time of a run.
    bytes : int or None
        Memory at the height of a run, above that of the loaded model; None where the system doesn't tell.
    """

    model: str
    sound_seconds: float
    seconds: float
    bytes: int | None


def measure_curves(settings: Settings, progress: Callable[[str], None]) -> Iterator[Point]:
    """Measure A-RWKV of all shapes, and AST-B if it is installed, in the first precision of the settings."""
    precision = resolved_precisions(settings.precision)[0]
    with Workplace(settings) as place:
        for shape in settings.model:
            folder = place.random_model(shape)
            yield from _curve("arwkv", str(folder), f"A-RWKV-{shape}", precision, settings, progress)
    if ast.PEER.obstacle() is None and precision != "int8":
        yield from _curve("ast", "ast", "AST-B", precision, settings, progress)


def _curve(
    kind: str, model: str, what: str, precision: str, settings: Settings, progress: Callable[[str], None]
) -> Iterator[Point]:
    title = f"{what}, {precision}"
    last: Point | None = None
    for length in LENGTHS:
        if last and last.seconds * (length / last.sound_seconds) ** GROWTH[kind] > LONGEST_RUN:
            return
        progress(f"{title}, {length} s at once")
        command = [sys.executable, "-m", "arwkv_core.benchmark.length_point"]
        command += [kind, model, str(length), precision, str(settings.repeats)]
        try:
            found = json.loads(run(command, settings.threads).output)
        except ArwkvError:
            if last is None:
                raise
            return  # out of memory: the curve ends here
        last = Point(title, length, found["seconds"], found["bytes"])
        yield last

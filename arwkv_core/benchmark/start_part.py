"""How long one waits for the first answer: processes from their start to their end, on a warm disk."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from arwkv_core.errors import ArwkvError

from .correctness import WrongOutput
from .outcome import Outcome, row
from .process import arwkv, run
from .settings import Settings
from .workplace import Workplace

CLIP_SECONDS = 10.0


def measure_start(settings: Settings, place: Workplace) -> Iterator[Outcome]:
    """Measure ``arwkv tag`` of a short file, ``arwkv --help``, and what of it is torch's."""
    tagged = place.tag(CLIP_SECONDS)
    note = "bundled model, compiled kernels in the cache"
    yield row(
        "start.tag",
        "arwkv tag of a 10 s mp3, cold process",
        "s",
        [done.seconds for done in tagged],
        note=note,
    )
    helped = _times(settings, arwkv("--help"))
    yield row("start.help", "arwkv --help", "s", helped)
    yield row(
        "start.import_torch",
        "python -c 'import torch'",
        "s",
        _times(settings, [sys.executable, "-c", "import torch"]),
    )


def _times(settings: Settings, command: list[str]) -> list[float]:
    try:
        done = [run(command, settings.threads) for _ in range(settings.repeats + 1)]
    except ArwkvError as error:
        raise WrongOutput(str(error)) from error
    return [one.seconds for one in done[1:]]

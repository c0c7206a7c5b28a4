"""How much memory ``arwkv tag`` takes at its height, on top of what ``import torch`` alone takes."""

from __future__ import annotations

import sys
from collections.abc import Iterator

from .outcome import NotRun, Outcome, row
from .process import run
from .settings import Settings
from .targets import MINUTES
from .workplace import Workplace


def measure_memory(settings: Settings, place: Workplace) -> Iterator[Outcome]:
    """Measure the T shape on the long recording."""
    what = f"peak memory of arwkv tag, {settings.minutes:g}-minute mp3, T shape, above import torch"
    imported = [
        run([sys.executable, "-c", "import torch"], settings.threads) for _ in range(settings.repeats)
    ]
    runs = place.tagged("T")
    before = [done.peak_bytes for done in imported if done.peak_bytes is not None]
    peaks = [done.peak_bytes for done in runs if done.peak_bytes is not None]
    if not before or not peaks:
        yield NotRun("memory.T", what, "this system does not tell the peak memory of a process")
        return
    yield row("memory.import_torch", "peak memory of import torch", "MB", [peak / 1e6 for peak in before])
    yield row(
        "memory.T",
        what,
        "MB",
        [(peak - base) / 1e6 for peak, base in zip(peaks, before, strict=True)],
        as_asked=settings.minutes >= MINUTES,
        note="bundled model",
    )

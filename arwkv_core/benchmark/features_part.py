"""The front end alone: log-mels of sound in memory, and of an mp3 file from its first byte on."""

from __future__ import annotations

from collections.abc import Iterator

import torch

from arwkv_core.audio import open_audio
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.features import log_mel, log_mel_blocks

from .correctness import WrongOutput
from .outcome import Outcome, row
from .plain_features import TOLERANCE, largest_error
from .recordings import waveform
from .settings import Settings
from .timing import side_by_side
from .workplace import Workplace

SECONDS = 600.0
"""Of sound in memory."""


def measure_features(settings: Settings, place: Workplace) -> Iterator[Outcome]:
    """Measure both.

    Raises
    ------
    WrongOutput
        If log-mels are off.
    """
    error = largest_error()
    if not error <= TOLERANCE:
        raise WrongOutput(f"log-mels: expected an error of at most {TOLERANCE:g}, found {error:.2g}")
    sound = waveform(SECONDS, SAMPLE_RATE)
    file_seconds = 60 * settings.minutes
    path = place.recording(file_seconds)

    def from_file() -> None:
        with open_audio(path) as audio:
            frames = sum(len(block) for block in log_mel_blocks(audio))
        assert frames > 99 * file_seconds, "a part of the recording was not decoded"

    seconds = side_by_side({"memory": lambda: log_mel(sound), "file": from_file}, settings.repeats)
    threads = f"{torch.get_num_threads()} threads"
    yield row(
        "features.in_memory",
        f"log-mels of {SECONDS / 60:g} minutes in memory",
        "× real time",
        [SECONDS / t for t in seconds["memory"]],
        note=threads,
    )
    yield row(
        "features.of_mp3",
        f"decoding, resampling, log-mels of a {settings.minutes:g}-minute mp3, 44.1 kHz stereo",
        "× real time",
        [file_seconds / t for t in seconds["file"]],
        note=threads,
    )

"""What a clip says of its origin in its own metadata, so that it is known again whatever its name."""

from __future__ import annotations

import json
import os
import stat
from pathlib import Path
from typing import Any

import soundfile

from .clip_file import c_name
from .errors import AudioError
from .results import Event
from .source_identity import sample_hash

_TIME_DECIMALS = 6


def fingerprint(file: str) -> str:
    """Tell a recording's content by a short text.

    Raises
    ------
    AudioError
        If it is nothing that can be read twice.
    OSError
        If it can't be read.
    """
    if file == "-":
        raise AudioError("-: was heard from stdin, which can't be read twice; expected a file")
    status = os.stat(file)  # noqa: PTH116 (paths stay text)
    if not stat.S_ISREG(status.st_mode):
        kind = "a folder" if stat.S_ISDIR(status.st_mode) else "a pipe or a device"
        raise AudioError(f"{file}: is {kind}; expected a file, since it is read twice")
    return sample_hash(file, status.st_size)[:16]


def describe_origin(file: str, sample: str, event: Event, start: float, end: float) -> dict[str, Any]:
    """Return what a clip says of itself; without scores, which another model would change.

    Parameters
    ----------
    file : str
        The recording; only its name is told, since folders are moved.
    sample : str
        Its `fingerprint`.
    event : Event
    start, end : float
        Seconds of the event with its padding, which may reach beyond the recording's end.
    """
    return {
        "clip_of": Path(file).name,
        "start": round(start, _TIME_DECIMALS),
        "end": round(end, _TIME_DECIMALS),
        "class": event.name,
        "mid": event.mid,
        "sample": sample,
    }


def same_cut(found: dict[str, Any], about: dict[str, Any]) -> bool:
    """Whether a clip is cut from a recording of this name, at this place, for this event."""
    return all(found.get(key) == about[key] for key in about if key != "sample")


def read_origin(place: Path) -> dict[str, Any] | None:
    """Return what an existing file says of itself; None if it is no clip of ours.

    Returns
    -------
    dict or None
        As from `describe_origin`, with its ``rate``, ``channels`` and ``frames``, and a ``gain`` that isn't 1.
    """
    try:
        with soundfile.SoundFile(c_name(place)) as file:
            found = json.loads(file.comment)
            found.update(rate=file.samplerate, channels=file.channels, frames=file.frames)
            return dict(found)
    except (soundfile.SoundFileError, RuntimeError, OSError, ValueError, AttributeError, TypeError):
        return None

"""Frames that FFmpeg decoded, a few milliseconds each, joined into longer ones, and those as arrays."""

from __future__ import annotations

from typing import Any

import av
import numpy as np

_FULL_SCALE = {"s16": 2**15, "s32": 2**31, "s64": 2**63}


class FrameQueue:
    """Decoded frames of one kind, joined by FFmpeg: to Python a frame of any length costs the same."""

    def __init__(self) -> None:
        self._queue = av.AudioFifo()
        self._full: list[Any] = []
        self.frames = 0
        """Samples of each channel."""

    def add(self, frame: Any) -> None:
        """Take a frame of the same kind (format, rate, channels) as those before it."""
        self.frames += frame.samples
        frame.pts = None  # of which the queue would keep account itself
        try:
            self._queue.write(frame)
        except ValueError:  # another clock
            self._end()
            self._queue.write(frame)

    def take(self) -> list[Any]:
        """The frames, joined; the next may be of another kind."""
        self._end()
        full, self._full, self.frames = self._full, [], 0
        return full

    def _end(self) -> None:
        if self._queue.samples:
            self._full.append(self._queue.read())
        self._queue = av.AudioFifo()


def floats_of(frame: Any) -> np.ndarray:
    """Samples of a frame (n, channels) float32, integers divided by their full scale."""
    array = frame.to_ndarray()
    samples: np.ndarray  # (n, channels)
    samples = array.T if frame.format.is_planar else array.reshape(-1, frame.layout.nb_channels)
    kind = frame.format.name.rstrip("p")
    with np.errstate(over="ignore"):  # a double beyond float32 becomes infinite, and is counted as invalid
        floats = samples.astype(np.float32, copy=False)
    if kind == "u8":
        floats -= 128.0
        floats /= 128.0
    elif kind in _FULL_SCALE:
        floats *= np.float32(1 / _FULL_SCALE[kind])  # a power of two: exact
    return floats

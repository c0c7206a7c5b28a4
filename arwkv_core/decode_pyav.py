"""Decoding with FFmpeg's libraries through PyAV: m4a, aac, webm, mp4, mkv, wma ... and the sound of videos."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import av
import numpy as np


class PyavDecoder:
    def __init__(self, file: Any) -> None:
        self._container = av.open(os.fspath(file) if isinstance(file, str | os.PathLike) else file)
        self._stream = self._container.streams.audio[0]
        self.sample_rate: int = self._stream.rate
        self.channels: int = self._stream.channels
        seconds = None if self._stream.duration is None else float(self._stream.duration * self._stream.time_base)
        self.header_frames = None if seconds is None else round(seconds * self.sample_rate)
        self.warnings: list[str] = []

    def blocks(self) -> Iterator[np.ndarray]:
        convert = av.AudioResampler(format="fltp")
        for frame in self._container.decode(self._stream):
            for part in convert.resample(frame):
                yield part.to_ndarray().T

    def close(self) -> None:
        self._container.close()

"""Decoding with libsndfile: wav, flac, ogg, opus, mp3, aiff, w64, caf ..."""

from __future__ import annotations

import os
from collections.abc import Iterator
from typing import Any

import numpy as np
import soundfile

BLOCK_SECONDS = 1.0


class SoundfileDecoder:
    def __init__(self, file: Any) -> None:
        self._file = soundfile.SoundFile(os.fsencode(file) if os.name == "posix" and isinstance(file, str | os.PathLike) else file)
        self.sample_rate: int = self._file.samplerate
        self.channels: int = self._file.channels
        frames = self._file.frames
        self.header_frames: int | None = frames if 0 < frames < 2**62 else None
        self.warnings: list[str] = []

    def blocks(self) -> Iterator[np.ndarray]:
        size = max(1, round(BLOCK_SECONDS * self.sample_rate))
        while True:
            block = self._file.read(size, dtype="float32", always_2d=True)
            if not len(block):
                return
            yield block

    def close(self) -> None:
        self._file.close()

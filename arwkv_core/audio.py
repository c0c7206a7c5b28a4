"""Recordings as streams of mono blocks at the model's sample rate, whatever the file."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import BinaryIO

import numpy as np

from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import AudioError
from arwkv_core.resample import Resampler


def open_audio(
    path: str | Path | BinaryIO,
    *,
    sample_rate: int = SAMPLE_RATE,
    channel: int | None = None,
    block_seconds: float = 1.0,
) -> AudioStream:
    return AudioStream(path, sample_rate=sample_rate, channel=channel)


class AudioStream:
    def __init__(self, path: str | Path | BinaryIO, *, sample_rate: int, channel: int | None) -> None:
        from arwkv_core.decode_pyav import PyavDecoder
        from arwkv_core.decode_soundfile import SoundfileDecoder

        self.path = str(path)
        self._decoder: SoundfileDecoder | PyavDecoder
        try:
            self._decoder = SoundfileDecoder(path)
        except Exception:
            try:
                self._decoder = PyavDecoder(path)
            except Exception as error:
                raise AudioError(f"{path}: can't be read as audio: {error}") from error
        self.source_sample_rate = self._decoder.sample_rate
        self.channels = self._decoder.channels
        if channel is not None and not 0 <= channel < self.channels:
            raise AudioError(f"{path}: --channel {channel}: the file has {self.channels} channels, counted from 0")
        self._channel = channel
        frames = self._decoder.header_frames
        self.header_seconds = None if frames is None else frames / self.source_sample_rate
        self.decoded_seconds = 0.0
        self.samples = 0
        self.invalid_samples = 0
        self.warnings: list[str] = []
        self._sample_rate = sample_rate

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(self, *exc: object) -> None:
        self._decoder.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        resampler = Resampler(self.source_sample_rate, self._sample_rate)
        for block in self._decoder.blocks():
            mono = block.mean(axis=1) if self._channel is None else block[:, self._channel]
            invalid = ~np.isfinite(mono)
            if invalid.any():
                self.invalid_samples += int(invalid.sum())
                mono[invalid] = 0
            ready = resampler.push(np.ascontiguousarray(mono, dtype=np.float32))
            self.decoded_seconds = resampler.taken / self.source_sample_rate
            self.samples = resampler.given
            if len(ready):
                yield ready
        rest = resampler.flush()
        self.samples = resampler.given
        if len(rest):
            yield rest

"""Recordings as streams of mono blocks at the model's sample rate, whatever the file.

Source → decoder → finite numbers → mono → resampler → blocks of one size. Nothing here holds more than some
seconds of sound. The duration is what was decoded; the header's is compared with it, and a lack is a warning.
"""

from __future__ import annotations

import os
import threading
from collections.abc import Generator, Iterator
from types import TracebackType
from typing import BinaryIO

import numpy as np

from arwkv_core.audio_source import AudioSource
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.decode import open_decoder
from arwkv_core.decoder import Block
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.resample import Resampler
from arwkv_core.sound_chunk import find_sound_chunk

BLOCK_SECONDS = 10.0
LEAST_BLOCK_SECONDS = 8
"""Of blocks that may have any length: what comes in pieces as long is passed on as it is."""

LARGEST_SAMPLE = 1e15
"""Beyond this a float sample isn't sound, and its power would leave float32's range: counted as invalid."""

MOST_PUSH_SECONDS = 30
"""Resampled at once: a thousand samples are a quarter of an hour where a header states a rate of 1 Hz."""

LOUD_PEAK = 100.0
"""40 dB above full scale: a float file that holds integers, probably."""

HEADER_TOLERANCE_SECONDS = 0.25
"""Containers round their durations, and encoders pad; an exact header is held to the sample."""


def open_audio(
    path: str | os.PathLike[str] | BinaryIO,
    *,
    sample_rate: int = SAMPLE_RATE,
    channel: int | None = None,
    block_seconds: float | None = BLOCK_SECONDS,
) -> AudioStream:
    """Open a recording of any format as a stream of mono blocks.

    Parameters
    ----------
    path : str, os.PathLike or binary file object
        ``"-"`` is standard input. What can't seek is copied to a temporary file first.
    sample_rate : int
        Of the blocks (Hz).
    channel : int, optional
        The channel to hear, counted from 0 (0 is left). By default all are averaged.
    block_seconds : float or None
        Length of a block; only the last is shorter. None: of 8 seconds or more, as it suits the decoder.

    Returns
    -------
    AudioStream
        Iterate once; use it in a ``with`` statement.

    Raises
    ------
    AudioError
        If the file can't be opened or read, holds no sound, or has no such channel.
    UsageError
        If a number is out of its range.

    Examples
    --------
    >>> with open_audio("dawn.flac") as audio:
    ...     for block in audio:
    ...         print(block.shape, block.dtype)
    """
    return AudioStream(path, sample_rate=sample_rate, channel=channel, block_seconds=block_seconds)


class AudioStream:
    """An open recording: a context manager and an iterator of (samples,) float32 blocks, full scale at ±1.

    Parameters are those of `open_audio`. Closing from another thread than the iterating one is safe.

    Attributes
    ----------
    path : str
        As given; ``"-"`` for standard input.
    sample_rate : int
        Of the blocks (Hz).
    source_sample_rate, channels : int
        Of the file; of its beginning, if they change.
    header_seconds : float or None
        Duration by the header; None where it doesn't tell.
    header_is_estimate : bool
        True where `header_seconds` is estimated, from the bit rate for example.
    decoded_seconds : float
        Duration decoded so far, by the file's own count of samples and rate. This and what follows is
        complete at the end of the iteration.
    filled_seconds : float
        How much of `decoded_seconds` is silence that stands for lost sound.
    samples : int
        Samples given, at `sample_rate`: `decoded_seconds` times `sample_rate`, rounded (a half upwards).
    invalid_samples : int
        Samples of the channels in use that were NaN, infinite or beyond 1e15, and were replaced by 0.
    warnings : list of str
        What the user should know, each naming the file.
    """

    def __init__(
        self,
        path: str | os.PathLike[str] | BinaryIO,
        *,
        sample_rate: int = SAMPLE_RATE,
        channel: int | None = None,
        block_seconds: float | None = BLOCK_SECONDS,
    ) -> None:
        if sample_rate < 1:
            raise UsageError(f"sample_rate: expected at least 1 Hz, found {sample_rate}")
        if block_seconds is not None and not block_seconds * sample_rate >= 1:
            raise UsageError(f"block_seconds: expected at least one sample, found {block_seconds} s")
        if channel is not None and channel < 0:
            raise UsageError(f"--channel: expected a channel counted from 0, found {channel}")
        self.sample_rate = sample_rate
        self.decoded_seconds = 0.0
        self.filled_seconds = 0.0
        self.samples = 0
        self.invalid_samples = 0
        self.warnings: list[str] = []
        self._channel = channel
        self._block_samples = None if block_seconds is None else round(block_seconds * sample_rate)
        self._peak = 0.0
        self._first_invalid = 0.0  # seconds
        self._lock = threading.Lock()
        self._source = AudioSource(path)
        self.path = self._source.name if hasattr(path, "read") else os.fspath(path)
        try:
            self._chunk = find_sound_chunk(self._source.file, self._source.size)
            self._decoder = open_decoder(self._source, self._chunk)
        except BaseException:
            self._source.close()
            raise
        try:
            self._open()
        except BaseException:
            self._decoder.close()
            self._source.close()
            raise

    def _open(self) -> None:
        decoder, name = self._decoder, self._source.name
        self.source_sample_rate = decoder.sample_rate
        self.channels = decoder.channels
        if decoder.sample_rate < 1:
            raise AudioError(f"{name}: damaged header: its sample rate is {decoder.sample_rate} Hz")
        self._check_channel(decoder.channels)
        self.header_is_estimate = decoder.header_is_estimate
        self.header_seconds = decoder.header_seconds
        chunk = self._chunk
        if chunk is not None and chunk.promised is None:
            self.header_seconds = None
        elif chunk is not None and chunk.truncated and chunk.available and self.header_seconds:
            # Decoders shorten the header's promise to what is there; the user should see what was promised.
            self.header_seconds *= (chunk.promised or 0) / chunk.available
        decoder.mono_will_do = self._channel is None
        self._decoded = decoder.blocks()
        first = next(self._decoded, None)
        if first is None:
            found = "; ".join(["found none", *decoder.warnings])
            raise AudioError(f"{name}: holds no audio: expected at least one sample, {found}")
        pieces = self._resampled(first)
        if self._block_samples is None:
            self._blocks = self._long(pieces)
        else:
            self._blocks = self._regular(pieces, self._block_samples)

    def __enter__(self) -> AudioStream:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()

    def __iter__(self) -> Iterator[np.ndarray]:
        return self

    def __next__(self) -> np.ndarray:
        with self._lock:
            try:
                return next(self._blocks)
            except BaseException:  # the end, too
                self._close()
                raise

    def close(self) -> None:
        """Let go of the file; waits until a block that another thread decodes is done."""
        with self._lock:
            self._close()

    def _close(self) -> None:
        self._blocks.close()
        self._decoded.close()
        self._decoder.close()
        self._source.close()

    def _resampled(self, block: Block | None) -> Generator[np.ndarray, None, None]:
        """Mono blocks at the wanted rate, in the sizes that come; at the end the account."""
        assert block is not None
        resampler = Resampler(block.sample_rate, self.sample_rate)
        before = 0.0  # seconds of streams before this one: streams of two rates can be joined in one file
        while block is not None:
            if block.sample_rate != resampler.source_rate:
                yield resampler.flush()
                before = self.decoded_seconds
                resampler = Resampler(block.sample_rate, self.sample_rate)
            mono = self._mono(block)
            most = MOST_PUSH_SECONDS * block.sample_rate
            for start in range(0, len(mono), most):
                ready = resampler.push(mono[start : start + most])
                self.decoded_seconds = before + resampler.taken / resampler.source_rate
                yield ready
            block = next(self._decoded, None)
        yield resampler.flush()
        self._account()

    def _long(self, pieces: Iterator[np.ndarray]) -> Generator[np.ndarray, None, None]:
        """The same samples in blocks that are long, but for the last, and copied only where pieces are short."""
        held: list[np.ndarray] = []
        count = 0
        for piece in pieces:
            held.append(piece)
            count += len(piece)
            if count >= LEAST_BLOCK_SECONDS * self.sample_rate:
                self.samples += count
                yield np.concatenate(held) if len(held) > 1 else held[0]
                held, count = [], 0
        if count:
            self.samples += count
            yield np.concatenate(held)

    def _regular(self, pieces: Iterator[np.ndarray], size: int) -> Generator[np.ndarray, None, None]:
        """The same samples in blocks of one size."""
        held: list[np.ndarray] = []  # of a block that isn't full
        missing = size
        for piece in pieces:
            while len(piece) >= missing:
                held.append(piece[:missing])
                piece = piece[missing:]
                missing = size
                self.samples += size
                yield np.concatenate(held) if len(held) > 1 else held[0]
                held = []
            if len(piece):
                held.append(piece)
                missing -= len(piece)
        if held:
            self.samples += size - missing
            yield np.concatenate(held)

    def _mono(self, block: Block) -> np.ndarray:
        """One channel or the mean of all, with finite numbers only: (frames,) float32."""
        self._check_channel(block.samples.shape[1])
        samples = block.samples
        if self._channel is not None:
            samples = samples[:, self._channel : self._channel + 1]
        if block.peak is not None:
            low, high = -block.peak, block.peak
        else:
            low, high = float(samples.min()), float(samples.max())  # NaN comes through both
        if not (low >= -LARGEST_SAMPLE and high <= LARGEST_SAMPLE):
            valid = np.abs(samples) <= LARGEST_SAMPLE
            if not self.invalid_samples:
                first = int(np.argmin(valid.all(axis=1)))
                self._first_invalid = self.decoded_seconds + first / block.sample_rate
            self.invalid_samples += int(valid.size - np.count_nonzero(valid))
            samples = np.where(valid, samples, np.float32(0.0))
            low, high = float(samples.min()), float(samples.max())
        self._peak = max(self._peak, -low, high)
        mono = samples[:, 0]
        if samples.shape[1] == 1 and mono.flags.c_contiguous and mono.flags.writeable:
            return mono
        mono = mono.copy()
        for other in range(1, samples.shape[1]):  # by columns: a mean along the short axis is much slower
            mono += samples[:, other]
        mono /= samples.shape[1]
        return mono

    def _check_channel(self, channels: int) -> None:
        if self._channel is not None and self._channel >= channels:
            has = "1 channel: use 0" if channels == 1 else f"{channels} channels: use 0 to {channels - 1}"
            raise AudioError(f"{self._source.name}: --channel {self._channel}: the file has {has}")

    def _account(self) -> None:
        """Say at the end what wasn't as it should be."""
        decoder = self._decoder
        self.filled_seconds = decoder.filled_frames / decoder.sample_rate
        notes = list(decoder.warnings)
        if self.header_seconds is not None and not self.header_is_estimate:
            tolerance = 0.5 / decoder.sample_rate if decoder.header_is_exact else HEADER_TOLERANCE_SECONDS
            if self.decoded_seconds < self.header_seconds - tolerance:
                notes.append(
                    f"truncated or damaged: expected {self.header_seconds:.3f} s by its header, "
                    f"found {self.decoded_seconds:.3f} s"
                )
        if self.invalid_samples:
            notes.append(
                f"{self.invalid_samples} samples are NaN, infinite or beyond {LARGEST_SAMPLE:g}, "
                f"the first at {self._first_invalid:.3f} s; heard as 0"
            )
        if self._peak > LOUD_PEAK:
            notes.append(
                f"samples reach {self._peak:.6g} times full scale; if they are integers in a float file, "
                "divide them by their full scale"
            )
        self.warnings += [f"{self._source.name}: {note}" for note in notes]

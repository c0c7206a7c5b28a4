"""Decoding with libsndfile: the uncompressed formats (wav, aiff, w64, caf, au ...) and Ogg."""

from __future__ import annotations

import os
from collections.abc import Generator
from typing import Any, BinaryIO

import soundfile

from arwkv_core.audio_source import AudioSource
from arwkv_core.decoder import (
    MOST_BLOCK_FRAMES,
    MOST_BLOCK_VALUES,
    Block,
    DecodeError,
    Decoder,
    Resolution,
)

_PLAIN_SUBTYPES = ("PCM_", "FLOAT", "DOUBLE", "ULAW", "ALAW", "VORBIS", "OPUS")
_UNKNOWN_FRAMES = 1 << 60  # libsndfile says 2**63 - 1 where it doesn't know


class SoundfileDecoder(Decoder):
    """A file that libsndfile reads.

    Parameters
    ----------
    source : AudioSource
    compressed : bool
        False refuses what FFmpeg decodes better: ADPCM, GSM, ALAC ...
    """

    def __init__(self, source: AudioSource, *, compressed: bool = True) -> None:
        super().__init__(source)
        source.file.seek(0)
        self._guard = _GuardedFile(source.file)
        # Reading through the descriptor spares a Python call for every 8 kB. On Windows the descriptor isn't
        # shared with libsndfile's own C library.
        self._fd = source.fileno if os.name == "posix" else None
        try:
            self._file = soundfile.SoundFile(self._guard if self._fd is None else self._fd, closefd=False)
        except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError, OSError) as error:
            raise DecodeError(_reason(error)) from error
        if not compressed and not self._file.subtype.startswith(_PLAIN_SUBTYPES):
            self.close()
            raise DecodeError(f"libsndfile: {self._file.subtype} is left to FFmpeg")
        self.sample_rate = self._file.samplerate
        self.channels = self._file.channels
        frames = self._file.frames
        if frames < _UNKNOWN_FRAMES and self.sample_rate:
            self.header_seconds = frames / self.sample_rate
        self.header_is_exact = self._file.format != "OGG"
        self.resolution = _resolution(self._file.subtype)

    def blocks(self) -> Generator[Block, None, None]:
        """Give the samples, in blocks of at least one frame."""
        # Blocks are small: libsndfile has crashed on single huge reads of Ogg files.
        size = max(1, min(MOST_BLOCK_FRAMES, MOST_BLOCK_VALUES // self.channels))
        given = 0
        while True:
            try:
                block = self._file.read(size, dtype=self.sample_type, always_2d=True)
            except (soundfile.SoundFileError, RuntimeError, OSError) as error:
                self._guard.error = self._guard.error or error
                break
            if not len(block):
                break
            given += len(block)
            yield Block(self.sample_rate, block)
        if self._guard.error is not None:
            at = f"after {given / self.sample_rate:.2f} s"
            self.warnings.append(f"can't be read {at}: {_reason(self._guard.error)}")

    def close(self) -> None:
        """Let go of the decoder, not of its source."""
        self._file.close()


class _GuardedFile:
    """A file object for libsndfile's callbacks: an exception out of them would be printed and lost."""

    def __init__(self, file: BinaryIO) -> None:
        self._file = file
        self.error: Exception | None = None

    def seek(self, offset: int, whence: int = 0) -> int:
        return int(self._try(0, self._file.seek, offset, whence))

    def tell(self) -> int:
        return int(self._try(0, self._file.tell))

    def read(self, size: int = -1) -> bytes:
        return bytes(self._try(b"", self._file.read, size))

    def _try(self, otherwise: Any, call: Any, *arguments: Any) -> Any:
        try:
            return call(*arguments)
        except Exception as error:
            self.error = error
            return otherwise


def _resolution(subtype: str) -> Resolution:
    if subtype in ("ULAW", "ALAW"):  # their values are whole numbers of 14 and 13 bits
        return Resolution(16, floating=False)
    for bits, names in ((8, ("PCM_S8", "PCM_U8")), (16, ("_16",)), (24, ("_20", "_24")), (32, ("_32",))):
        if subtype.endswith(names):
            return Resolution(bits, floating=False)
    return Resolution(64 if subtype == "DOUBLE" else 32, floating=True)


def _reason(error: Exception) -> str:
    if isinstance(error, OSError):
        return error.strerror or str(error)
    # "Error opening <object>: Format not recognised." -> "format not recognised"
    text = str(getattr(error, "error_string", None) or error).strip().rstrip(".")
    return "libsndfile: " + text[:1].lower() + text[1:]

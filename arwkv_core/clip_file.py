"""A clip that is being written: under a hidden name until it is whole, in the resolution of its recording."""

from __future__ import annotations

import errno
import json
import os
import shutil
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import numpy as np
import soundfile

from .decoder import Resolution
from .errors import AudioError

CLIP_FORMATS = ("wav", "flac", "ogg")
"""What clips can be; also the endings of their names."""

PARTIAL_SUFFIX = ".clip-partial"
"""Ending of the hidden files; they are removed when the next run begins."""

_RF64_BYTES = 4_000_000_000
"""From here on a wav file's sizes would not fit into 32 bits."""

_FLAC_BITS = 24
_FLAC_MOST_CHANNELS = 8
_OGG_MOST_CHANNELS, _OGG_MOST_RATE = 255, 200_000
_BITS = {"PCM_S8": 8, "PCM_U8": 8, "PCM_16": 16, "PCM_24": 24, "PCM_32": 32}
_COPY_FRAMES = 16_384
_NEARLY_FULL_BYTES = 1 << 20


class ClipFile:
    """One clip.

    wav keeps every sample as the decoder gives it: whole numbers of 8, 16, 24 or 32 bits, or floating point. flac
    does so up to 24 bits. Floating point is rounded to 24 bits there, and as a whole made softer if it goes beyond
    full scale, instead of clipped; `gain` tells. ogg (Vorbis) is compressed with losses and has no full scale.

    Parameters
    ----------
    path : Path
        In a folder that exists.
    format : str
        One of `CLIP_FORMATS`.
    sample_rate, channels : int
        Of the recording.
    resolution : Resolution
        Of the recording.
    frames : int
        How many are expected at most; for the choice of the container.
    title : str
        For the clip's metadata.
    about : mapping, optional
        What the clip says of itself: written into its comment as JSON, with `gain` if that isn't 1.

    Attributes
    ----------
    frames : int
        Written so far.
    gain : float
        What the samples were multiplied with; 1 but for loud clips in flac. Valid once it is committed.

    Raises
    ------
    AudioError
        If the format can't hold such sound.
    OSError
        If the disk is full, the folder may not be written ...
    """

    def __init__(
        self,
        path: Path,
        format: str,
        sample_rate: int,
        channels: int,
        resolution: Resolution,
        *,
        frames: int,
        title: str = "",
        about: Mapping[str, Any] | None = None,
    ) -> None:
        check_format(format, sample_rate, channels)
        self.path, self.sample_rate, self.channels = path, sample_rate, channels
        self.resolution = resolution
        self.frames, self.gain = 0, 1.0
        self._title, self._about = title, about
        self._peak = 0.0
        self._temporary = path.with_name(f".{path.name}{PARTIAL_SUFFIX}")
        self._spool: Path | None = None
        container, self._subtype = _layout(format, resolution, frames * channels)
        self._container = container
        if format == "flac" and resolution.floating:  # its loudest sample is known at the end only
            self._spool = path.with_name(f".{path.name}.loud{PARTIAL_SUFFIX}")
            self._file = self._open(self._spool, "W64", "DOUBLE" if resolution.bits > 32 else "FLOAT")
        else:
            self._file = self._open(self._temporary, container, self._subtype)

    def write(self, samples: np.ndarray) -> None:
        """Add samples ``(frames, channels)``, full scale at ±1."""
        self._put(self._file, samples)
        self.frames += len(samples)

    def commit(self) -> None:
        """Give the clip its name."""
        self._file.close()
        if self._spool is not None:
            most = 1 - 2.0 ** (1 - _FLAC_BITS)
            if self._peak > most:
                self.gain = most / self._peak
            self._file = self._open(self._temporary, self._container, self._subtype)
            for samples in _blocks(self._spool):
                self._put(self._file, _finite(samples).astype(np.float64) * self.gain)
            self._file.close()
            self._spool.unlink()
        descriptor = os.open(self._temporary, os.O_RDONLY)
        try:
            os.fsync(descriptor)  # on disk before its name is, or a power cut leaves an empty file
        finally:
            os.close(descriptor)
        self._temporary.replace(self.path)

    def discard(self) -> None:
        """Leave nothing behind."""
        self._file.close()
        for path in (self._temporary, self._spool):
            if path is not None:
                path.unlink(missing_ok=True)

    def _open(self, path: Path, container: str, subtype: str) -> soundfile.SoundFile:
        try:
            file = soundfile.SoundFile(
                c_name(path), "w", self.sample_rate, self.channels, subtype=subtype, format=container
            )
        except (soundfile.SoundFileError, RuntimeError, ValueError, TypeError) as error:
            path.parent.stat()  # a missing folder is no fault of the format
            raise AudioError(
                f"{self.path}: {container} can't hold {self.channels} channels at {self.sample_rate} Hz "
                f"({error}); --format wav holds any"
            ) from error
        if path == self._temporary:  # the spool's container has no place for texts
            if self._title:
                file.title = self._title.encode(errors="replace").decode()
            if self._about is not None:
                own = {"gain": self.gain} if self.gain != 1 else {}
                file.comment = json.dumps({**self._about, **own})
        return file

    def _put(self, file: soundfile.SoundFile, samples: np.ndarray) -> None:
        if not len(samples):
            return
        if file.subtype in ("FLOAT", "DOUBLE"):
            if self._spool is not None:
                self._peak = max(self._peak, float(np.abs(_finite(samples)).max()))
        elif file.subtype == "VORBIS":
            samples = _finite(samples)
        else:
            samples = _integers(samples, _BITS[file.subtype])
        try:
            file.write(samples)
        except (
            soundfile.SoundFileError,
            RuntimeError,
            AssertionError,
        ) as error:  # of samples that were not taken
            if shutil.disk_usage(self.path.parent).free < _NEARLY_FULL_BYTES:
                raise OSError(errno.ENOSPC, "can't be written: the disk is full", str(self.path)) from error
            raise OSError(errno.EIO, f"can't be written ({error})", str(self.path)) from error


def check_format(format: str, sample_rate: int, channels: int) -> None:
    """Refuse what a format can't hold; libsndfile would write what it can't read again, or crash.

    Raises
    ------
    AudioError
    """
    good = True
    if format == "flac":
        streamable = sample_rate <= 65_535 or (sample_rate % 10 == 0 and sample_rate <= 655_350)
        good = channels <= _FLAC_MOST_CHANNELS and streamable
    elif format == "ogg":
        good = channels <= _OGG_MOST_CHANNELS and sample_rate <= _OGG_MOST_RATE
    if not good:
        many = "1 channel" if channels == 1 else f"{channels} channels"
        raise AudioError(f"{format} can't hold {many} at {sample_rate} Hz; --format wav holds any")


def _layout(format: str, resolution: Resolution, values: int) -> tuple[str, str]:
    """Container and sample format, as libsndfile calls them."""
    bits = resolution.bits
    if format == "ogg":
        return "OGG", "VORBIS"
    if format == "flac":
        return "FLAC", "PCM_24" if resolution.floating or bits > 16 else "PCM_S8" if bits == 8 else "PCM_16"
    container = "RF64" if values * (bits // 8) > _RF64_BYTES else "WAV"
    if resolution.floating:
        return container, "DOUBLE" if bits > 32 else "FLOAT"
    return container, "PCM_U8" if bits == 8 else f"PCM_{bits}"


def _integers(samples: np.ndarray, bits: int) -> np.ndarray:
    """Turn ±1 into whole numbers at the top of 16 or 32 bits, where libsndfile takes as many as it keeps.

    It would scale floating point by 32767 instead of 32768, and change every sample.
    """
    scale = 2.0 ** (bits - 1)
    whole = np.clip(np.rint(samples.astype(np.float64) * scale), -scale, scale - 1)
    if bits <= 16:
        return (whole * 2.0 ** (16 - bits)).astype(np.int16)
    return (whole * 2.0 ** (32 - bits)).astype(np.int32)


def _finite(samples: np.ndarray) -> np.ndarray:
    """Put silence for what is no number, as the model's ears do."""
    return np.nan_to_num(samples, copy=True, nan=0.0, posinf=0.0, neginf=0.0)


def _blocks(path: Path) -> Iterator[np.ndarray]:
    with soundfile.SoundFile(c_name(path)) as file:
        kind = "float64" if file.subtype == "DOUBLE" else "float32"
        while len(samples := file.read(_COPY_FRAMES, dtype=kind, always_2d=True)):
            yield samples


def c_name(path: Path) -> str | bytes:
    """Spell a path as soundfile hands it on: it has no way with undecodable names as text."""
    return os.fsencode(path) if os.name == "posix" else str(path)

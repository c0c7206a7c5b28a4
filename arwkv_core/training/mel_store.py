"""Log-mels of a corpus, decoded once: a float16 array on disk that the training maps into memory."""

from __future__ import annotations

import hashlib
import json
import math
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from arwkv_core.audio import open_audio
from arwkv_core.constants import FRAMES_PER_STEP, HOP_SECONDS, N_MELS
from arwkv_core.errors import AudioError
from arwkv_core.features import LogMelStream

SILENCE = -15.942385
"""Log-mel of digital silence: the logarithm of the energy floor 1.1920929e-07."""

WHOLE = (0.0, math.inf)

HASHED_FRAMES = 1 << 15
"""Frames that are hashed at once: 8 MB."""

_VERSION = 1


@dataclass(frozen=True)
class MelStore:
    """Log-mels of many clips, one after the other.

    Attributes
    ----------
    frames : ndarray of float16, shape (frames, 128)
        Memory-mapped, not normalised.
    offsets : ndarray of int64, shape (clips + 1,)
    """

    frames: NDArray[np.float16]
    offsets: NDArray[np.int64]

    def __getitem__(self, clip: int) -> NDArray[np.float16]:
        return self.frames[self.offsets[clip] : self.offsets[clip + 1]]

    def sha256(self) -> str:
        """Hash of all that is in it, wherever the recordings lie."""
        digest = hashlib.sha256(np.ascontiguousarray(self.offsets).data)
        for first in range(0, len(self.frames), HASHED_FRAMES):
            digest.update(np.ascontiguousarray(self.frames[first : first + HASHED_FRAMES]).data)
        return digest.hexdigest()


def open_mel_store(
    paths: Sequence[Path],
    cache: str | Path,
    *,
    parts: Sequence[tuple[float, float]] | None = None,
    progress: bool = True,
) -> MelStore:
    """Open the store of these files, made first if the cache has none of the same files.

    Parameters
    ----------
    paths : sequence of Path
        Recordings; a clip shorter than a step (160 ms) is padded with silence to one.
    cache : str or Path
        Folder, made if missing. A store is named after the paths, sizes and times of all its files.
    parts : sequence of (float, float), optional
        Which part of each recording the clip is: start and end in seconds, infinity for the recording's end. By
        default all of it.
    progress : bool
        Show a bar on stderr while it is made.

    Raises
    ------
    AudioError
        If a recording can't be decoded, or a part is not within it; of several, all are named.
    """
    digest = hashlib.sha256(f"log-mel {_VERSION}".encode())
    for path in paths:
        status = path.stat()
        digest.update(
            f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape")
        )
    if parts is not None and any(part != WHOLE for part in parts):
        digest.update(repr([tuple(map(float, part)) for part in parts]).encode())
    folder = Path(cache)
    base = folder / digest.hexdigest()[:16]
    data, index = base.with_suffix(".f16"), base.with_suffix(".json")
    if not index.exists():  # the index is written last: its presence means that the data are whole
        folder.mkdir(parents=True, exist_ok=True)
        _write(paths, parts or [WHOLE] * len(paths), data, index, progress)
    offsets = np.asarray(json.loads(index.read_text()), np.int64)
    return MelStore(np.memmap(data, np.float16, "r", shape=(int(offsets[-1]), N_MELS)), offsets)


def _write(
    paths: Sequence[Path], parts: Sequence[tuple[float, float]], data: Path, index: Path, progress: bool
) -> None:
    offsets = [0]
    partial = data.with_suffix(f".{os.getpid()}.part")
    problems: list[str] = []
    decoded: tuple[Path, NDArray[np.float16]] | None = (
        None  # parts of a recording stand together: decoded once
    )
    try:
        with partial.open("wb") as file:
            clips = zip(paths, parts, strict=True)
            for path, part in tqdm(
                clips, total=len(paths), desc="log-mels", unit="clip", disable=not progress
            ):
                try:
                    if decoded is None or decoded[0] != path:
                        decoded = path, _log_mels(path)
                    frames = _cut(path, decoded[1], part)
                except AudioError as error:
                    problems.append(str(error))
                    continue
                file.write(frames.tobytes())
                offsets.append(offsets[-1] + len(frames))
        if problems:
            several = f"{len(problems)} clips can't be used:\n  "
            raise AudioError(problems[0] if len(problems) == 1 else several + "\n  ".join(problems))
        partial.replace(data)
    finally:
        partial.unlink(missing_ok=True)
    partial.write_text(json.dumps(offsets))
    partial.replace(index)


def _cut(path: Path, frames: NDArray[np.float16], part: tuple[float, float]) -> NDArray[np.float16]:
    """Frames of a part, of a step at least."""
    start = round(part[0] / HOP_SECONDS)
    end = len(frames) if math.isinf(part[1]) else max(round(part[1] / HOP_SECONDS), start + 1)
    if start >= len(frames):
        raise AudioError(
            f"{path}: expected a part within its {len(frames) * HOP_SECONDS:.2f} s, found one that begins at "
            f"{part[0]:.2f} s"
        )
    return _padded(frames[start:end])


def _log_mels(path: Path) -> NDArray[np.float16]:
    stream = LogMelStream()
    with open_audio(path) as audio:
        blocks = [stream.push(block).astype(np.float16) for block in audio]  # of a night, half the memory
    return _padded(np.concatenate(blocks))


def _padded(frames: NDArray[np.float16]) -> NDArray[np.float16]:
    short = FRAMES_PER_STEP - len(frames)
    return np.pad(frames, ((0, short), (0, 0)), constant_values=SILENCE) if short > 0 else frames

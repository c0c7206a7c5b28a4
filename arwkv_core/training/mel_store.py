"""Log-mels of a corpus, decoded once: a float16 array on disk that the training maps into memory."""

from __future__ import annotations

import hashlib
import json
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray
from tqdm.auto import tqdm

from arwkv_core.audio import open_audio
from arwkv_core.constants import FRAMES_PER_STEP, N_MELS
from arwkv_core.features import LogMelStream

SILENCE = -15.942385
"""Log-mel of digital silence: the logarithm of the energy floor 1.1920929e-07."""

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


def open_mel_store(paths: Sequence[Path], cache: str | Path, *, progress: bool = True) -> MelStore:
    """Open the store of these files, made first if the cache has none of the same files.

    Parameters
    ----------
    paths : sequence of Path
        Recordings; a clip shorter than a step (160 ms) is padded with silence to one.
    cache : str or Path
        Folder, made if missing. A store is named after the paths, sizes and times of all its files.
    progress : bool
        Show a bar on stderr while it is made.

    Raises
    ------
    AudioError
        If a recording can't be decoded.
    """
    digest = hashlib.sha256(f"log-mel {_VERSION}".encode())
    for path in paths:
        status = path.stat()
        digest.update(
            f"{path.resolve()}\0{status.st_size}\0{status.st_mtime_ns}\n".encode(errors="surrogateescape")
        )
    folder = Path(cache)
    base = folder / digest.hexdigest()[:16]
    data, index = base.with_suffix(".f16"), base.with_suffix(".json")
    if not index.exists():  # the index is written last: its presence means that the data are whole
        folder.mkdir(parents=True, exist_ok=True)
        _write(paths, data, index, progress)
    offsets = np.asarray(json.loads(index.read_text()), np.int64)
    return MelStore(np.memmap(data, np.float16, "r", shape=(int(offsets[-1]), N_MELS)), offsets)


def _write(paths: Sequence[Path], data: Path, index: Path, progress: bool) -> None:
    offsets = [0]
    partial = data.with_suffix(f".{os.getpid()}.part")
    try:
        with partial.open("wb") as file:
            for path in tqdm(paths, desc="log-mels", unit="clip", disable=not progress):
                frames = _log_mels(path)
                file.write(frames.tobytes())
                offsets.append(offsets[-1] + len(frames))
        partial.replace(data)
    finally:
        partial.unlink(missing_ok=True)
    partial.write_text(json.dumps(offsets))
    partial.replace(index)


def _log_mels(path: Path) -> NDArray[np.float16]:
    stream = LogMelStream()
    with open_audio(path) as audio:
        blocks = [stream.push(block) for block in audio]
    short = FRAMES_PER_STEP - sum(map(len, blocks))
    if short > 0:
        blocks.append(np.full((short, N_MELS), SILENCE, np.float32))
    return np.concatenate(blocks).astype(np.float16)

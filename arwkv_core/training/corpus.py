"""A labelled corpus: the manifest, what its sources state, and a teacher's scores for every 0.48 s."""

from __future__ import annotations

import csv
import math
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from arwkv_core.errors import ArwkvError
from arwkv_core.labels import LabelSet

TEACHER_HOP_SECONDS = 0.48
TEACHER_FRAME_SECONDS = 0.975
SPLITS = ("train", "valid", "test")
COLUMNS = ("path", "split", "known_labels")


@dataclass(frozen=True)
class Clip:
    """A row of the manifest; ``known`` are indices into the label list, stated by the clip's source.

    A clip is the part of its file from ``start`` to ``end`` (seconds); infinity is the file's own end.
    """

    path: Path
    split: str
    known: tuple[int, ...]
    source: str
    source_file: str
    start: float = 0.0
    end: float = math.inf


@dataclass(frozen=True)
class Corpus:
    """Clips with their targets, in the manifest's order.

    Attributes
    ----------
    clips : list of Clip
    labels : LabelSet
    teacher : ndarray of uint8, shape (teacher frames, classes)
        ``round(255 * score)``; a frame covers 0.975 s, every 0.48 s, the last flush with the clip's end.
    offsets : ndarray of int64, shape (clips + 1,)
        Rows of each clip in ``teacher`` and ``embeddings``.
    embeddings : ndarray of float16, shape (teacher frames, width), or None
        A second target, memory-mapped.
    """

    clips: list[Clip]
    labels: LabelSet
    teacher: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    embeddings: NDArray[np.float16] | None = None

    @classmethod
    def read(
        cls,
        manifest: str | Path,
        labels: str | Path,
        teacher: str | Path | None = None,
        embeddings: str | Path | None = None,
    ) -> Corpus:
        """Read a corpus; audio paths count from the manifest's folder.

        Without a teacher, every clip has one frame of zeros, and only known labels count.

        Raises
        ------
        ArwkvError
            If a file is missing or damaged, a label is unknown, or the numbers of rows disagree.
        """
        label_set = LabelSet.read(labels)
        clips = _read_manifest(Path(manifest), label_set)
        if teacher is None:
            scores = np.zeros((len(clips), len(label_set)), np.uint8)
            offsets = np.arange(len(clips) + 1)
        else:
            try:
                with np.load(teacher) as arrays:
                    scores, offsets = arrays["scores"], arrays["offsets"]
            except (OSError, ValueError, KeyError) as error:
                raise ArwkvError(f"{teacher}: expected an npz with scores and offsets: {error}") from error
        expected = (len(clips) + 1, len(label_set), int(offsets[-1]))
        found = (len(offsets), scores.shape[1], len(scores))
        if expected != found:
            raise ArwkvError(f"{teacher}: expected offsets, classes, frames {expected}, found {found}")
        vectors = None
        if embeddings:
            try:
                vectors = np.load(embeddings, mmap_mode="r")
            except (OSError, ValueError) as error:
                raise ArwkvError(f"{embeddings}: can't be read: {error}") from error
            if vectors.ndim != 2 or len(vectors) != len(scores):
                raise ArwkvError(f"{embeddings}: expected ({len(scores)}, width), found {vectors.shape}")
        return cls(clips, label_set, scores, offsets, vectors)

    def split(self, name: str) -> list[int]:
        """Indices of the clips of a split.

        Raises
        ------
        ArwkvError
            If it holds none.
        """
        indices = [i for i, clip in enumerate(self.clips) if clip.split == name]
        if not indices:
            raise ArwkvError(
                f"no clip of the split {name!r}; there are {sorted({c.split for c in self.clips})}"
            )
        return indices

    def teacher_frames(self, clip: int) -> NDArray[np.float32]:
        """Teacher's scores of a clip, ``(frames, classes)``."""
        scores = self.teacher[self.offsets[clip] : self.offsets[clip + 1]].astype(np.float32)
        scores /= 255
        return scores

    def known_matrix(self, indices: list[int]) -> NDArray[np.bool_]:
        """What the sources state, ``(clips, classes)``."""
        matrix = np.zeros((len(indices), len(self.labels)), bool)
        for row, index in enumerate(indices):
            matrix[row, list(self.clips[index].known)] = True
        return matrix


def _read_manifest(path: Path, labels: LabelSet) -> list[Clip]:
    clips = []
    try:
        with path.open(newline="", encoding="utf-8-sig") as file:
            reader = csv.DictReader(file)
            missing = [name for name in COLUMNS if name not in (reader.fieldnames or [])]
            if missing:
                raise ArwkvError(
                    f"{path}: expected the columns {', '.join(COLUMNS)}; missing {', '.join(missing)}"
                )
            for row in reader:
                names = [name for name in (row["known_labels"] or "").split(";") if name]
                try:
                    known = tuple(labels.find(name) for name in names)
                except ArwkvError as error:
                    raise ArwkvError(f"{path}, line {reader.line_num}: {error}") from error
                if row["split"] not in SPLITS:
                    raise ArwkvError(
                        f"{path}, line {reader.line_num}: split {row['split']!r}, expected {SPLITS}"
                    )
                audio = path.parent / row["path"]
                clips.append(
                    Clip(audio, row["split"], known, row.get("source") or "", row.get("source_file") or "")
                )
    except OSError as error:
        raise ArwkvError(f"{path}: can't be read: {error.strerror}") from error
    if not clips:
        raise ArwkvError(f"{path}: no clips")
    return clips

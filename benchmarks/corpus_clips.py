"""New clips of a corpus: cut from recordings, heard by the teacher, and appended to the corpus's files."""

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import yamnet
from doubts import Doubts
from generated_sounds import RATE
from package_sources import Row
from sound_packs import Sound
from tqdm import tqdm

from arwkv_core import open_audio

LONGEST_SECONDS, SHORTEST_SECONDS = 10.0, 0.3


@dataclass
class Clip:
    """A new row of the manifest, and its sound at 32 kHz."""

    split: str
    known: tuple[str, ...]
    origin: str
    source: str
    licence: str
    source_file: str
    waveform: np.ndarray


@dataclass
class Labelled:
    """A corpus's rows with the teacher's scores, and its embeddings if they are there, to which clips are added."""

    rows: list[Row]
    scores: np.ndarray
    offsets: list[int]
    embeddings: np.ndarray | None

    @classmethod
    def read(cls, corpus: Path) -> "Labelled":
        """Read a corpus as in docs/training.md."""
        with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        path = corpus / "teacher_embeddings.npy"
        embeddings = np.load(path) if path.exists() else None
        with np.load(corpus / "teacher_frames.npz") as arrays:
            return cls(rows, arrays["scores"], arrays["offsets"].tolist(), embeddings)

    def frames(self, row: int) -> np.ndarray:
        """Teacher's scores of a row, ``(frames, classes)``, uint8; a view."""
        return self.scores[self.offsets[row] : self.offsets[row + 1]]

    def add(self, output: Path, name: str, clips: list[Clip], doubts: Doubts) -> None:
        """Write clips to files ``name`` + number, let the teacher hear them, and append their rows."""
        teacher, parts, vectors = yamnet.Yamnet(), [self.scores], [self.embeddings]
        for number, clip in enumerate(tqdm(clips, unit="clip")):
            path = f"{name}{number:05}.flac"
            soundfile.write(output / path, clip.waveform, RATE)
            heard, embedded = teacher(soxr.resample(clip.waveform, RATE, yamnet.RATE))
            quantised = np.round(255 * heard).astype(np.uint8)
            if clip.split == "train":
                doubts.apply(quantised, clip.known)
            parts.append(quantised)
            vectors.append(embedded.astype(np.float16))
            self.offsets.append(self.offsets[-1] + len(heard))
            self.rows.append(
                {
                    "clip_id": Path(path).stem,
                    "path": path,
                    "split": clip.split,
                    "duration_s": f"{len(clip.waveform) / RATE:.3f}",
                    "kind": "env",
                    "known_labels": ";".join(clip.known),
                    "origin": clip.origin,
                    "source": clip.source,
                    "licence": clip.licence,
                    "source_file": clip.source_file,
                }
            )
        self.scores = np.concatenate(parts)
        if self.embeddings is not None:
            self.embeddings = np.concatenate(vectors)

    def write(self, output: Path) -> None:
        """Write the manifest and what the teacher said."""
        offsets = np.asarray(self.offsets, np.int64)
        if self.embeddings is not None:
            np.save(output / "teacher_embeddings.npy", self.embeddings)
        np.savez_compressed(output / "teacher_frames.npz", scores=self.scores, offsets=offsets)
        with (output / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
            writer = csv.DictWriter(file, list(self.rows[0]), lineterminator="\n")
            writer.writeheader()
            writer.writerows(self.rows)


def stated(row: Row) -> tuple[str, ...]:
    """The classes that the source of a row states."""
    return tuple(filter(None, row["known_labels"].split(";")))


def decode(path: Path) -> np.ndarray:
    """A clip of the corpus at 32 kHz."""
    with open_audio(path, sample_rate=RATE) as stream:
        return np.concatenate(list(stream))


def mono(sound: Sound) -> np.ndarray:
    """Downmix and resample to 32 kHz."""
    out: np.ndarray = soxr.resample(sound.waveform.mean(1), sound.rate, RATE)
    return out


def looped(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Repeat the sample of an instrument or a game until it is long enough."""
    return np.tile(waveform, max(1, -(-round(seconds * RATE) // len(waveform))))


def cut(waveform: np.ndarray) -> list[np.ndarray]:
    """Clips of at most ten seconds; a rest too short to tell what it is goes."""
    size = round(LONGEST_SECONDS * RATE)
    parts = [waveform[start : start + size] for start in range(0, len(waveform), size)]
    return [part for part in parts if len(part) >= SHORTEST_SECONDS * RATE]


def write_outside(folder: Path, kept: list[tuple[Row, Sound]]) -> None:
    """Write the recordings that are never trained on, with a table of what they are."""
    rows = []
    for row, sound in kept:
        name = f"{row['package']}-{Path(sound.name).stem}"
        if "hh6" in sound.name:
            name = f"{row['package']}-{Path(sound.name).parent.name}-{Path(sound.name).stem}"
        soundfile.write(folder / f"{name}.flac", sound.waveform, sound.rate)
        rows.append(
            {
                "path": f"{name}.flac",
                "what": row["known_labels"],
                "package": row["package"],
                "licence": row["licence"],
                "file": sound.name,
            }
        )
    with (folder / "outside.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["path", "what", "package", "licence", "file"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)

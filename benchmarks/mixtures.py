"""Long recordings made of the labelled clips of a corpus over its ambiences, with exact onsets and offsets.

Every recording has one ambience, its clips joined and repeated; its stated classes, if any, sound from start to end.
Every other labelled clip of the split is placed once, at a random time in a random recording and 0 to 20 dB above the
ambience. Its events are the parts of it that are louder than 35 dB below its loudest: many clips hold a short sound and
silence. What lies above a stated class in AudioSet's ontology sounds with it.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import soundfile
from numpy.typing import NDArray

from arwkv_core import Ontology, open_audio
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.evaluation.annotations import joined
from arwkv_core.labels import LabelSet
from arwkv_core.training.corpus import Clip, Corpus

Samples = NDArray[np.float32]

FRAME = SAMPLE_RATE // 50  # 20 ms, over which loudness is taken
AUDIBLE_DB = 35.0
LONGEST_GAP = 0.5  # seconds of quiet that don't part an event
SHORTEST = 0.1  # seconds of an event
CROSSFADE = SAMPLE_RATE // 2  # of ambience clips
AMBIENCE_DB = -36.0  # root mean square against full scale
SNR_DB = (0.0, 20.0)
LOUDEST = 0.98
ANNOTATIONS = "annotations.tsv"
PLACEMENTS = "placements.csv"


@dataclass(frozen=True)
class Event:
    """A class that sounds in a recording, seconds.

    ``clip`` tells which clip of the corpus it comes from, ``stated`` whether that clip's source names the class itself.
    """

    start: float
    end: float
    column: int
    clip: int
    stated: bool


@dataclass(frozen=True)
class Mixture:
    """A recording and what sounds in it."""

    path: Path
    seconds: float
    events: list[Event]


def make_mixtures(
    corpus: Corpus,
    folder: Path,
    *,
    split: str = "test",
    ambience: str = "ambience",
    minutes: float,
    seed: int,
) -> list[Mixture]:
    """Write recordings as FLAC, their annotations as DCASE lists events, and where each clip went.

    Parameters
    ----------
    corpus : Corpus
    folder : Path
        Made if need be.
    split : str
    ambience : str
        Part of the name of those sources whose clips are ambiences.
    minutes : float
        Of each recording; there is one for each ambience of the split.
    seed : int

    Raises
    ------
    SystemExit
        If the split has no ambience or no other labelled clip.
    """
    rng = np.random.default_rng(seed)
    beds: dict[str, list[int]] = {}
    clips = []
    for index in corpus.split(split):
        clip = corpus.clips[index]
        if ambience.casefold() in clip.source.casefold():
            beds.setdefault(f"{clip.source}/{clip.source_file}", []).append(index)
        elif clip.known:
            clips.append(index)
    if not beds or not clips:
        raise SystemExit(
            f"{split}: expected ambiences (source with {ambience!r}) and labelled clips, found none"
        )
    folder.mkdir(parents=True, exist_ok=True)
    above = implied(corpus.labels)
    samples = round(minutes * 60 * SAMPLE_RATE)
    shares = np.array_split(rng.permutation(clips), len(beds))
    mixtures, placements = [], []
    for number, (bed, share) in enumerate(zip(sorted(beds), shares, strict=True)):
        mix = ambience_of([decode(corpus.clips[i]) for i in beds[bed]], samples)
        known = {k for i in beds[bed] for k in corpus.clips[i].known}
        span = 0.0, samples / SAMPLE_RATE
        events = [Event(*span, k, beds[bed][0], k in known) for k in sorted(with_above(known, above))]
        for index in share.tolist():
            sound = decode(corpus.clips[index])[:samples]
            parts = audible(sound)
            if not parts:
                continue
            snr = float(rng.uniform(*SNR_DB))
            at = int(rng.integers(0, samples - len(sound) + 1))
            loud = np.concatenate([sound[a:b] for a, b in parts])
            mix[at : at + len(sound)] += sound * (10 ** ((AMBIENCE_DB + snr) / 20) / rms(loud))
            placements.append(
                (f"mix-{number:02}.flac", str(corpus.clips[index].path.name), at / SAMPLE_RATE, snr)
            )
            for a, b in parts:
                span = (at + a) / SAMPLE_RATE, (at + b) / SAMPLE_RATE
                known = set(corpus.clips[index].known)
                events.extend(Event(*span, k, index, k in known) for k in sorted(with_above(known, above)))
        mix *= min(1.0, LOUDEST / float(np.abs(mix).max()))
        path = folder / f"mix-{number:02}.flac"
        soundfile.write(path, mix, SAMPLE_RATE, subtype="PCM_16")
        mixtures.append(
            Mixture(path, samples / SAMPLE_RATE, sorted(events, key=lambda e: (e.start, e.column)))
        )
    write_annotations(folder / ANNOTATIONS, mixtures, corpus.labels)
    with (folder / PLACEMENTS).open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, lineterminator="\n")
        rows.writerow(("filename", "clip", "seconds", "snr_db"))
        rows.writerows((name, clip, f"{at:.6f}", f"{snr:.2f}") for name, clip, at, snr in placements)
    return mixtures


def write_annotations(path: Path, mixtures: list[Mixture], labels: LabelSet) -> None:
    """Write events as DCASE lists them, those of a class that overlap as one."""
    with path.open("w", newline="", encoding="utf-8") as file:
        rows = csv.writer(file, delimiter="\t", lineterminator="\n")
        rows.writerow(("filename", "onset", "offset", "event_label"))
        for mixture in mixtures:
            for start, end, column in joined((e.start, e.end, e.column) for e in mixture.events):
                rows.writerow((mixture.path.name, f"{start:.6f}", f"{end:.6f}", labels.names[column]))


def implied(labels: LabelSet) -> list[list[int]]:
    """Of each class, the columns of those above it."""
    ontology = Ontology.audioset()
    return [
        [
            labels.index(above)
            for above in (ontology.ancestors(mid) if mid in ontology else ())
            if above in labels
        ]
        for mid in labels.mids
    ]


def with_above(known: set[int], above: list[list[int]]) -> set[int]:
    """Classes, and those above them."""
    return known | {column for k in known for column in above[k]}


def decode(clip: Clip) -> Samples:
    """A clip's samples at 32 kHz."""
    with open_audio(clip.path) as audio:
        samples: Samples = np.concatenate(list(audio))
    return samples


def rms(samples: Samples) -> float:
    """Root mean square, never 0."""
    return float(np.sqrt(np.mean(np.square(samples, dtype=np.float64)) + 1e-20))


def ambience_of(clips: list[Samples], samples: int) -> Samples:
    """Clips that fade into one another, from the first again after the last, at one level."""
    fade = np.sin(np.linspace(0, np.pi / 2, CROSSFADE, dtype=np.float32))
    bed = np.zeros(samples + CROSSFADE, np.float32)
    at, turn = 0, 0
    while at < samples:
        clip = clips[turn % len(clips)] / rms(clips[turn % len(clips)])
        turn += 1
        if len(clip) <= 2 * CROSSFADE:
            clip = np.resize(clip, 4 * CROSSFADE)
        clip = clip[: len(bed) - at].copy()
        overlap = min(CROSSFADE, len(clip))
        if at:
            clip[:overlap] *= fade[:overlap]
            bed[at : at + overlap] *= fade[:overlap][::-1]
        bed[at : at + len(clip)] += clip
        at += len(clip) - CROSSFADE if len(clip) > CROSSFADE else len(clip)
    return bed[:samples] * np.float32(10 ** (AMBIENCE_DB / 20))


def audible(samples: Samples) -> list[tuple[int, int]]:
    """Parts of a clip in which something sounds, as samples from and to.

    A frame of 20 ms counts if it is at most `AUDIBLE_DB` below the loudest; gaps up to `LONGEST_GAP` are closed, what
    is shorter than `SHORTEST` is left out.
    """
    frames = -(-len(samples) // FRAME)
    padded = np.zeros(frames * FRAME)
    padded[: len(samples)] = samples
    power = np.square(padded).reshape(frames, FRAME).mean(1)
    if power.max() < 1e-10:  # -100 dB: silence
        return []
    flags = power > power.max() * 10 ** (-AUDIBLE_DB / 10)
    change = np.diff(flags.astype(np.int8), prepend=0, append=0)
    parts: list[list[int]] = []
    for first, last in zip(
        np.flatnonzero(change == 1).tolist(), np.flatnonzero(change == -1).tolist(), strict=True
    ):
        start, end = first * FRAME, min(last * FRAME, len(samples))
        if parts and start - parts[-1][1] <= LONGEST_GAP * SAMPLE_RATE:
            parts[-1][1] = end
        else:
            parts.append([start, end])
    return [(a, b) for a, b in parts if b - a >= SHORTEST * SAMPLE_RATE]

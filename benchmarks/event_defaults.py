"""Choose for each class the score at which its events start, and write them to ``events.csv`` of a model's folder.

    python benchmarks/event_defaults.py CORPUS MODEL [--output events.csv]

CORPUS is a folder as in docs/training.md; its validation split is heard, none of which the model was trained on. The
truth of a step of 0.16 s is the teacher's decision, or what the clip's source states wherever the clip is not silent.
Of each score in a row, the events are found as `arwkv timeline` finds them, and the one whose events have the highest
F1, counted in steps, is taken.

A class gets a number of its own only if that helps: it must sound in enough clips and be found at all, and the score
that is best on one half of the recordings must raise the F1 on the other half. All other classes keep the default.
"""

import argparse
import csv
import io
import sys
import zlib
from collections import defaultdict
from collections.abc import Iterator
from pathlib import Path

import numpy as np
from tqdm import tqdm

from arwkv_core import Tagger, load, log_mel, open_audio
from arwkv_core.constants import STEP_SECONDS
from arwkv_core.event_defaults import EVENTS_FILE, NUMBERS, ClassDefaults, EventDefaults
from arwkv_core.event_settings import EventSettings, Thresholds
from arwkv_core.events import EventDetector
from arwkv_core.score_codec import rounded
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.targets import audible_steps, teacher_weights

CANDIDATES = np.round(np.arange(0.20, 0.81, 0.05), 2)
"""Scores that are tried."""

TEACHER_DECISION = 0.5
LEAST_CLIPS = 8
"""Clips in which a class must sound, in each half at least half of them."""

LEAST_STEPS = 3
"""Steps that a class must sound in a clip for the clip to count."""

BATCH = 8
"""Clips of one length that the model hears at once."""

PAUSE_STEPS = 8
"""Between clips: longer than any gap that is merged."""

LEAST_F1 = 0.4
"""With a lower one, most of what a lower score adds is wrong: better to miss the class than to make it up."""

LEAST_GAIN = 0.02
"""By which the F1 must rise on the halves that had no part in the choice, in the mean."""


def hear(
    tagger: Tagger, corpus: Corpus, indices: list[int]
) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
    """Yield each clip's index, step scores, log-mels and seconds; clips of one length are heard together."""
    waiting: dict[int, list[tuple[int, np.ndarray, float]]] = defaultdict(list)

    def run(
        batch: list[tuple[int, np.ndarray, float]],
    ) -> Iterator[tuple[int, np.ndarray, np.ndarray, float]]:
        if tagger.model.arch.position == "frequency":  # takes clips as they are
            scores = tagger.scores(np.stack([mels for _, mels, _ in batch]))
        else:
            scores = [tagger.step_scores(corpus.clips[index].path).values for index, _, _ in batch]
        for (index, mels, seconds), own in zip(batch, scores, strict=True):
            yield index, own, mels, seconds

    for index in tqdm(indices, unit="clip", mininterval=2):
        with open_audio(corpus.clips[index].path) as audio:
            mels = log_mel(np.concatenate(list(audio)))
            seconds = audio.decoded_seconds
        batch = waiting[len(mels)]
        batch.append((index, mels, seconds))
        if len(batch) == BATCH:
            yield from run(waiting.pop(len(mels)))
    for batch in waiting.values():
        yield from run(batch)


def truth(corpus: Corpus, index: int, steps: int, seconds: float, mels: np.ndarray) -> np.ndarray:
    """Which classes sound in each step of a clip: ``(steps, classes)``."""
    teacher = corpus.teacher_frames(index)
    before, after, share = teacher_weights(len(teacher), seconds, 0, steps)
    sounding = (1 - share[:, None]) * teacher[before] + share[:, None] * teacher[after] >= TEACHER_DECISION
    known = list(corpus.clips[index].known)
    sounding[:, known] |= audible_steps(mels.astype(np.float16), 0, steps)[:, None]
    return sounding


def active_steps(scores: np.ndarray, thresholds: Thresholds) -> np.ndarray:
    """Steps in which there are events: ``(steps, classes)``."""
    detector = EventDetector(thresholds)
    detector.add(scores)
    found = detector.finish(len(scores) * STEP_SECONDS)
    active = np.zeros(scores.shape, bool)
    for column, first, last in zip(found.column, found.first, found.last, strict=True):
        active[first:last, column] = True
    return active


def f1(counts: np.ndarray) -> np.ndarray:
    """From ``(..., 3)`` steps that are right, too many, missing; 0 where there is nothing to find."""
    right, extra, missing = np.moveaxis(counts, -1, 0)
    return 2 * right / np.maximum(2 * right + extra + missing, 1)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("model", help="a name from `arwkv models list`, or a folder")
    parser.add_argument("--output", type=Path, help=f"default: {EVENTS_FILE} in the model's folder")
    arguments = parser.parse_args()

    folder = arguments.corpus
    corpus = Corpus.read(folder / "manifest.csv", folder / "labels.csv", folder / "teacher_frames.npz")
    tagger = load(arguments.model)
    if corpus.labels != tagger.labels:
        sys.exit("expected a model that has the classes of the corpus, in their order")
    defaults = EventDefaults(tagger.config.active_threshold)
    # clips of each half, put together with pauses in which events end: ``(steps, classes)``
    pause = np.zeros((PAUSE_STEPS, len(tagger.labels)), np.float32)
    scores: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    sounding: tuple[list[np.ndarray], list[np.ndarray]] = ([], [])
    clips = np.zeros((2, len(tagger.labels)), int)
    for index, own, mels, seconds in hear(tagger, corpus, corpus.split("valid")):
        clip = corpus.clips[index]
        half = zlib.crc32((clip.source_file or str(clip.path)).encode()) % 2
        known = truth(corpus, index, len(own), seconds, mels)
        clips[half] += known.sum(0) >= LEAST_STEPS
        scores[half].extend([rounded(own), pause])
        sounding[half].extend([known, pause > 0])

    (enough,) = np.nonzero((clips.min(0) >= LEAST_CLIPS / 2) & (clips.sum(0) >= LEAST_CLIPS))
    tried = [
        Thresholds.of([EventSettings(on=on).numbers("", ClassDefaults(), defaults)] * len(enough))
        for on in (defaults.active_threshold, *map(float, CANDIDATES))
    ]
    # steps by half, score tried, class: right, too many, missing
    counts = np.zeros((2, len(tried), len(enough), 3))
    for half in (0, 1):
        heard, there = np.concatenate(scores[half])[:, enough], np.concatenate(sounding[half])[:, enough]
        for place, thresholds in enumerate(tried):
            active = active_steps(heard, thresholds)
            for kind, steps in enumerate((active & there, active & ~there, there & ~active)):
                counts[half, place, :, kind] = steps.sum(0)

    by_half, whole = f1(counts), f1(counts.sum(0))  # (2, tried, enough), (tried, enough)
    columns = np.arange(len(enough))
    best = [by_half[half, 1:].argmax(0) + 1 for half in (0, 1)]
    gains = np.stack([by_half[1 - half, best[half], columns] - by_half[1 - half, 0] for half in (0, 1)])
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow(["mid", "display_name", *NUMBERS])
    for place, column in enumerate(enough):
        mid, name = tagger.labels.mids[column], tagger.labels.names[column]
        on, reached, gain = CANDIDATES[whole[1:, place].argmax()], whole[1:, place].max(), gains[:, place]
        helps = gain.min() >= 0 and gain.mean() >= LEAST_GAIN and reached >= LEAST_F1
        print(
            f"{name:40} {clips[:, column].sum():4} clips  F1 {whole[0, place]:.2f} at "
            f"{defaults.active_threshold:g}, {reached:.2f} at {on:g}; on the other half "
            f"{gain.mean():+.2f}{'  taken' if helps else ''}"
        )
        if helps:
            writer.writerow([mid, name, f"{on:g}", "", "", "", ""])
    output = arguments.output or (tagger.folder or Path()) / EVENTS_FILE
    output.write_text(text.getvalue(), encoding="utf-8")
    print(f"written to {output}", file=sys.stderr)


if __name__ == "__main__":
    main()

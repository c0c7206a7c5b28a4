"""What longer windows and other precisions do to the scores: clips of a corpus joined to long recordings.

    python benchmarks/context_quality.py CORPUS [--model NAME] [--clips 240] [--precision fp32 bf16 int8]

CORPUS is a folder as docs/training.md describes it. Clips of its test split whose source states what sounds are joined,
in random order, to recordings of forty clips. A clip's score is the mean over its steps; a class counts if three clips
or more are known to hold it. Prints a line for each way to hear: mAP, the mean score of the classes that are known to
sound, and the largest and mean difference of a step's score from the first line's.
"""

import argparse
import tempfile
from pathlib import Path

import numpy as np
import soundfile
from tqdm import tqdm

from arwkv_core import load, open_audio
from arwkv_core.constants import FRAMES_PER_STEP, HOP_SAMPLES, SAMPLE_RATE
from arwkv_core.metrics import average_precision
from arwkv_core.tagger import Tagger
from arwkv_core.training.corpus import Corpus

STEP_SAMPLES = FRAMES_PER_STEP * HOP_SAMPLES
LEAST_CLIPS = 3
CLIPS_IN_A_RECORDING = 40
WAYS: dict[str, dict[str, float | str]] = {
    "9.92 s, each half over the one before": {"context": 9.92},
    "9.92 s, a quarter (the default)": {},
    "9.92 s, a sixth": {"hop": 8.32},
    "9.92 s, side by side": {"hop": 9.92},
    "30 s, half": {"context": 30},
    "60 s, half": {"context": 60},
    "the whole recording": {"context": "full"},
}


def join(corpus: Corpus, chosen: list[int], folder: Path) -> list[tuple[Path, list[tuple[int, slice]]]]:
    """Write the recordings; with each, its clips and the steps that they take."""
    recordings = []
    for first in tqdm(range(0, len(chosen), CLIPS_IN_A_RECORDING), desc="recordings"):
        path, at = folder / f"{first}.wav", 0
        places = []
        with soundfile.SoundFile(path, "w", SAMPLE_RATE, 1, "FLOAT") as file:
            for clip in chosen[first : first + CLIPS_IN_A_RECORDING]:
                with open_audio(corpus.clips[clip].path) as audio:
                    sound = np.concatenate(list(audio))
                steps = len(sound) // STEP_SAMPLES  # whole steps, so that clips begin with one
                file.write(sound[: steps * STEP_SAMPLES])
                places.append((clip, slice(at, at + steps)))
                at += steps
        recordings.append((path, places))
    return recordings


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", default="a-rwkv-t-open")
    parser.add_argument("--clips", type=int, default=480)
    parser.add_argument("--precision", nargs="+", default=["fp32", "bf16", "int8"])
    options = parser.parse_args()
    corpus = Corpus.read(options.corpus / "manifest.csv", options.corpus / "labels.csv")
    known = [clip for clip in corpus.split("test") if corpus.clips[clip].known]
    chosen = [int(clip) for clip in np.random.default_rng(0).permutation(known)[: options.clips]]
    truth = corpus.known_matrix(chosen)
    classes = np.flatnonzero(truth.sum(0) >= LEAST_CLIPS)
    taggers = {precision: load(options.model, precision=precision) for precision in options.precision}
    first: list[np.ndarray] = []

    def report(tagger: Tagger, name: str, way: dict[str, float | str]) -> None:
        scores = np.zeros(truth.shape)
        steps = []
        for path, places in recordings:
            values = tagger.step_scores(path, **way).values
            steps.append(values)
            for clip, place in places:
                scores[chosen.index(clip)] = values[place].mean(0)
        if not first:
            first.extend(steps)
        apart = [np.abs(a - b) for a, b in zip(steps, first, strict=True)]
        largest, mean = max(x.max() for x in apart), np.mean([x.mean() for x in apart])
        precision = np.mean([average_precision(truth[:, k], scores[:, k]) for k in classes])
        print(
            f"{tagger.precision:5} {name:38} mAP {precision:.4f}  true classes {scores[truth].mean():.4f}  "
            f"steps off by {largest:.4f} at most, {mean:.6f} in the mean",
            flush=True,
        )

    with tempfile.TemporaryDirectory() as folder:
        recordings = join(corpus, chosen, Path(folder))
        print(f"{len(chosen)} clips, {len(classes)} classes, {len(recordings)} recordings")
        reference, *others = taggers.values()
        for name, way in WAYS.items():
            report(reference, name, way)
        for tagger in others:
            report(tagger, "9.92 s, a quarter (the default)", {})


if __name__ == "__main__":
    main()

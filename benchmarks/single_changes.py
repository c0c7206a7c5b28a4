"""What single changes of the training give, each going on from the same weights for some hundred steps.

    python benchmarks/single_changes.py CORPUS --cache FOLDER --runs FOLDER [--start MODEL] [--steps 300]
        [--only NAME ...]

CORPUS is a folder as docs/training.md describes it, with teacher_embeddings.npy. Every run has the same number of
steps, of (about) the same seconds of sound; its rate comes down to nothing at the end, and the running mean of its
weights is what is measured. Prints a row a run of a Markdown table, all on the validation split: the mean average
precision over the known labels, that against the teacher's decisions, the accuracy on its ESC-10 clips, the mean
log-likelihood of the known labels, and in long mixtures (long_form.py) the mean average precision in the model's own
windows and in 60 s. "Another seed" is the first recipe again: what differs between the two is chance.

A run that was stopped goes on where it was. A last pair of runs, T and S, starts from noise, at higher rates.
"""

from __future__ import annotations

import argparse
import json
import tempfile
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

from long_form import LongForm, model_hearing
from tqdm import tqdm

from arwkv_core import load
from arwkv_core.benchmark.shapes import WIDTHS
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.mel_store import open_mel_store
from arwkv_core.training.recipe import (
    AugmentationTable,
    DataTable,
    LossTable,
    MixingTable,
    NetworkTable,
    OptimiserTable,
    Recipe,
    SamplingTable,
    ValidationTable,
)
from arwkv_core.training.trainer import Trainer

EMBEDDINGS = "teacher_embeddings.npy"
START = "a-rwkv-t-open"
MINUTES = 2.0  # of each mixture
CONTEXTS = (None, "60")
COLUMNS = (
    "change",
    "known mAP",
    "teacher mAP",
    "ESC-10",
    "likelihood",
    "mixtures",
    "in 60 s",
    "seconds a step",
)


def plain(steps: int, start: str = START) -> Recipe:
    """What every run but for its change is."""
    return Recipe(
        name="change",
        seed=0,
        network=NetworkTable(start=start),
        data=DataTable(embeddings=EMBEDDINGS),
        sampling=SamplingTable(seconds=[9.92], until=[1.0], batch=[8], balance=0.5),
        mixing=MixingTable(kind="power", probability=0.5, level_db=10.0),
        augmentation=AugmentationTable(band_mask_bins=12, gain_db=8.0, tilt_db=5.0),
        loss=LossTable(step=1.0, clip=0.5, embedding=4.0),
        optimiser=OptimiserTable(
            name="muon", steps=steps, warm_up=20, rate=3e-4, matrix_rate=3e-3, final=3e-6, ema=0.98
        ),
        validation=ValidationTable(every_steps=steps),
    )


Change = Callable[[Recipe], Recipe]


def _table(name: str, **values: object) -> Change:
    """A change of some entries of one table."""

    def change(recipe: Recipe) -> Recipe:
        return replace(recipe, **{name: replace(getattr(recipe, name), **values)})

    return change


def _from_noise(width: int) -> Change:
    """Start from noise, at the rates that this takes."""

    def change(recipe: Recipe) -> Recipe:
        network = NetworkTable(width=width)
        return replace(
            recipe, network=network, optimiser=replace(recipe.optimiser, rate=1e-3, matrix_rate=0.01)
        )

    return change


STATED_ALONE = "a second stage: only clips whose source states a class"
"""After the teacher, what is known: the only change that is not one of the recipe."""

CHANGES: dict[str, Change] = {
    "nothing": lambda recipe: recipe,
    "another seed": lambda recipe: replace(recipe, seed=1),
    "clip loss 0.1 instead of 0.5": _table("loss", clip=0.1),
    "no teacher's embedding": _table("loss", embedding=0.0),
    "10, 30 and 60 s side by side": _table(
        "sampling", seconds=[9.92, 29.76, 59.52], until=[0.4, 0.65, 1.0], batch=[8, 3, 1], mixed=True
    ),
    "unmixed": _table("mixing", kind="none"),
    "up to two more sounds": _table("mixing", rounds=2),
    "half of the partners steady backgrounds": _table("mixing", background=0.5),
    "rooms and noise": _table("augmentation", noise_probability=0.3, reverberation_probability=0.3),
    "half of the examples without upper bands": _table("augmentation", low_pass_probability=0.5),
    "every known class alike": _table("sampling", balance=1.0),
    "bolder teacher (temperature 0.7)": _table("data", temperature=0.7),
    STATED_ALONE: lambda recipe: recipe,
    "no mean of the weights": _table("optimiser", ema=0.0),
    "T from noise": _from_noise(WIDTHS["T"]),
    "S from noise": _from_noise(WIDTHS["S"]),
}


def only_stated(corpus: Corpus) -> Corpus:
    """The corpus without training clips of which only the teacher says what sounds."""
    clips = [
        replace(clip, split="left out") if clip.split == "train" and not clip.known else clip
        for clip in corpus.clips
    ]
    return replace(corpus, clips=clips)


def main() -> None:
    """Train each, and measure it."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded log-mels")
    parser.add_argument("--runs", type=Path, required=True, help="folder for the runs")
    parser.add_argument("--start", default=START, help="a model of this shape to go on from")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--only", nargs="+", choices=list(CHANGES), default=list(CHANGES))
    options = parser.parse_args()
    base = plain(options.steps, options.start)
    names = (base.data.manifest, base.data.labels, base.data.teacher, base.data.embeddings)
    corpus = Corpus.read(*(options.corpus / name for name in names))
    mels = open_mel_store([clip.path for clip in corpus.clips], options.cache)
    print(f"| {' | '.join(COLUMNS)} |\n|{'---|' * len(COLUMNS)}", flush=True)
    with tempfile.TemporaryDirectory() as folder:
        mixtures = LongForm(options.corpus, Path(folder), MINUTES, split="valid")
        for name in options.only:
            recipe = CHANGES[name](base)
            output = options.runs / "".join(c if c.isalnum() else "-" for c in name)
            shown = only_stated(corpus) if name == STATED_ALONE else corpus
            model = Trainer(recipe, shown, mels, output).run()
            assert model is not None
            entries = [json.loads(line) for line in (output / "log.jsonl").read_text("utf-8").splitlines()]
            found = next(entry["valid"] for entry in reversed(entries) if "valid" in entry)
            tagger = load(model)
            heard = [
                mixtures.measure(model_hearing(tagger, context, corpus.labels), str(context)).mean()
                for context in CONTEXTS
            ]
            keys = ("known_map", "teacher_map", "esc10_accuracy", "known_likelihood")
            numbers = [*(found[key] for key in keys), *heard]
            seconds = entries[-1]["seconds"] / recipe.optimiser.steps
            cells = [name, *(f"{number:.3f}" for number in numbers), f"{seconds:.2f}"]
            tqdm.write(f"| {' | '.join(cells)} |")


if __name__ == "__main__":
    main()

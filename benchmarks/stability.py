"""The loss of the T, S and B shapes over their first steps, from noise, at the same settings and on the same batches.

    python benchmarks/stability.py CORPUS --cache FOLDER [--steps 300] [--plot FILE.png] [--output FILE.csv]

CORPUS is a folder as docs/training.md describes it. Prints a line a shape: the step loss (binary cross-entropy, summed
over the classes) of the first and the last 20 steps, its largest value after the warm-up, and the largest norm of the
gradients. The plot needs matplotlib.
"""

import argparse
import csv
import dataclasses
import math
from pathlib import Path

import numpy as np
import torch

from arwkv_core.allocator import keep_freed_memory
from arwkv_core.benchmark.shapes import WIDTHS
from arwkv_core.training.batches import BatchMaker
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.mel_store import open_mel_store
from arwkv_core.training.optimiser import make_optimisers, set_rates
from arwkv_core.training.precision import autocast
from arwkv_core.training.recipe import MixingTable, OptimiserTable, Recipe, SamplingTable
from arwkv_core.training.run import find_recipe
from arwkv_core.training.student import Student, set_prior_
from arwkv_core.training.trainer import target_frequency

WARM_UP = 30
ENDS = 20
SMOOTH = 10
"""Steps over which the plotted curve is a mean: batches differ more than shapes do."""


def losses_of(recipe: Recipe, corpus: Corpus, batches: BatchMaker, steps: int) -> list[tuple[float, float]]:
    """Step loss and norm of the gradients, before clipping, of each step."""
    torch.manual_seed(recipe.seed)
    student = Student(recipe, len(corpus.labels))
    set_prior_(student.network, target_frequency(corpus))
    optimisers = make_optimisers(student, recipe.optimiser)
    found = []
    for step in range(steps):
        set_rates(optimisers, step, recipe.optimiser)
        with autocast(torch.device("cpu"), recipe.optimiser.precision):
            terms = student.losses(batches(step))
        torch.autograd.backward(torch.stack(list(terms.values())).sum())
        norm = torch.nn.utils.clip_grad_norm_(student.parameters(), recipe.optimiser.clip_norm)
        for optimiser in optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        found.append((float(terms["step"].detach()), float(norm)))
        if not math.isfinite(found[-1][0]):
            break
    return found


def draw(curves: dict[str, list[tuple[float, float]]], path: Path) -> None:
    """Draw the losses, smoothed."""
    from matplotlib.figure import Figure

    figure = Figure(figsize=(7.0, 3.6), dpi=110, layout="constrained")
    axes = figure.subplots()
    for (shape, curve), colour in zip(curves.items(), ("#1b7f79", "#2f5fa8", "#c8553d"), strict=True):
        loss = np.convolve([value for value, _ in curve], np.ones(SMOOTH) / SMOOTH, "valid")
        axes.plot(np.arange(len(loss)) + SMOOTH, loss, label=f"A-RWKV-{shape}", color=colour, linewidth=1.4)
    axes.set_xlabel("optimiser step")
    axes.set_title(f"step loss, mean of {SMOOTH} steps", fontsize=10, loc="left")
    axes.grid(True, color="#d8d8d8", linewidth=0.6)
    axes.legend(frameon=False)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    figure.savefig(path, format="png")


def main() -> None:
    """Train all shapes for some hundred steps."""
    parser = argparse.ArgumentParser(description="Compare the first steps of training of three shapes.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded log-mels")
    parser.add_argument("--steps", type=int, default=300)
    parser.add_argument("--plot", type=Path, help="PNG of the losses")
    parser.add_argument("--output", type=Path, help="CSV of every step")
    options = parser.parse_args()
    keep_freed_memory()
    base = Recipe.read(find_recipe("a-rwkv-t-open"))
    base = dataclasses.replace(
        base,
        sampling=SamplingTable(seconds=[2.4], until=[1.0], batch=[8]),
        mixing=MixingTable(kind="none"),
        loss=dataclasses.replace(base.loss, embedding=0.0),
        optimiser=OptimiserTable(name="adamw", rate=1e-3, steps=options.steps, warm_up=WARM_UP),
    )
    files = [options.corpus / name for name in (base.data.manifest, base.data.labels, base.data.teacher)]
    corpus = Corpus.read(*files)
    mels = open_mel_store([clip.path for clip in corpus.clips], options.cache)
    batches = BatchMaker(base, corpus, mels)
    curves = {}
    for shape, width in WIDTHS.items():
        network = dataclasses.replace(base.network, width=width, whiten=False)
        curve = losses_of(dataclasses.replace(base, network=network), corpus, batches, options.steps)
        curves[shape] = curve
        losses, norms = np.array(curve).T
        print(
            f"{shape}: {len(curve)} steps, loss {losses[:ENDS].mean():.2f} to {losses[-ENDS:].mean():.2f}, at most "
            f"{losses[WARM_UP:].max():.2f} after the warm-up, gradients at most {norms.max():.1f}",
            flush=True,
        )
    if options.output:
        with options.output.open("w", newline="", encoding="utf-8") as file:
            writer = csv.writer(file)
            writer.writerow(["shape", "step", "loss", "gradient_norm"])
            for shape, curve in curves.items():
                writer.writerows([shape, step, *numbers] for step, numbers in enumerate(curve, 1))
    if options.plot:
        draw(curves, options.plot)


if __name__ == "__main__":
    main()

"""The first steps of training under several optimisers, all on the same random batches.

    python benchmarks/training_trials.py CORPUS --cache FOLDER [--steps 120]

CORPUS is a folder as docs/training.md describes it, with teacher_embeddings.npy. Prints a line a trial: the
step loss (binary cross-entropy summed over the classes), a mean over the last 20 steps, and the seconds a step.
"""

import argparse
import dataclasses
import time
from pathlib import Path

import numpy as np
import torch

from arwkv_core.training.batches import BatchMaker
from arwkv_core.training.class_balance import target_frequency
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.mel_store import open_mel_store
from arwkv_core.training.optimiser import make_optimisers
from arwkv_core.training.recipe import AugmentationTable, MixingTable, Recipe, SamplingTable
from arwkv_core.training.run import find_recipe
from arwkv_core.training.student import Student, set_prior_
from arwkv_core.training.trainer import WHITENING_BATCHES
from arwkv_core.training.whitening import whiten_embedding_

WARM_UP = 20
LAST = 20
TRIALS = (  # optimiser, rate, rate of the matrices, whitened patches
    ("adamw", 1e-3, 0.0, True),
    ("muon", 2e-3, 0.02, False),
    ("muon", 2e-3, 0.02, True),
    ("muon", 4e-3, 0.04, True),
    ("muon", 1e-3, 0.01, True),
)


def trial(recipe: Recipe, corpus: Corpus, batches: BatchMaker, steps: int) -> tuple[float, float]:
    """Mean step loss of the last steps, and the median seconds a step."""
    torch.manual_seed(0)
    assert corpus.embeddings is not None
    student = Student(recipe, len(corpus.labels), corpus.embeddings.shape[1])
    set_prior_(student.network, target_frequency(corpus))
    if recipe.network.whiten:
        whiten_embedding_(student.network, (batches(k).fbank for k in range(WHITENING_BATCHES)), seed=0)
    optimisers = make_optimisers(student, recipe.optimiser)
    losses, seconds = [], []
    for step in range(steps):
        batch = batches(step)
        started = time.perf_counter()
        terms = student.losses(batch)
        torch.stack(list(terms.values())).sum().backward()
        torch.nn.utils.clip_grad_norm_(student.parameters(), recipe.optimiser.clip_norm)
        for optimiser in optimisers:
            for group in optimiser.param_groups:
                group["lr"] = group["peak"] * min(1, (step + 1) / WARM_UP)
            optimiser.step()
            optimiser.zero_grad()
        seconds.append(time.perf_counter() - started)
        losses.append(float(terms["step"].detach()))
    return float(np.mean(losses[-LAST:])), float(np.median(seconds))


def main() -> None:
    parser = argparse.ArgumentParser(description="Compare optimisers over the first steps of training.")
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--cache", type=Path, required=True, help="folder for decoded log-mels")
    parser.add_argument("--steps", type=int, default=120)
    options = parser.parse_args()
    base = Recipe.read(find_recipe("a-rwkv-t-open"))
    files = [options.corpus / name for name in (base.data.manifest, base.data.labels, base.data.teacher)]
    corpus = Corpus.read(*files, embeddings=options.corpus / base.data.embeddings)
    mels = open_mel_store([clip.path for clip in corpus.clips], options.cache)
    base = dataclasses.replace(
        base,
        sampling=SamplingTable(seconds=[2.4], until=[1.0], batch=[8]),
        mixing=MixingTable(kind="none"),
        augmentation=AugmentationTable(band_mask_bins=12, low_pass_probability=0.1),
    )
    batches = BatchMaker(base, corpus, mels)
    for name, rate, matrix_rate, whiten in TRIALS:
        table = dataclasses.replace(base.optimiser, name=name, rate=rate, matrix_rate=matrix_rate)
        network = dataclasses.replace(base.network, whiten=whiten)
        recipe = dataclasses.replace(base, optimiser=table, network=network)
        loss, seconds = trial(recipe, corpus, batches, options.steps)
        print(
            f"{name:6} {rate:g} {matrix_rate:g} whiten={whiten}: loss {loss:.2f}, {seconds:.2f} s a step",
            flush=True,
        )


if __name__ == "__main__":
    main()

"""Training examples: random cuts of clips, joined, mixed and masked; a pure function of (seed, step)."""

from __future__ import annotations

import functools
from collections.abc import Iterator
from dataclasses import dataclass
from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from arwkv_core.constants import FRAMES_PER_STEP, HOP_SECONDS, N_MELS, STEP_SECONDS

from .augment import augment
from .corpus import Corpus
from .mel_store import SILENCE, MelStore
from .mixing import mix
from .recipe import Recipe
from .targets import audible_steps, teacher_weights, tempered

SHORTEST_CUT_STEPS = 6
"""A joined clip gives about a second at least, unless it is shorter itself."""


@dataclass
class Batch:
    """Examples of one optimiser step.

    Attributes
    ----------
    fbank : ndarray of float32, shape (B, frames, 128)
        Normalised.
    steps : ndarray of float32, shape (B, steps, classes)
        Targets for every 160 ms.
    clips : ndarray of float32, shape (B, classes)
        Targets for the whole example: the maximum over its steps.
    embeddings : ndarray of float32, shape (B, steps, width), or None
        The teacher's embedding, centred, of unit variance over all dimensions.
    pure : ndarray of bool, shape (B, steps)
        Steps for which the embedding holds: inside a clip, and not mixed.
    """

    fbank: NDArray[np.float32]
    steps: NDArray[np.float32]
    clips: NDArray[np.float32]
    embeddings: NDArray[np.float32] | None
    pure: NDArray[np.bool_]

    def part(self, number: int, count: int) -> Batch:
        """The examples of one of several processes: as many for each."""
        size = len(self.fbank) // count
        rows = slice(number * size, (number + 1) * size)
        vectors = None if self.embeddings is None else self.embeddings[rows]
        return Batch(self.fbank[rows], self.steps[rows], self.clips[rows], vectors, self.pure[rows])


class _Cut(NamedTuple):
    """A part of a clip in an example: from which log-mel frame, and where and how many steps of the example."""

    clip: int
    start: int
    at: int
    steps: int


class BatchMaker:
    """Makes the batch of any step of a recipe, so that a resumed run sees what an uninterrupted one would.

    Parameters
    ----------
    recipe : Recipe
    corpus : Corpus
    mels : MelStore
        Of all clips of the corpus, in its order.
    """

    def __init__(self, recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
        self.recipe, self.corpus, self.mels = recipe, corpus, mels
        self.indices = np.asarray(corpus.split("train"))
        until = sampling_weights(corpus, self.indices, recipe.sampling.balance).cumsum()
        self._until = until / until[-1]  # added up once, and not at each draw, as numpy's choice does
        self._mean, self._std = np.zeros(0, np.float32), np.float32(1)
        if corpus.embeddings is not None:  # statistics from an even thousand of rows
            some = corpus.embeddings[:: max(1, len(corpus.embeddings) // 1000)].astype(np.float32)
            self._mean = some.mean(0)
            self._std = (some - self._mean).std()  # one scale: dimensions that say little stay small

    def __call__(self, step: int, micro: int = 0) -> Batch:
        """Make the batch of an optimiser step (from 0) and one of its accumulated parts."""
        rng = np.random.default_rng([self.recipe.seed, step, micro])
        stage = self.recipe.stage(step)
        size = self.recipe.sampling.batch[stage]
        steps = round(self.recipe.sampling.seconds[stage] / STEP_SECONDS)
        batch = self._filled(self._plan(rng, size, steps), steps)
        table = self.recipe.mixing
        for _ in range(table.rounds if table.kind == "power" else 1):
            more = self._partners(rng, size, steps) if table.kind == "power" else []
            batch = mix(rng, batch, functools.partial(self._second, more, steps), table)
        batch.fbank -= self.recipe.data.mean
        batch.fbank /= self.recipe.data.std
        augment(rng, batch.fbank, self.recipe.augmentation, self.recipe.data.std)
        return batch

    def stream(self, start: int, stop: int, process: int = 0, processes: int = 1) -> Iterator[Batch]:
        """Batches of the optimiser steps ``start`` to ``stop``, all accumulated parts of each in turn.

        Of several processes, each makes the whole batch and keeps its part: so what is drawn does not depend on
        their number.
        """
        for step in range(start, stop):
            for micro in range(self.recipe.optimiser.accumulate):
                batch = self(step, micro)
                yield batch if processes == 1 else batch.part(process, processes)

    def _second(self, plan: list[list[_Cut]], steps: int, rows: NDArray[np.intp]) -> Batch:
        """Examples to mix in; what is mixed has no embedding."""
        return self._filled([plan[row] for row in rows], steps, embedded=False)

    def _partners(self, rng: np.random.Generator, size: int, steps: int) -> list[list[_Cut]]:
        """Draw what may be mixed in: examples like the others, or one clip from end to end."""
        plan = self._plan(rng, size, steps)
        if self.recipe.mixing.background:
            for row in np.flatnonzero(rng.random(size) < self.recipe.mixing.background):
                plan[row] = self._repeated(rng, steps)
        return plan

    def _repeated(self, rng: np.random.Generator, steps: int) -> list[_Cut]:
        """One clip, over and over, that may have begun before the example does."""
        clip = self._drawn(rng)
        frames = int(self.mels.offsets[clip + 1] - self.mels.offsets[clip])
        longest = max(1, frames // FRAMES_PER_STEP)
        skipped = int(rng.integers(0, longest))
        cuts, done = [], 0
        while done < steps:
            length = min(longest - skipped, steps - done)
            cuts.append(_Cut(clip, skipped * FRAMES_PER_STEP, done, length))
            done, skipped = done + length, 0
        return cuts

    def _drawn(self, rng: np.random.Generator) -> int:
        """A clip of the training split, at random."""
        return int(self.indices[np.searchsorted(self._until, rng.random(), side="right")])

    def _plan(self, rng: np.random.Generator, size: int, steps: int) -> list[list[_Cut]]:
        """Draw the cuts of each example."""
        join = self.recipe.sampling.join
        examples: list[list[_Cut]] = []
        for _ in range(size):
            cuts: list[_Cut] = []
            done = 0
            while done < steps:
                clip = self._drawn(rng)
                frames = int(self.mels.offsets[clip + 1] - self.mels.offsets[clip])
                longest = max(1, min(steps - done, frames // FRAMES_PER_STEP))
                shortest = min(longest, SHORTEST_CUT_STEPS)
                # half of the cuts fill what they can, the others leave room for a change of scene
                fills = not join or rng.random() < 0.5
                length = longest if fills else int(rng.integers(shortest, longest + 1))
                start = int(rng.integers(0, frames - length * FRAMES_PER_STEP + 1))
                cuts.append(_Cut(clip, start, done, length))
                done += length
                if not join:
                    break
            examples.append(cuts)
        return examples

    def _filled(self, plan: list[list[_Cut]], steps: int, *, embedded: bool = True) -> Batch:
        """Make the examples of a plan, not mixed."""
        corpus, size = self.corpus, len(plan)
        width = 0 if corpus.embeddings is None or not embedded else corpus.embeddings.shape[1]
        fbank = np.full((size, steps * FRAMES_PER_STEP, N_MELS), SILENCE, np.float32)
        targets = np.zeros((size, steps, len(corpus.labels)), np.float32)
        vectors = np.zeros((size, steps, width), np.float32) if width else None
        pure = np.zeros((size, steps), bool)
        for row, cuts in enumerate(plan):
            for cut in cuts:
                self._fill(cut, fbank[row], targets[row], None if vectors is None else vectors[row])
                pure[row, cut.at : cut.at + cut.steps] = vectors is not None
        return Batch(fbank, targets, targets.max(1), vectors, pure)

    def _fill(
        self,
        cut: _Cut,
        fbank: NDArray[np.float32],
        targets: NDArray[np.float32],
        vectors: NDArray[np.float32] | None,
    ) -> None:
        """Write a cut into its example."""
        corpus, clip, at, steps = self.corpus, cut.clip, cut.at, cut.steps
        mels = self.mels[clip]
        fbank[at * FRAMES_PER_STEP : (at + steps) * FRAMES_PER_STEP] = mels[
            cut.start : cut.start + steps * FRAMES_PER_STEP
        ]
        first, last = corpus.offsets[clip], corpus.offsets[clip + 1]
        seconds = len(mels) * HOP_SECONDS
        before, after, share = teacher_weights(int(last - first), seconds, cut.start, steps)
        share = share[:, None]
        scores = tempered(corpus.teacher_frames(clip), self.recipe.data.temperature)
        targets[at : at + steps] = scores[before] * (1 - share) + scores[after] * share
        known = list(corpus.clips[clip].known)
        if known:
            sounding = np.flatnonzero(audible_steps(mels, cut.start, steps))
            targets[(at + sounding)[:, None], known] = 1
        if vectors is not None:
            assert corpus.embeddings is not None
            rows = corpus.embeddings[first:last].astype(np.float32)
            rows = (rows - self._mean) / self._std
            vectors[at : at + steps] = rows[before] * (1 - share) + rows[after] * share


def sampling_weights(corpus: Corpus, indices: NDArray[np.int64], balance: float) -> NDArray[np.float64]:
    """Probability of each clip.

    A clip counts as its rarest known class does: ``frequency ** -balance``. Clips about which nothing is
    known count as a class of their own size, the commonest.

    Returns
    -------
    ndarray, shape (len(indices),)
        Sums to 1.
    """
    counts = np.zeros(len(corpus.labels))
    for index in indices:
        counts[list(corpus.clips[index].known)] += 1
    unknown = sum(not corpus.clips[i].known for i in indices)
    commonest = max(1.0, counts.max(), unknown)
    rarest = [min((counts[k] for k in corpus.clips[i].known), default=commonest) for i in indices]
    # a class of one or two clips would otherwise be seen hundreds of times
    weights = np.maximum(np.asarray(rarest), 8.0) ** -balance
    return weights / weights.sum()

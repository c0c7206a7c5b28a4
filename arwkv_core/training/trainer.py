"""The training loop: exact resume, validation, and a model folder at the end."""

from __future__ import annotations

import contextlib
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from tqdm.auto import tqdm

from arwkv_core.allocator import keep_freed_memory
from arwkv_core.checkpoint import ACTIVE_THRESHOLDS, save_model_folder
from arwkv_core.errors import ArwkvError, ConfigError
from arwkv_core.evaluate import Evaluation, evaluate_scores
from arwkv_core.interrupts import deferred_interrupts
from arwkv_core.model import ARWKV
from arwkv_core.model_config import ModelConfig
from arwkv_core.prefetch import prefetch
from arwkv_core.toml_writer import TomlValue

from .batches import BatchMaker
from .card import card_text
from .class_balance import class_weights, target_frequency
from .corpus import Corpus
from .fingerprint import fingerprint
from .likelihood import known_likelihood
from .mel_store import MelStore
from .optimiser import make_optimisers, set_rates
from .precision import autocast
from .predict import clip_scores
from .processes import Processes
from .recipe import Recipe
from .run_folder import RunFolder
from .start import go_on_from_, load_start
from .student import RunningMean, Student, set_prior_
from .update import Update
from .whitening import whiten_embedding_

LOG_EVERY_STEPS = 20
CHECKPOINT_SECONDS = 180
BATCHES_AHEAD = 4
WHITENING_BATCHES = 12
LOSS_TERMS = ("step", "clip", "embedding")


class Trainer:
    """Trains one recipe on one corpus.

    A run that was killed and is started again with the same arguments continues from its last checkpoint and
    ends in the same weights as one that was never interrupted (on the same machine and number of threads).

    Parameters
    ----------
    recipe : Recipe
    corpus : Corpus
    mels : MelStore
        Of all clips of the corpus.
    output : str or Path
        Folder of the run.
    device : str
    overwrite : bool
        Start anew where the folder holds a run.
    checkpoint_seconds : float
        Time between checkpoints; it does not affect the result.
    processes : Processes, optional
        Those that train together; this one alone by default.
    """

    def __init__(
        self,
        recipe: Recipe,
        corpus: Corpus,
        mels: MelStore,
        output: str | Path,
        *,
        device: str = "auto",
        overwrite: bool = False,
        checkpoint_seconds: float = CHECKPOINT_SECONDS,
        processes: Processes | None = None,
    ) -> None:
        self.recipe, self.corpus, self.mels = recipe, corpus, mels
        self.processes = processes or Processes(device)
        self.device = self.processes.device
        _check_shares(recipe, self.processes.count)
        keep_freed_memory()
        self.checkpoint_seconds = checkpoint_seconds
        self.start = load_start(recipe, corpus) if recipe.network.start else None
        self.folder: RunFolder | None = None
        if self.processes.first:
            mark = fingerprint(recipe, corpus, self.start.config.weights_sha256 if self.start else "")
            self.folder = RunFolder(output, mark, overwrite=overwrite)
        torch.manual_seed(recipe.seed)
        width = corpus.embeddings.shape[1] if corpus.embeddings is not None and recipe.loss.embedding else 0
        weights = class_weights(corpus) if recipe.loss.class_weights == "balanced" else None
        self.student = Student(recipe, len(corpus.labels), width, weights).to(self.device)
        self.batches = BatchMaker(recipe, corpus, mels)
        if self.start:
            go_on_from_(self.student.network, self.start, recipe, target_frequency(corpus))
        elif recipe.network.whiten:
            some = (self.batches(step).fbank for step in range(WHITENING_BATCHES))
            whiten_embedding_(self.student.network, some, recipe.seed)
        if recipe.loss.kind == "sigmoid" and not self.start:
            set_prior_(self.student.network, target_frequency(corpus))
        self.optimisers = make_optimisers(self.student, recipe.optimiser)
        self.mean = RunningMean(self.student.network, recipe.optimiser.ema)
        self.update = Update(
            self.student, self.optimisers, self.mean, self.student.network, recipe.optimiser.clip_norm
        )
        self.step = 0
        self._random = torch.get_rng_state()
        self.seconds = 0.0
        self.best = -math.inf
        self.not_best = 0  # validations since the best
        self.validated = 0  # the step after which that was last done
        self.best_weights = {name: value.clone() for name, value in self.mean.weights.items()}
        self.best_evaluation: dict[str, Any] = {}
        state = self.processes.shared(self.folder.state if self.folder is not None else None)
        if state is not None:
            self._restore(state)
        self.parallel = self.processes.wrapped(self.student)

    def run(self, *, progress: bool = True) -> Path | None:
        """Train to the end, write the model folder, and let go of the run's folder.

        Returns
        -------
        Path or None
            The model folder, ``<output>/<name>``, with the weights that validated best; None where another process
            writes it.

        Raises
        ------
        ArwkvError
            If the loss is no longer finite; the last checkpoint stays.
        KeyboardInterrupt
            After a checkpoint was written.
        """
        try:
            if self.folder is None:
                self._train(progress=False)
                return None
            with contextlib.closing(self.folder):
                self._train(progress)
                return self._export(self.folder.path / self.recipe.name)
        finally:
            self.parallel = self.student  # the processes may part now

    @property
    def done(self) -> bool:
        """Whether all steps are done, or validation has not got better for as long as the recipe waits."""
        patience = self.recipe.validation.patience
        return self.step >= self.recipe.optimiser.steps or 0 < patience <= self.not_best

    def _train(self, progress: bool) -> None:
        steps, processes = self.recipe.optimiser.steps, self.processes
        bar = tqdm(total=steps, initial=self.step, desc=self.recipe.name, unit="step", disable=not progress)
        saved = time.monotonic()
        shown: dict[str, list[float]] = {}
        batches = self.batches.stream(self.step, steps, processes.rank, processes.count)
        with contextlib.closing(prefetch(batches, BATCHES_AHEAD)) as stream, bar:
            try:
                self._validate_if_due()  # where an interruption came between a step and its validation
                while not self.done:
                    started = time.monotonic()
                    for name, value in self._train_step(stream).items():
                        shown.setdefault(name, []).append(value)
                    self.seconds += time.monotonic() - started
                    bar.update()
                    if self.step % LOG_EVERY_STEPS == 0 or self.step == steps:
                        means = {name: round(float(np.mean(values)), 4) for name, values in shown.items()}
                        self._log(means)
                        state: dict[str, Any] = {"loss": means["loss"]}
                        if self.best > -math.inf:  # something was validated
                            state[self.recipe.validation.metric] = f"{self.best:.3f}"
                        bar.set_postfix(state)
                        shown.clear()
                    self._validate_if_due()
                    if time.monotonic() - saved > self.checkpoint_seconds or self.done:
                        self._save()
                        saved = time.monotonic()
            except KeyboardInterrupt:
                torch.set_rng_state(self._random)  # a step that was begun is undone
                self._save()
                raise

    def _train_step(self, stream: Any) -> dict[str, float]:
        table = self.recipe.optimiser
        factor = set_rates(self.optimisers, self.step, table)
        if self.processes.count > 1:  # else all would skip the same blocks of their examples
            torch.manual_seed(_seed(self.recipe.seed, self.step, self.processes.rank))
        self._random = torch.get_rng_state()
        sums: dict[str, float] = {"loss": 0.0}
        self.student.train()
        for micro in range(table.accumulate):
            last = micro == table.accumulate - 1
            held_back = contextlib.nullcontext() if last else self.processes.unsynchronised(self.parallel)
            with held_back:
                with autocast(self.device, table.precision):
                    terms = self.parallel(next(stream))
                loss = torch.stack(list(terms.values())).sum() / table.accumulate
                torch.autograd.backward(loss)
            for name, term in terms.items():
                value = float(term.detach()) / table.accumulate
                sums["loss"] += value
                sums[f"{name}_loss"] = sums.get(f"{name}_loss", 0.0) + value
        if self.processes.count > 1:
            sums = self._averaged_sums(sums)
        if not math.isfinite(sums["loss"]):
            raise ArwkvError(
                f"the loss is {sums['loss']} at step {self.step}: lower optimiser.rate or matrix_rate; "
                "the last checkpoint is kept"
            )
        with deferred_interrupts():  # else half of the weights would be a step ahead
            norm = self.update(self.step)
            self.step += 1
            self._random = torch.get_rng_state()
        return {**sums, "gradient": norm, "rate": table.rate * factor}

    def _averaged_sums(self, sums: dict[str, float]) -> dict[str, float]:
        """Means over all processes; a term that a batch has no targets for is 0 there."""
        names = ["loss", *(f"{name}_loss" for name in LOSS_TERMS)]
        means = self.processes.mean([sums.get(name, 0.0) for name in names])
        return {name: value for name, value in zip(names, means, strict=True) if name in sums or value}

    def _validate_if_due(self) -> None:
        due = self.step % self.recipe.validation.every_steps == 0 or self.step >= self.recipe.optimiser.steps
        if due and self.step > self.validated:
            self._validate()

    def _validate(self) -> None:
        table = self.recipe.validation
        numbers: dict[str, Any] = {}
        if self.processes.first:
            clips = self.corpus.split("valid")
            if table.clips:
                clips = [
                    clips[i] for i in np.linspace(0, len(clips) - 1, min(table.clips, len(clips))).astype(int)
                ]
            scores = clip_scores(self._averaged(), self.recipe, self.mels, clips)
            numbers = _numbers(evaluate_scores(scores, self.corpus, clips, self.recipe.name, "valid"))
            likelihood = known_likelihood(scores, self.corpus.known_matrix(clips), self.recipe.loss.kind)
            if math.isfinite(likelihood):
                numbers["known_likelihood"] = round(likelihood, 4)
        numbers = self.processes.shared(numbers)
        value = numbers.get(table.metric)
        with deferred_interrupts():
            self.validated = self.step
            self.not_best += 1
            if value is not None and value > self.best:
                self.best, self.best_evaluation, self.not_best = value, numbers, 0
                self.best_weights = {name: weight.clone() for name, weight in self.mean.weights.items()}
            self._log({"valid": numbers})

    def _log(self, entry: dict[str, Any]) -> None:
        if self.folder is not None:
            self.folder.log({"step": self.step, "seconds": round(self.seconds, 1), **entry})

    def _averaged(self) -> ARWKV:
        network = ARWKV(self.student.network.arch).to(self.device)
        network.load_state_dict(self.mean.weights)
        return network.eval()

    def _save(self) -> None:
        if self.folder is None:
            return
        self.folder.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "student": self.student.state_dict(),
                "mean": self.mean.weights,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "random": torch.get_rng_state(),
                "best": self.best,
                "not_best": self.not_best,
                "validated": self.validated,
                "best_weights": self.best_weights,
                "best_evaluation": self.best_evaluation,
            }
        )

    def _restore(self, state: dict[str, Any]) -> None:
        self.student.load_state_dict(state["student"])
        for optimiser, saved in zip(self.optimisers, state["optimisers"], strict=True):
            optimiser.load_state_dict(saved)
        self.mean.weights = {name: value.to(self.device) for name, value in state["mean"].items()}
        torch.set_rng_state(state["random"])
        self.step, self.seconds, self.best = state["step"], state["seconds"], state["best"]
        self.best_weights, self.best_evaluation = state["best_weights"], state["best_evaluation"]
        self.validated = state.get("validated", self.step)
        self.not_best = state.get("not_best", 0)  # older checkpoints were of recipes that never stop early

    def _export(self, target: Path) -> Path:
        network = ARWKV(self.student.network.arch)
        network.load_state_dict(self.best_weights if self.best > -math.inf else self.mean.weights)
        training: dict[str, TomlValue] = {
            "recipe": self.recipe.name,
            "clips": len(self.corpus.split("train")),
            "steps": self.step,
            "hours_on_the_machine": round(self.seconds / 3600, 2),
        }
        new_head = self.recipe.network.head == "new"  # of few classes, which share a softmax's sum of one
        config = ModelConfig(
            name=self.recipe.name,
            architecture=network.arch,
            score_function=self.recipe.loss.kind,
            mean=self.recipe.data.mean,
            std=self.recipe.data.std,
            active_threshold=0.5 if new_head else ACTIVE_THRESHOLDS[self.recipe.loss.kind],
            hop_frames=self.start.config.hop_frames if self.start else None,
            training=training,
            metrics={"valid": self.best_evaluation} if self.best_evaluation else {},
            licence=self.recipe.licence,
        )
        save_model_folder(
            target, network, config, self.corpus.labels, card_text(config, self.corpus), overwrite=True
        )
        return target


def _check_shares(recipe: Recipe, processes: int) -> None:
    """Refuse batches of which not all processes can have as much.

    Raises
    ------
    ConfigError
        Naming the size.
    """
    for size in recipe.sampling.batch:
        if size % processes:
            raise ConfigError(
                f"sampling.batch: expected a multiple of the {processes} processes that share it, found {size}"
            )


def _seed(seed: int, step: int, rank: int) -> int:
    """A seed of torch's generator for a step of one of several processes."""
    return int(np.random.SeedSequence([seed, step, rank]).generate_state(1, np.uint64)[0] >> np.uint64(1))


def _numbers(result: Evaluation) -> dict[str, Any]:
    numbers = {key: value for key, value in result.to_dict().items() if isinstance(value, int | float)}
    return {key: round(value, 4) for key, value in numbers.items()}

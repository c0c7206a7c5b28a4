"""The training loop: exact resume, validation, and a model folder at the end."""

from __future__ import annotations

import contextlib
import dataclasses
import hashlib
import json
import math
import time
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from tqdm.auto import tqdm

from arwkv_core.checkpoint import load_model, save_model_folder
from arwkv_core.device import choose_device
from arwkv_core.errors import ArwkvError, ConfigError
from arwkv_core.evaluate import Evaluation, evaluate_scores
from arwkv_core.model import ARWKV, Architecture
from arwkv_core.model_config import ModelConfig
from arwkv_core.prefetch import prefetch
from arwkv_core.toml_writer import TomlValue

from .allocator import keep_freed_memory
from .batches import BatchMaker
from .card import card_text
from .corpus import Corpus
from .mel_store import MelStore
from .optimiser import make_optimisers, set_rates
from .precision import autocast
from .predict import clip_scores
from .recipe import Recipe
from .run_folder import RunFolder
from .student import RunningMean, Student, set_prior_
from .whitening import whiten_embedding_

LOG_EVERY_STEPS = 20
CHECKPOINT_SECONDS = 180
BATCHES_AHEAD = 4
WHITENING_BATCHES = 12


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
    ) -> None:
        self.recipe, self.corpus, self.mels = recipe, corpus, mels
        self.device = choose_device(device)
        keep_freed_memory()
        self.checkpoint_seconds = checkpoint_seconds
        start = load_start(recipe, corpus) if recipe.network.start else None
        fingerprint = _fingerprint(recipe, corpus, start[1].weights_sha256 if start else "")
        self.folder = RunFolder(output, fingerprint, overwrite=overwrite)
        torch.manual_seed(recipe.seed)
        width = corpus.embeddings.shape[1] if corpus.embeddings is not None and recipe.loss.embedding else 0
        self.student = Student(recipe, len(corpus.labels), width).to(self.device)
        self.batches = BatchMaker(recipe, corpus, mels)
        if start:
            self.student.network.load_state_dict(start[0].state_dict())
        elif recipe.network.whiten:
            some = (self.batches(step).fbank for step in range(WHITENING_BATCHES))
            whiten_embedding_(self.student.network, some, recipe.seed)
        if recipe.loss.kind == "sigmoid" and not start:
            set_prior_(self.student.network, target_frequency(corpus))
        self.optimisers = make_optimisers(self.student, recipe.optimiser)
        self.mean = RunningMean(self.student.network, recipe.optimiser.ema)
        self.step = 0
        self._updating = False
        self._random = torch.get_rng_state()
        self.seconds = 0.0
        self.best = -math.inf
        self.best_weights = {name: value.clone() for name, value in self.mean.weights.items()}
        self.best_evaluation: dict[str, Any] = {}
        if self.folder.state is not None:
            self._restore(self.folder.state)

    def run(self, *, progress: bool = True) -> Path:
        """Train to the end, write the model folder, and let go of the run's folder.

        Returns
        -------
        Path
            The model folder, ``<output>/<name>``, with the weights that validated best.

        Raises
        ------
        ArwkvError
            If the loss is no longer finite; the last checkpoint stays.
        KeyboardInterrupt
            After a checkpoint was written.
        """
        with contextlib.closing(self.folder):
            self._train(progress)
            return self._export()

    def _train(self, progress: bool) -> None:
        steps = self.recipe.optimiser.steps
        bar = tqdm(total=steps, initial=self.step, desc=self.recipe.name, unit="step", disable=not progress)
        saved = time.monotonic()
        shown: dict[str, list[float]] = {}
        with (
            contextlib.closing(prefetch(self.batches.stream(self.step, steps), BATCHES_AHEAD)) as stream,
            bar,
        ):
            try:
                while self.step < steps:
                    started = time.monotonic()
                    for name, value in self._train_step(stream).items():
                        shown.setdefault(name, []).append(value)
                    self.seconds += time.monotonic() - started
                    bar.update()
                    if self.step % LOG_EVERY_STEPS == 0 or self.step == steps:
                        means = {name: round(float(np.mean(values)), 4) for name, values in shown.items()}
                        self.folder.log({"step": self.step, "seconds": round(self.seconds, 1), **means})
                        bar.set_postfix(
                            {"loss": means["loss"], self.recipe.validation.metric: f"{self.best:.3f}"}
                        )
                        shown.clear()
                    if self.step % self.recipe.validation.every_steps == 0 or self.step == steps:
                        self._validate()
                    if time.monotonic() - saved > self.checkpoint_seconds or self.step == steps:
                        self._save()
                        saved = time.monotonic()
            except KeyboardInterrupt:
                if not self._updating:  # else half of the weights are a step ahead
                    torch.set_rng_state(self._random)  # the step is undone
                    self._save()
                raise

    def _train_step(self, stream: Any) -> dict[str, float]:
        table = self.recipe.optimiser
        factor = set_rates(self.optimisers, self.step, table)
        self._random = torch.get_rng_state()
        sums: dict[str, float] = {"loss": 0.0}
        self.student.train()
        for _ in range(table.accumulate):
            with autocast(self.device, table.precision):
                terms = self.student.losses(next(stream))
            loss = torch.stack(list(terms.values())).sum() / table.accumulate
            torch.autograd.backward(loss)
            for name, term in terms.items():
                value = float(term.detach()) / table.accumulate
                sums["loss"] += value
                sums[f"{name}_loss"] = sums.get(f"{name}_loss", 0.0) + value
        if not math.isfinite(sums["loss"]):
            raise ArwkvError(
                f"the loss is {sums['loss']} at step {self.step}: lower optimiser.rate or matrix_rate; "
                "the last checkpoint is kept"
            )
        norm = torch.nn.utils.clip_grad_norm_(self.student.parameters(), table.clip_norm)
        self._updating = True
        for optimiser in self.optimisers:
            optimiser.step()
            optimiser.zero_grad(set_to_none=True)
        self.mean.update(self.student.network, self.step)
        self.step += 1
        self._updating = False
        return {**sums, "gradient": float(norm), "rate": table.rate * factor}

    def _validate(self) -> None:
        table = self.recipe.validation
        clips = self.corpus.split("valid")
        if table.clips:
            clips = [
                clips[i] for i in np.linspace(0, len(clips) - 1, min(table.clips, len(clips))).astype(int)
            ]
        scores = clip_scores(self._averaged(), self.recipe, self.mels, clips)
        result = evaluate_scores(scores, self.corpus, clips, self.recipe.name, "valid")
        numbers = _numbers(result)
        value = numbers.get(table.metric)
        if value is not None and value > self.best:
            self.best, self.best_evaluation = value, numbers
            self.best_weights = {name: weight.clone() for name, weight in self.mean.weights.items()}
        self.folder.log({"step": self.step, "seconds": round(self.seconds, 1), "valid": numbers})

    def _averaged(self) -> ARWKV:
        network = ARWKV(self.student.network.arch).to(self.device)
        network.load_state_dict(self.mean.weights)
        return network.eval()

    def _save(self) -> None:
        self.folder.save(
            {
                "step": self.step,
                "seconds": self.seconds,
                "student": self.student.state_dict(),
                "mean": self.mean.weights,
                "optimisers": [optimiser.state_dict() for optimiser in self.optimisers],
                "random": torch.get_rng_state(),
                "best": self.best,
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

    def _export(self) -> Path:
        network = ARWKV(self.student.network.arch)
        network.load_state_dict(self.best_weights if self.best > -math.inf else self.mean.weights)
        training: dict[str, TomlValue] = {
            "recipe": self.recipe.name,
            "clips": len(self.corpus.split("train")),
            "steps": self.step,
            "hours_on_the_machine": round(self.seconds / 3600, 2),
        }
        config = ModelConfig(
            name=self.recipe.name,
            architecture=network.arch,
            score_function=self.recipe.loss.kind,
            mean=self.recipe.data.mean,
            std=self.recipe.data.std,
            active_threshold=0.1 if self.recipe.loss.kind == "softmax" else 0.5,
            training=training,
            metrics={"valid": self.best_evaluation} if self.best_evaluation else {},
            licence=self.recipe.licence,
        )
        target = self.folder.path / self.recipe.name
        save_model_folder(
            target, network, config, self.corpus.labels, card_text(config, self.corpus), overwrite=True
        )
        return target


def target_frequency(corpus: Corpus) -> NDArray[np.float64]:
    """Mean of the step targets over the training clips, ``(classes,)``: the teacher's, or 1 where known."""
    clips = corpus.split("train")
    sums = np.zeros(len(corpus.labels))
    for clip in clips:
        mean = corpus.teacher_frames(clip).mean(0)
        mean[list(corpus.clips[clip].known)] = 1
        sums += mean
    return sums / len(clips)


def load_start(recipe: Recipe, corpus: Corpus) -> tuple[ARWKV, ModelConfig]:
    """Load the model that a training goes on from.

    Raises
    ------
    ConfigError
        If it has another shape, other classes or another normalisation than the recipe.
    """
    name = recipe.network.start
    model, config, labels = load_model(name)
    shape = recipe.network
    wanted = Architecture(shape.depth, shape.width, len(corpus.labels), shape.position, shape.frames)
    checks = [
        ("shape", wanted, model.arch),
        ("mean and std", (recipe.data.mean, recipe.data.std), (config.mean, config.std)),
    ]
    for what, expected, found in checks:
        if found != expected:
            raise ConfigError(f"network.start: {name}: expected {what} {expected}, found {found}")
    if labels.mids != corpus.labels.mids:
        raise ConfigError(f"network.start: {name}: its classes are not those of the corpus, in their order")
    return model, config


def _fingerprint(recipe: Recipe, corpus: Corpus, start_sha256: str) -> str:
    """Hash of all that affects the result of a run, the targets included."""
    digest = hashlib.sha256(json.dumps(dataclasses.asdict(recipe), sort_keys=True).encode())
    digest.update(start_sha256.encode())
    digest.update("\n".join(f"{clip.path.name} {clip.split} {clip.known}" for clip in corpus.clips).encode())
    digest.update(np.ascontiguousarray(corpus.teacher).data)
    digest.update(" ".join(corpus.labels.mids).encode())
    return digest.hexdigest()


def _numbers(result: Evaluation) -> dict[str, Any]:
    numbers = {key: value for key, value in result.to_dict().items() if isinstance(value, int | float)}
    return {key: round(value, 4) for key, value in numbers.items()}

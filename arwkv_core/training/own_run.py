"""A training on labelled sounds: what `finetune` does, however the sounds are parted."""

from __future__ import annotations

import dataclasses
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from arwkv_core.checkpoint import load_model
from arwkv_core.constants import FRAMES_PER_STEP, STEP_SECONDS
from arwkv_core.errors import ConfigError, UsageError
from arwkv_core.labelled.dataset import Dataset
from arwkv_core.labelled.result import Result
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig, ScoreFunction
from arwkv_core.model_scorer import ModelScorer
from arwkv_core.staging import refuse_existing, refuse_unwritable

from .corpus import Corpus
from .mel_store import MelStore
from .own_corpus import corpus_of
from .own_teacher import taught_by
from .predict import clip_scores
from .processes import Processes
from .recipe import NetworkTable, Recipe
from .run import find_recipe, shared_mel_store
from .run_folder import CHECKPOINT, LOCK, LOG
from .trainer import CHECKPOINT_SECONDS, Trainer

LONGEST_CLIP_SECONDS = 60.0
"""Of a clip in validation, where the model takes any length."""


@dataclass(frozen=True)
class OwnRun:
    """How a model is trained on; see `finetune`, whose parameters these are.

    Methods are called in each of the processes that train together.
    """

    name: str
    model: str | Path
    recipe: str | Path
    steps: int | None
    batch: int | None
    rate: float | None
    patience: int | None
    keep_classes: bool
    score_function: str
    class_weights: Literal["none", "balanced"]
    seed: int
    cache: Path
    overwrite: bool
    checkpoint_seconds: float = CHECKPOINT_SECONDS

    def check_places(self, folder: Path, made: str) -> None:
        """Refuse a run's folder in which a model can't be made, before the work.

        Parameters
        ----------
        folder : Path
            Of the run.
        made : str
            Name of what is made in it.

        Raises
        ------
        UsageError
            Naming the option.
        """
        if made in (self.cache.name, CHECKPOINT, LOCK, LOG):
            raise UsageError(
                f"--name: expected another name than {made!r}, which is that of a file of the run"
            )
        refuse_unwritable(folder, "--run")
        refuse_unwritable(self.cache, "--cache")
        try:
            refuse_existing(folder / made, overwrite=True)  # an older one of the same run
        except UsageError as error:
            raise UsageError(f"--run {folder}: the model is made in it: {error}") from None

    def start(self, device: torch.device) -> ModelScorer:
        """Load the model to go on from.

        Raises
        ------
        ArwkvError
            If it can't be used.
        """
        network, config, labels = load_model(self.model, device)
        return ModelScorer(network, config, labels)

    def train(
        self,
        dataset: Dataset,
        scorer: ModelScorer,
        plan: Recipe,
        folder: Path,
        processes: Processes,
        *,
        progress: bool,
    ) -> OwnModel | None:
        """Train, or go on where a run in this folder was stopped.

        Parameters
        ----------
        dataset : Dataset
            Every segment with its split.
        scorer : ModelScorer
            The model to go on from.
        plan : Recipe
        folder : Path
            Of the run.
        processes : Processes
        progress : bool
            Show bars on stderr.

        Returns
        -------
        OwnModel or None
            None in processes but the first.
        """
        shown = progress and processes.first
        labels = _joined(scorer.labels, dataset.labels) if self.keep_classes else dataset.labels
        window = scorer.window_frames // FRAMES_PER_STEP * STEP_SECONDS
        longest = LONGEST_CLIP_SECONDS if scorer.any_length else window
        in_silence = plan.loss.kind == "softmax" and not self.keep_classes
        corpus = corpus_of(dataset, labels, longest, in_silence=in_silence)
        mels = shared_mel_store(corpus, self.cache, processes, progress=progress)
        if processes.first:  # whose folder it is: sounds that have changed under their names make another run
            plan = dataclasses.replace(plan, data=dataclasses.replace(plan.data, manifest=mels.sha256()))
        if self.keep_classes:
            untaught = corpus
            corpus = processes.in_turn(lambda: taught_by(scorer, untaught, mels, self.cache, progress=shown))
        trainer = Trainer(
            plan,
            corpus,
            mels,
            folder,
            overwrite=self.overwrite,
            checkpoint_seconds=self.checkpoint_seconds,
            processes=processes,
        )
        made = trainer.run(progress=progress)
        return None if made is None else OwnModel(made, plan, corpus, mels, dataset)

    def plan(self, config: ModelConfig, dataset: Dataset) -> Recipe:
        """The recipe with what the model, the sounds and the options say.

        Raises
        ------
        ConfigError
            If there is no such recipe, or the options don't suit model and sounds.
        """
        kind = _kind(dataset, self.score_function, config if self.keep_classes else None)
        plan = Recipe.read(find_recipe(self.recipe))
        if self.class_weights not in ("none", "balanced"):
            raise ConfigError(f"--class-weights: expected none or balanced, found {self.class_weights!r}")
        arch = config.architecture
        # text may be a name in the zoo
        start = self.model if isinstance(self.model, str) else str(self.model.resolve())
        network = NetworkTable(
            depth=arch.depth,
            width=arch.width,
            position=arch.position,
            frames=arch.frames,
            drop_path=plan.network.drop_path,
            start=start,
            head="extended" if self.keep_classes else "new",
            head_bias=True,
        )
        sampling, optimiser, validation = plan.sampling, plan.optimiser, plan.validation
        if arch.position == "absolute":
            sampling = dataclasses.replace(
                sampling, seconds=[arch.steps * STEP_SECONDS] * len(sampling.seconds)
            )
        if self.batch is not None:
            sampling = dataclasses.replace(sampling, batch=[self.batch] * len(sampling.batch))
        if self.steps is not None:
            warm_up = min(optimiser.warm_up, self.steps // 10)
            optimiser = dataclasses.replace(optimiser, steps=self.steps, warm_up=warm_up)
        if self.rate is not None:
            optimiser = dataclasses.replace(optimiser, rate=self.rate)
        if self.patience is not None:
            validation = dataclasses.replace(validation, patience=self.patience)
        validation = dataclasses.replace(validation, every_steps=min(validation.every_steps, optimiser.steps))
        return dataclasses.replace(
            plan,
            name=self.name,
            seed=self.seed,
            network=network,
            data=dataclasses.replace(plan.data, mean=config.mean, std=config.std, embeddings=""),
            sampling=sampling,
            loss=dataclasses.replace(plan.loss, kind=kind, class_weights=self.class_weights, embedding=0.0),
            optimiser=optimiser,
            validation=validation,
            licence=dict(config.licence),
        )


@dataclass(frozen=True)
class OwnModel:
    """A model as its run left it.

    Attributes
    ----------
    folder : Path
        Of the model, in the run's folder.
    plan, corpus, mels, dataset
        What it was trained with.
    """

    folder: Path
    plan: Recipe
    corpus: Corpus
    mels: MelStore
    dataset: Dataset

    @property
    def multi_label(self) -> bool:
        """Whether each class is scored by itself."""
        return self.dataset.multi_label or self.plan.loss.kind == "sigmoid"

    def heard(self, split: str, device: torch.device) -> tuple[NDArray[np.float32], NDArray[np.bool_]]:
        """Scores and truth of the clips of a split, both ``(clips, classes)``, for the classes of the sounds."""
        network, _, labels = load_model(self.folder, device)
        columns = [labels.index(mid) for mid in self.dataset.labels.mids]
        clips = [index for index, clip in enumerate(self.corpus.clips) if clip.split == split]
        if not clips:
            return np.zeros((0, len(columns)), np.float32), np.zeros((0, len(columns)), bool)
        scores = clip_scores(network, self.plan, self.mels, clips)[:, columns]
        return np.asarray(scores), self.corpus.known_matrix(clips)[:, columns]

    def measured(self, split: str, device: torch.device) -> Result | None:
        """How well it does on a split that was not learnt from; None where there is none."""
        scores, truth = self.heard(split, device)
        if not len(scores):
            return None
        return Result.of(scores, truth, self.dataset.labels, multi_label=self.multi_label)


def _kind(dataset: Dataset, wanted: str, kept: ModelConfig | None) -> ScoreFunction:
    if wanted not in ("auto", "sigmoid", "softmax"):
        raise ConfigError(f"--score-function: expected auto, sigmoid or softmax, found {wanted!r}")
    if kept is not None:
        if wanted not in ("auto", kept.score_function):
            raise ConfigError(
                f"--score-function {wanted}: expected {kept.score_function}, as the classes that are kept have it"
            )
        return kept.score_function
    if wanted == "softmax" and dataset.multi_label:
        raise ConfigError(
            f"--score-function softmax: expected one label for every sound of {dataset.source}, found some with "
            "several or none: leave it out"
        )
    return "sigmoid" if dataset.multi_label or wanted == "sigmoid" else "softmax"


def _joined(old: LabelSet, new: LabelSet) -> LabelSet:
    """The classes of a model, and then those that it has not."""
    added = [(mid, name) for mid, name in new if mid not in old]
    return LabelSet(
        [*old.mids, *(mid for mid, _ in added)], [*old.names, *(name for _, name in added)], source=new.source
    )

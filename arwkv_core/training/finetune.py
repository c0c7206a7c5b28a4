"""From labelled sounds and a model to a model of one's own classes: the whole network learns on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np
import torch

from arwkv_core.checkpoint import load_model
from arwkv_core.constants import DEFAULT_MODEL, FRAMES_PER_STEP, STEP_SECONDS
from arwkv_core.errors import ConfigError, UsageError
from arwkv_core.labelled.dataset import Dataset, read_dataset
from arwkv_core.labelled.result import Result, plain
from arwkv_core.labelled.validation_split import with_validation
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig, ScoreFunction
from arwkv_core.model_scorer import ModelScorer
from arwkv_core.staging import refuse_existing, refuse_unwritable

from .corpus import Corpus
from .mel_store import MelStore
from .own_corpus import corpus_of
from .own_model import deliver, destination
from .own_teacher import taught_by
from .predict import clip_scores
from .processes import Processes
from .recipe import NetworkTable, Recipe
from .run import find_recipe, shared_mel_store
from .run_folder import CHECKPOINT, LOCK, LOG
from .trainer import CHECKPOINT_SECONDS, Trainer

RECIPE = "finetune"

SCHEMA_VERSION = 1

LONGEST_CLIP_SECONDS = 60.0
"""Of a clip in validation, where the model takes any length."""


@dataclass(frozen=True)
class FinetuneReport:
    """A model that was trained on, and what was measured of it.

    Attributes
    ----------
    name, folder : str
        Of the model.
    valid, test : Result or None
        The recordings by which the best weights were chosen, and those of the split ``test``, if there are any.
    remarks : tuple of str
        What is not wrong with the sounds, but should be known.
    """

    name: str
    folder: str
    valid: Result
    test: Result | None
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        document: dict[str, Any] = plain({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)})
        return document


def finetune(
    data: str | os.PathLike[str],
    name: str,
    *,
    model: str | Path = DEFAULT_MODEL,
    output: str | Path | None = None,
    run: str | Path | None = None,
    recipe: str | Path = RECIPE,
    steps: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    patience: int | None = None,
    valid_share: float = 0.2,
    valid_fold: str | None = None,
    keep_classes: bool = False,
    background: bool = False,
    score_function: str = "auto",
    class_weights: Literal["none", "balanced"] = "none",
    seed: int = 0,
    cache: str | Path | None = None,
    device: str = "auto",
    overwrite: bool = False,
    checkpoint_seconds: float = CHECKPOINT_SECONDS,
    progress: bool = True,
) -> FinetuneReport | None:
    """Train a model on with labelled sounds; what ``arwkv finetune`` runs, alone or under torchrun.

    A run that was stopped and is started again with the same arguments ends in the same weights as one that was not.

    Parameters
    ----------
    data : str or path-like
        As for `probe`.
    name : str
        Of the model that is made.
    model : str or Path
        To go on from; as for `arwkv_core.load`.
    output : str or Path, optional
        Folder to write the model to, instead of adding it to the user's models.
    run : str or Path, optional
        Folder of the run: checkpoint and log. ``runs/NAME`` by default.
    recipe : str or Path
        A bundled recipe or a TOML file; its tables ``network`` and ``data`` are the model's.
    steps, batch, rate, patience : optional
        Instead of the recipe's optimiser.steps, sampling.batch, optimiser.rate and validation.patience.
    valid_share : float
        Share of the recordings that is held back to choose the best weights, where nothing says which.
    valid_fold : str, optional
        Hold back this fold: by the table's column, or the number at the beginning of files' names.
    keep_classes : bool
        Keep the model's classes and let it go on as it hears them now, beside those of the sounds.
    background : bool
        What no label covers counts as a sound without labels.
    score_function : {"auto", "sigmoid", "softmax"}
        As for `probe`; with ``keep_classes`` the model's.
    class_weights : {"none", "balanced"}
        Whether positives of rare classes count for more.
    seed : int
    cache : str or Path, optional
        Folder for decoded log-mels, by default ``cache`` in the run's folder.
    device : str
    overwrite : bool
        Start anew where the folder holds a run, and replace a model of this name.
    checkpoint_seconds : float
    progress : bool
        Show bars on stderr.

    Returns
    -------
    FinetuneReport or None
        None in processes but the first.

    Raises
    ------
    DatasetError
        If sounds or labels are not as they should be; it lists all that is wrong.
    ArwkvError
        If model, recipe, name or a folder can't be used.
    """
    folder = Path(run) if run is not None else Path("runs") / name
    store = Path(cache) if cache is not None else folder / "cache"
    with contextlib.closing(Processes(device)) as processes:
        shown = progress and processes.first

        def prepare() -> tuple[ModelScorer, Dataset, Recipe]:
            target = destination(name, output)
            target.check(folder / name, overwrite=overwrite)
            _check_run(folder, name, store)
            network, config, labels = load_model(model, processes.device)
            scorer = ModelScorer(network, config, labels)
            dataset = read_dataset(
                data,
                background=background,
                arrange=lambda each, problems: with_validation(each, valid_share, valid_fold, seed, problems),
                measure=True,
            )
            kind = _kind(dataset, score_function, config if keep_classes else None)
            changes = {"steps": steps, "batch": batch, "rate": rate, "patience": patience}
            start = model if isinstance(model, str) else str(model.resolve())  # text may be a name in the zoo
            plan = _recipe(recipe, name, start, config, kind, keep_classes, seed, class_weights, changes)
            return scorer, dataset, plan

        scorer, dataset, plan = processes.in_turn(prepare)
        labels = _joined(scorer.labels, dataset.labels) if keep_classes else dataset.labels
        window = scorer.window_frames // FRAMES_PER_STEP * STEP_SECONDS
        longest = LONGEST_CLIP_SECONDS if scorer.any_length else window
        in_silence = plan.loss.kind == "softmax" and not keep_classes
        corpus = corpus_of(dataset, labels, longest, in_silence=in_silence)
        mels = shared_mel_store(corpus, store, processes, progress=progress)
        if processes.first:  # whose folder it is: sounds that have changed under their names make another run
            plan = dataclasses.replace(plan, data=dataclasses.replace(plan.data, manifest=mels.sha256()))
        if keep_classes:
            untaught = corpus
            corpus = processes.in_turn(lambda: taught_by(scorer, untaught, mels, store, progress=shown))
        trainer = Trainer(
            plan,
            corpus,
            mels,
            folder,
            overwrite=overwrite,
            checkpoint_seconds=checkpoint_seconds,
            processes=processes,
        )
        made = trainer.run(progress=progress)
        if made is None:
            return None
    results = _measure(made, plan, corpus, mels, dataset, processes.device)
    deliver(made, results, destination(name, output), overwrite=overwrite)
    target = str(destination(name, output).folder)
    return FinetuneReport(name, target, results["valid"], results.get("test"), dataset.remarks)


def _check_run(folder: Path, name: str, cache: Path) -> None:
    """Refuse a run's folder in which the model can't be made, before the work."""
    if name in (cache.name, CHECKPOINT, LOCK, LOG):
        raise UsageError(f"--name: expected another name than {name!r}, which is that of a file of the run")
    refuse_unwritable(folder, "--run")
    refuse_unwritable(cache, "--cache")
    try:
        refuse_existing(folder / name, overwrite=True)  # an older one of the same run
    except UsageError as error:
        raise UsageError(f"--run {folder}: the model is made in it: {error}") from None


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


def _recipe(
    recipe: str | Path,
    name: str,
    model: str,
    config: ModelConfig,
    kind: ScoreFunction,
    keep_classes: bool,
    seed: int,
    class_weights: Literal["none", "balanced"],
    changes: dict[str, Any],
) -> Recipe:
    """The recipe with what the model and the options say."""
    plan = Recipe.read(find_recipe(recipe))
    if class_weights not in ("none", "balanced"):
        raise ConfigError(f"--class-weights: expected none or balanced, found {class_weights!r}")
    arch = config.architecture
    network = NetworkTable(
        depth=arch.depth,
        width=arch.width,
        position=arch.position,
        frames=arch.frames,
        drop_path=plan.network.drop_path,
        start=model,
        head="extended" if keep_classes else "new",
        head_bias=True,
    )
    sampling, optimiser, validation = plan.sampling, plan.optimiser, plan.validation
    if arch.position == "absolute":
        sampling = dataclasses.replace(sampling, seconds=[arch.steps * STEP_SECONDS] * len(sampling.seconds))
    if changes["batch"] is not None:
        sampling = dataclasses.replace(sampling, batch=[changes["batch"]] * len(sampling.batch))
    if changes["steps"] is not None:
        warm_up = min(optimiser.warm_up, changes["steps"] // 10)
        optimiser = dataclasses.replace(optimiser, steps=changes["steps"], warm_up=warm_up)
    if changes["rate"] is not None:
        optimiser = dataclasses.replace(optimiser, rate=changes["rate"])
    if changes["patience"] is not None:
        validation = dataclasses.replace(validation, patience=changes["patience"])
    validation = dataclasses.replace(validation, every_steps=min(validation.every_steps, optimiser.steps))
    return dataclasses.replace(
        plan,
        name=name,
        seed=seed,
        network=network,
        data=dataclasses.replace(plan.data, mean=config.mean, std=config.std, embeddings=""),
        sampling=sampling,
        loss=dataclasses.replace(plan.loss, kind=kind, class_weights=class_weights, embedding=0.0),
        optimiser=optimiser,
        validation=validation,
        licence=dict(config.licence),
    )


def _measure(
    folder: Path, plan: Recipe, corpus: Corpus, mels: MelStore, dataset: Dataset, device: torch.device
) -> dict[str, Result]:
    """Measure a model on the splits that were not learnt from, for the classes of the sounds."""
    network, _, labels = load_model(folder, device)
    columns = [labels.index(mid) for mid in dataset.labels.mids]
    results = {}
    for split in ("valid", "test"):
        clips = [index for index, clip in enumerate(corpus.clips) if clip.split == split]
        if clips:
            scores = clip_scores(network, plan, mels, clips)[:, columns]
            truth = corpus.known_matrix(clips)[:, columns]
            multi_label = dataset.multi_label or plan.loss.kind == "sigmoid"
            results[split] = Result.of(np.asarray(scores), truth, dataset.labels, multi_label=multi_label)
    return results

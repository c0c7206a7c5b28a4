"""How well training on does on recordings that it has not seen: a run a fold, each tested on the fold it left out."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

import numpy as np

from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.labelled.dataset import Dataset, read_dataset
from arwkv_core.labelled.fold_choice import with_folds
from arwkv_core.labelled.fold_split import with_test_fold
from arwkv_core.labelled.problems import Problems
from arwkv_core.labelled.result import Result, plain
from arwkv_core.labelled.segment import Segment
from arwkv_core.model_scorer import ModelScorer

from .finetune import RECIPE, SCHEMA_VERSION
from .own_run import OwnModel, OwnRun
from .processes import Processes
from .recipe import Recipe
from .trainer import CHECKPOINT_SECONDS

BY_COLUMN = "column"
"""Folds stand in the table."""


@dataclass(frozen=True)
class FoldsReport:
    """What was measured of trainings that left out a fold each.

    Attributes
    ----------
    name : str
    folder : str
        Of the runs, one below it for each fold.
    model : str
        Name of the model that they went on from.
    score_function : {"sigmoid", "softmax"}
    folds : dict of str to Result
        Each fold, by the model that was trained on the others.
    cross_validation : Result
        All folds together.
    remarks : tuple of str
        What is not wrong with the sounds, but should be known.
    """

    name: str
    folder: str
    model: str
    score_function: str
    folds: dict[str, Result]
    cross_validation: Result
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        document: dict[str, Any] = plain({"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)})
        return document


def finetune_folds(
    data: str | os.PathLike[str],
    name: str,
    *,
    folds: int | str,
    model: str | Path = DEFAULT_MODEL,
    run: str | Path | None = None,
    recipe: str | Path = RECIPE,
    steps: int | None = None,
    batch: int | None = None,
    rate: float | None = None,
    patience: int | None = None,
    valid_share: float = 0.2,
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
) -> FoldsReport | None:
    """Cross-validate training on; what ``arwkv finetune --folds`` runs, alone or under torchrun.

    For each fold a model is trained on the others, with a share of their recordings to choose the best weights by, and
    measured on the fold. No model is delivered: that of `finetune` learns from all. Stopped and started again with the
    same arguments, it goes on in the fold where it was. Sounds of the split ``test`` are left out.

    Parameters
    ----------
    data, name
        As for `finetune`; the name is that of the runs.
    folds : int, "name" or "column"
        How many; the number at the beginning of each file's name; or what the table's column ``fold`` says. Recordings
        stay whole.
    model, recipe, steps, batch, rate, patience
        As for `finetune`.
    run : str or Path, optional
        Folder of the runs, which are in ``fold-1``, ``fold-2`` … there. ``runs/NAME`` by default.
    valid_share : float
        Share of the recordings that are not tested, held back to choose the best weights.
    keep_classes, background, score_function, class_weights, seed, cache, device
        As for `finetune`.
    overwrite : bool
        Start anew where the folders hold runs.
    checkpoint_seconds : float
    progress : bool
        Show bars on stderr.

    Returns
    -------
    FoldsReport or None
        None in processes but the first.

    Raises
    ------
    DatasetError
        If sounds, labels or folds are not as they should be; it lists all that is wrong.
    ArwkvError
        If model, recipe or a folder can't be used.
    """
    from arwkv_models import check_name

    folder = Path(run) if run is not None else Path("runs") / name
    work = OwnRun(
        name=name,
        model=model,
        recipe=recipe,
        steps=steps,
        batch=batch,
        rate=rate,
        patience=patience,
        keep_classes=keep_classes,
        score_function=score_function,
        class_weights=class_weights,
        seed=seed,
        cache=Path(cache) if cache is not None else folder / "cache",
        overwrite=overwrite,
        checkpoint_seconds=checkpoint_seconds,
    )
    with contextlib.closing(Processes(device)) as processes:

        def prepare() -> tuple[ModelScorer, Dataset, dict[str, Dataset], Recipe]:
            check_name(name, overwrite=True)
            work.check_places(folder / "fold-1", made=name)
            scorer = work.start(processes.device)
            dataset = read_dataset(
                data,
                background=background,
                arrange=lambda each, problems: _folded(each, folds, seed, problems),
                measure=True,
            )
            return scorer, dataset, _parted(dataset, valid_share, seed), work.plan(scorer.config, dataset)

        scorer, dataset, parts, plan = processes.in_turn(prepare)
        trained: dict[str, OwnModel] = {}
        for number, (fold, part) in enumerate(parts.items(), start=1):
            made = work.train(part, scorer, plan, folder / f"fold-{number}", processes, progress=progress)
            if made is not None:
                trained[fold] = made
    if not trained:
        return None
    return _report(name, folder, scorer, dataset, trained, processes)


def _folded(segments: Sequence[Segment], folds: int | str, seed: int, problems: Problems) -> list[Segment]:
    """Give every segment a fold, and leave those out that are for another test."""
    if folds == BY_COLUMN and not any(segment.fold for segment in segments):
        problems.add("--folds column", "a table with the column fold", "none")
        return []
    found = with_folds(segments, None if folds == BY_COLUMN else folds, seed, problems)
    return [segment for segment in found if segment.split != "test"]


def _parted(dataset: Dataset, valid_share: float, seed: int) -> dict[str, Dataset]:
    """The dataset with the splits that it has while each of the folds is tested."""
    problems = Problems(dataset.source)
    names = sorted({each.fold for each in dataset.segments}, key=lambda name: (len(name), name))
    parts = {
        name: dataclasses.replace(
            dataset, segments=with_test_fold(dataset.segments, name, valid_share, seed, problems)
        )
        for name in names
    }
    problems.raise_any()
    return parts


def _report(
    name: str,
    folder: Path,
    scorer: ModelScorer,
    dataset: Dataset,
    trained: dict[str, OwnModel],
    processes: Processes,
) -> FoldsReport:
    heard = {fold: each.heard("test", processes.device) for fold, each in trained.items()}
    multi_label = next(iter(trained.values())).multi_label
    results = {
        fold: Result.of(scores, truth, dataset.labels, multi_label=multi_label)
        for fold, (scores, truth) in heard.items()
    }
    scores, truth = (np.concatenate([pair[place] for pair in heard.values()]) for place in range(2))
    return FoldsReport(
        name=name,
        folder=str(folder),
        model=scorer.name,
        score_function=next(iter(trained.values())).plan.loss.kind,
        folds=results,
        cross_validation=Result.of(scores, truth, dataset.labels, multi_label=multi_label),
        remarks=dataset.remarks,
    )

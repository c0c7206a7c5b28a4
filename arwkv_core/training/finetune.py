"""From labelled sounds and a model to a model of one's own classes: the whole network learns on."""

from __future__ import annotations

import contextlib
import dataclasses
import os
from dataclasses import dataclass
from pathlib import Path
from typing import Any, Literal

from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.labelled.dataset import Dataset, read_dataset
from arwkv_core.labelled.result import Result, plain
from arwkv_core.labelled.validation_split import with_validation
from arwkv_core.model_scorer import ModelScorer

from .own_model import deliver, destination
from .own_run import OwnRun
from .processes import Processes
from .recipe import Recipe
from .trainer import CHECKPOINT_SECONDS

RECIPE = "finetune"

SCHEMA_VERSION = 1


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

        def prepare() -> tuple[Dataset, ModelScorer, Recipe]:
            destination(name, output).check(folder / name, overwrite=overwrite)
            work.check_places(folder, made=name)
            scorer = work.start(processes.device)
            dataset = read_dataset(
                data,
                background=background,
                arrange=lambda each, problems: with_validation(each, valid_share, valid_fold, seed, problems),
                measure=True,
            )
            return dataset, scorer, work.plan(scorer.config, dataset)

        trained = work.train(*processes.in_turn(prepare), folder, processes, progress=progress)
        if trained is None:
            return None
    found = {split: trained.measured(split, processes.device) for split in ("valid", "test")}
    results = {split: result for split, result in found.items() if result is not None}
    deliver(trained.folder, results, destination(name, output), overwrite=overwrite)
    target = str(destination(name, output).folder)
    return FinetuneReport(name, target, results["valid"], results.get("test"), trained.dataset.remarks)

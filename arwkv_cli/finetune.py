"""``arwkv finetune``: labelled sounds and a model in, a model of the user's own classes out."""

from __future__ import annotations

import contextlib
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arwkv_cli.listing import FormatOption, ListingFormat
from arwkv_cli.probe import Backbone, Background, Data, ModelOutput, Name, ScoreFunction, Scores
from arwkv_cli.run_options import Device, Quiet
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import UsageError

if TYPE_CHECKING:
    from arwkv_core.training.finetune import FinetuneReport
    from arwkv_core.training.fold_runs import FoldsReport


class ClassWeights(str, Enum):
    """Whether rare classes count for more."""

    NONE = "none"
    BALANCED = "balanced"


def finetune(
    data: Data,
    name: Name,
    model: Backbone = DEFAULT_MODEL,
    output: ModelOutput = None,
    run: Annotated[
        Path | None,
        typer.Option(
            metavar="DIR",
            help="Folder of the run: checkpoint and log; started again, the run goes on from there.  "
            "[default: runs/NAME]",
        ),
    ] = None,
    recipe: Annotated[
        str,
        typer.Option(
            help="A recipe as `arwkv train` takes it: a TOML file or the name of a bundled one. The shape of the "
            "network, its normalisation and its start are the model's."
        ),
    ] = "finetune",
    steps: Annotated[
        int | None, typer.Option(min=1, help="At most so many steps.  [default: the recipe's, 1000]")
    ] = None,
    batch: Annotated[
        int | None, typer.Option(min=1, help="Examples a step.  [default: the recipe's, 8]")
    ] = None,
    rate: Annotated[float | None, typer.Option(help="Learning rate.  [default: the recipe's, 3e-4]")] = None,
    patience: Annotated[
        int | None,
        typer.Option(
            min=0,
            help="Stop after so many validations in a row that were not the best; 0 never does.  "
            "[default: the recipe's, 6]",
        ),
    ] = None,
    valid_share: Annotated[
        float,
        typer.Option(
            metavar="SHARE",
            help="About this share of the recordings, at most 0.5, is held back to choose the best weights, where the "
            "data doesn't say which.",
        ),
    ] = 0.2,
    valid_fold: Annotated[
        str | None,
        typer.Option(
            metavar="FOLD",
            help="Hold back this fold: by the column fold, or by the number at the beginning of files' names.",
        ),
    ] = None,
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="N|name|column",
            help="Cross-validate instead of making a model: for each of N folds, whole recordings each, train on the "
            "others and test on it. name takes the number at the beginning of each file's name, as in ESC-50; column "
            "the table's column fold.",
        ),
    ] = None,
    keep_classes: Annotated[
        bool,
        typer.Option(
            "--keep-classes",
            help="Keep the model's classes beside those of the sounds; what it hears of them now is not to change.",
        ),
    ] = False,
    background: Background = False,
    score_function: Scores = ScoreFunction.AUTO,
    class_weights: Annotated[
        ClassWeights,
        typer.Option(
            help="balanced: what is said of rare classes counts for more, of frequent ones for less."
        ),
    ] = ClassWeights.NONE,
    seed: Annotated[int, typer.Option(min=0, help="Of all that is drawn.")] = 0,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for decoded log-mels, 92 MB an hour.  [default: cache in the run's folder]"
        ),
    ] = None,
    device: Device = "auto",
    format: FormatOption = ListingFormat.TABLE,
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Start anew where the folder holds a run, and replace a model of this name."
        ),
    ] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="Time between checkpoints: what a kill may lose at most.")
    ] = 180,
    quiet: Quiet = False,
) -> None:
    """Train a model on with your own labelled sounds: the whole network, where `arwkv probe` makes a new head only.

    Started again with the same arguments, a run that was stopped goes on from its last checkpoint, and ends as if it
    had never stopped. `torchrun --nproc-per-node N -m arwkv_cli finetune ...` trains in N processes.
    """
    import json
    import os

    from arwkv_cli.interruption import command_to_go_on, interruptible
    from arwkv_core.training.finetune import finetune as trained
    from arwkv_core.training.fold_runs import finetune_folds

    options: dict[str, Any] = {
        "model": model,
        "run": run,
        "recipe": recipe,
        "steps": steps,
        "batch": batch,
        "rate": rate,
        "patience": patience,
        "valid_share": valid_share,
        "keep_classes": keep_classes,
        "background": background,
        "score_function": score_function.value,
        "class_weights": class_weights.value,
        "seed": seed,
        "cache": cache,
        "device": device,
        "overwrite": overwrite,
        "checkpoint_seconds": checkpoint_seconds,
        "progress": not quiet,
    }
    if folds is not None:
        for option, value in (("--output", output), ("--valid-fold", valid_fold)):
            if value is not None:
                raise UsageError(
                    f"{option}: does not go with --folds, which makes no model and tests every fold"
                )
    report: FinetuneReport | FoldsReport | None
    alone = os.environ.get("WORLD_SIZE", "1") == "1"  # else torchrun tells all processes when to end
    with interruptible() if alone else contextlib.nullcontext():
        try:
            if folds is None:
                report = trained(data, name, output=output, valid_fold=valid_fold, **options)
            else:
                report = finetune_folds(data, name, folds=folds, **options)
        except KeyboardInterrupt:
            if alone and not overwrite:  # which would start anew
                typer.echo(f"arwkv: what is done is kept; this goes on: {command_to_go_on()}", err=True)
            raise
    if report is None:  # the first of several processes prints
        return
    if format is ListingFormat.JSON:
        typer.echo(json.dumps(report.to_dict(), indent=2, allow_nan=False))
        return
    _print(report, quiet=quiet)


def _print(report: FinetuneReport | FoldsReport, *, quiet: bool) -> None:
    from arwkv_cli.probe_table import print_folds, print_place, print_remarks, print_results
    from arwkv_core.training.fold_runs import FoldsReport

    if isinstance(report, FoldsReport):
        print_folds(report.folds, report.cross_validation)
        print_place(report.name, report.folder)
    else:
        print_results(report.name, report.folder, {"valid": report.valid, "test": report.test})
    if not quiet:
        print_remarks(report.remarks)

"""``arwkv probe``: labelled sounds in, a model of the user's own classes out, in minutes."""

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from arwkv_cli.listing import FormatOption, ListingFormat
from arwkv_cli.run_options import Device, Jobs, Precision, Quiet
from arwkv_core.constants import DEFAULT_MODEL


class ScoreFunction(str, Enum):
    """How logits become scores."""

    AUTO = "auto"
    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


Data = Annotated[
    Path,
    typer.Argument(
        help="A folder of folders named after classes; a folder of recordings with label files of Audacity or Raven "
        "beside them; or a CSV with the columns file, label or labels (; between several) and, if you like, start, "
        "end (seconds), split (train, valid, test), fold, recording."
    ),
]
Name = Annotated[str, typer.Option("--name", "-n", help="What the model shall be called.")]
Backbone = Annotated[
    str,
    typer.Option(
        help="The model to start from: a name from `arwkv models list`, a model folder, or a published weight file."
    ),
]
ModelOutput = Annotated[
    Path | None,
    typer.Option(
        "--output",
        "-o",
        metavar="DIR",
        help="Write the model's folder here.  [default: add it to your models]",
    ),
]
Background = Annotated[
    bool, typer.Option("--background", help="What no label covers counts as none of the classes.")
]
Scores = Annotated[
    ScoreFunction,
    typer.Option(
        "--score-function",
        help="softmax: what sounds is one of the classes; sigmoid: none or several of them. auto takes softmax where "
        "every sound has one label.",
    ),
]


def probe(
    data: Data,
    name: Name,
    model: Backbone = DEFAULT_MODEL,
    output: ModelOutput = None,
    folds: Annotated[
        str | None,
        typer.Option(
            metavar="N|name",
            help="Parts of the cross-validation, whole recordings each; name takes the number at the beginning of "
            "each file's name, as in ESC-50.  [default: the column fold, or else 5]",
        ),
    ] = None,
    background: Background = False,
    score_function: Scores = ScoreFunction.AUTO,
    seed: Annotated[int, typer.Option(min=0, help="Of the folds that are made.")] = 0,
    device: Device = "auto",
    precision: Precision = "auto",
    jobs: Jobs = 1,
    format: FormatOption = ListingFormat.TABLE,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of this name.")] = False,
    quiet: Quiet = False,
) -> None:
    """Make a model of your own classes in minutes: a logistic regression on what a model hears in your sounds.

    It is measured by cross-validation, in which recordings stay whole, and its regularisation chosen by that.
    `arwkv tag --model NAME` and all other commands take it at once. Needs scikit-learn.
    """
    import json

    from arwkv_core.probing.probe import probe as run

    report = run(
        data,
        name,
        model=model,
        output=output,
        folds=folds,
        background=background,
        score_function=score_function.value,
        seed=seed,
        device=device,
        precision=precision,
        jobs=jobs,
        overwrite=overwrite,
        progress=not quiet,
    )
    if format is ListingFormat.JSON:
        typer.echo(json.dumps(report.to_dict(), indent=2, allow_nan=False))
        return
    from arwkv_cli.probe_table import print_remarks, print_report

    print_report(report)
    if not quiet:
        print_remarks(report.remarks)

"""``arwkv train``: a recipe and a corpus in, a model folder out."""

from __future__ import annotations

from pathlib import Path
from typing import Annotated

import typer

from arwkv_cli.run_options import Device


def train(
    recipe: Annotated[str, typer.Argument(help="A recipe: a TOML file, or the name of a bundled one.")],
    output: Annotated[
        Path, typer.Option(help="Folder of the run: checkpoint, log, and at the end the model's folder.")
    ],
    data: Annotated[
        Path | None,
        typer.Option(
            help="Folder of the corpus; the recipe's file names count from here.  [default: the recipe's]"
        ),
    ] = None,
    cache: Annotated[
        Path | None,
        typer.Option(
            help="Folder for decoded log-mels, 92 MB an hour.  [default: cache in the output folder]"
        ),
    ] = None,
    device: Device = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Start anew where the folder holds a run.")
    ] = False,
    checkpoint_seconds: Annotated[
        float, typer.Option(min=0, help="Time between checkpoints: what a kill may lose at most.")
    ] = 180,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Train a model from a labelled corpus.

    Started again with the same arguments, a run that was stopped goes on from its last checkpoint, and
    ends as if it had never stopped.
    """
    from arwkv_core.training.run import train as run

    model = run(
        recipe,
        output,
        data=data,
        cache=cache,
        device=device,
        overwrite=overwrite,
        checkpoint_seconds=checkpoint_seconds,
        progress=not quiet,
    )
    if model is not None:
        typer.echo(model)

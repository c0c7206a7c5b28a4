"""``arwkv evaluate``: how well a model does on a labelled corpus."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import Annotated

import typer

from arwkv_cli.run_options import Precision


class Split(str, Enum):
    """Part of a corpus."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Format(str, Enum):
    """How metrics are printed."""

    TABLE = "table"
    JSON = "json"


def evaluate(
    model: Annotated[str, typer.Argument(help="A model of the zoo, a model folder or a weight file.")],
    manifest: Annotated[
        Path,
        typer.Argument(help="CSV with the columns path, split, known_labels; paths count from its folder."),
    ],
    split: Annotated[Split, typer.Option(help="Which clips to use.")] = Split.TEST,
    labels: Annotated[
        Path | None, typer.Option(help="Classes of the corpus.  [default: labels.csv beside the manifest]")
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(help="A teacher's scores to compare with.  [default: teacher_frames.npz there, if any]"),
    ] = None,
    device: Annotated[str, typer.Option(help="auto, cpu, cuda, cuda:1 ...")] = "auto",
    precision: Precision = "auto",
    format: Annotated[Format, typer.Option(help="A table to read, or JSON.")] = Format.TABLE,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure a model on a labelled corpus: mAP, AUC, d', agreement with the teacher, zero-shot ESC-10."""
    import json

    from arwkv_core.evaluate import evaluate as run

    results = run(
        model,
        manifest,
        split=split.value,
        labels=labels,
        teacher=teacher,
        device=device,
        precision=precision,
        progress=not quiet,
    )
    if format is Format.JSON:
        document = {"schema_version": 1, "results": [result.to_dict() for result in results if result]}
        typer.echo(json.dumps(document, indent=2, allow_nan=False))
        return
    from arwkv_cli.evaluation_table import print_evaluations

    print_evaluations([result for result in results if result])

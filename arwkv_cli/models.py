"""``arwkv models``: which models there are, what is known about one, and how to add one."""

from __future__ import annotations

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arwkv_cli.listing import FormatOption, ListingFormat, listing_group, print_json, print_rich

if TYPE_CHECKING:
    from arwkv_models import ZooModel

SCHEMA_VERSION = 1

app = listing_group("models", "List the models, show one, add your own.")


class ScoreFunction(str, Enum):
    """How logits become scores."""

    SIGMOID = "sigmoid"
    SOFTMAX = "softmax"


@app.command("list")
def list_command(format: FormatOption = ListingFormat.TABLE) -> None:
    """List the models that come with arwkv and those that you have added."""
    import arwkv_models

    models = arwkv_models.list_models()
    if format is ListingFormat.JSON:
        print_json([_summary(model) for model in models])
        return
    from rich.table import Table
    from rich.text import Text

    table = Table("name", "classes", "blocks × width", "positions", "scores", "", box=None, pad_edge=False)
    for model in models:
        if model.problem is not None or model.config is None:
            # as Text: paths may hold square brackets, which are markup otherwise
            table.add_row(Text(model.name), "", "", "", "", Text("broken", style="red"))
            continue
        arch = model.config.architecture
        shape = f"{arch.depth} × {arch.width}"
        cells = [str(arch.classes), shape, arch.position, model.config.score_function, model.origin]
        table.add_row(Text(model.name), *cells)
    print_rich(table)
    for model in models:
        if model.problem is not None:
            typer.echo(f"broken: {model.name}: {model.problem}", err=True)


@app.command("show")
def show_command(
    name: Annotated[str, typer.Argument(metavar="NAME", help="A model that `arwkv models list` shows.")],
    format: FormatOption = ListingFormat.TABLE,
) -> None:
    """Show what is known about a model; its weights are compared with their hash."""
    import arwkv_models

    model = arwkv_models.find(name)
    model.verify()
    if format is ListingFormat.JSON:
        print_json(_details(model))
        return
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(overflow="fold")
    for key, value in _lines(model):
        table.add_row(Text(key), Text(value))
    print_rich(table)


@app.command("add")
def add_command(
    file: Annotated[
        Path, typer.Argument(metavar="FILE", help="A .pth or .safetensors file, or a model folder.")
    ],
    name: Annotated[str, typer.Option("--name", "-n", help="What the model shall be called.")],
    labels: Annotated[
        Path | None,
        typer.Option(
            "--labels",
            help="Classes of a bare file: a CSV with index, mid, display_name. By default AudioSet's 527.",
        ),
    ] = None,
    score_function: Annotated[
        ScoreFunction | None,
        typer.Option(
            "--score-function",
            help="How the logits of a bare file become scores. By default softmax for the published form.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace a model of this name.")] = False,
) -> None:
    """Add a weight file or a model folder to your models; its weights are kept exactly."""
    import arwkv_models
    from arwkv_core.labels import LabelSet

    model = arwkv_models.add(
        file,
        name,
        labels=LabelSet.read(labels) if labels else None,
        score_function=score_function.value if score_function else None,
        overwrite=overwrite,
    )
    typer.echo(f"added {model.name}: {model.folder}")


def _summary(model: ZooModel) -> dict[str, Any]:
    summary: dict[str, Any] = {
        "schema_version": SCHEMA_VERSION,
        "name": model.name,
        "origin": model.origin,
        "folder": str(model.folder),
        "problem": model.problem,
    }
    if model.config is not None:
        arch = model.config.architecture
        summary["architecture"] = {
            "depth": arch.depth,
            "width": arch.width,
            "classes": arch.classes,
            "position": arch.position,
        }
        summary["score_function"] = model.config.score_function
        summary["window_frames"] = model.config.window_frames
    return summary


def _details(model: ZooModel) -> dict[str, Any]:
    from arwkv_core.model_config import FRONT_END

    config = model.usable_config
    return _summary(model) | {
        "front_end": {
            "kind": FRONT_END,
            "sample_rate": config.sample_rate,
            "mean": config.mean,
            "std": config.std,
        },
        "active_threshold": config.active_threshold,
        "calibration": _calibration(model),
        "labels": [{"mid": mid, "name": name} for mid, name in model.labels],
        "training": config.training,
        "metrics": config.metrics,
        "licence": config.licence,
        "weights": {
            "file": str(model.weights),
            "bytes": model.weights.stat().st_size,
            "sha256": config.weights_sha256,
        },
    }


def _lines(model: ZooModel) -> list[tuple[str, str]]:
    from arwkv_core.constants import HOP_SECONDS
    from arwkv_core.model_config import FRONT_END

    config, labels = model.usable_config, model.labels
    arch = config.architecture
    some = "; ".join(labels.names[:5])  # names hold commas
    length = f"{config.window_frames} frames, {config.window_frames * HOP_SECONDS:.2f} s"
    free = "any length" if arch.position == "frequency" else "that length only"
    lines = [
        ("name", model.name),
        ("architecture", f"A-RWKV, {arch.depth} blocks, width {arch.width}, {arch.position} positions"),
        ("labels", f"{len(labels)} classes: {some}{'; …' if len(labels) > 5 else ''}"),
        ("front end", f"{FRONT_END}, {config.sample_rate} Hz, mean {config.mean}, std {config.std}"),
        ("scores", f"{config.score_function} of the logits, active from {config.active_threshold}"),
        ("calibration", _calibration(model) or "none"),
        ("window", f"{length}; takes {free}"),
    ]
    for title, table in (
        ("training", config.training),
        ("metrics", config.metrics),
        ("licence", config.licence),
    ):
        lines += _free_lines(title, table) or [(title, "not stated")]
    size = f"{model.weights.stat().st_size / 1e6:.1f} MB"
    lines.append(("weights", f"{model.weights} ({size}, SHA-256 {config.weights_sha256}, intact)"))
    if model.card.is_file():
        lines.append(("card", str(model.card)))
    lines.append(("origin", "comes with arwkv" if model.origin == "bundled" else "added by you"))
    return lines


def _calibration(model: ZooModel) -> str | None:
    from arwkv_core.calibration import Calibration

    calibration = Calibration.of_folder(model.folder)
    return None if calibration is None else calibration.digest


def _free_lines(title: str, table: Any) -> list[tuple[str, str]]:
    lines: list[tuple[str, str]] = []
    for key, value in table.items():
        if isinstance(value, dict):
            lines += _free_lines(f"{title} {key}", value)
        else:
            lines.append(
                (f"{title} {key}", ", ".join(map(str, value)) if isinstance(value, list) else str(value))
            )
    return lines

"""``arwkv calibrate``: make probabilities of a model's scores, and choose its thresholds."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arwkv_cli.evaluate import Split
from arwkv_cli.listing import FormatOption, ListingFormat
from arwkv_cli.run_options import Device, Precision

if TYPE_CHECKING:
    from arwkv_core.calibrating.calibrate import CalibrationReport


def calibrate(
    model: Annotated[str, typer.Argument(help="A model of the zoo, a model folder or a weight file.")],
    data: Annotated[
        Path,
        typer.Argument(
            help="A corpus (its folder, or a CSV with the columns path, split, known_labels), or labelled sounds as "
            "for arwkv probe: a CSV with the columns file and labels, or a folder."
        ),
    ],
    split: Annotated[
        Split,
        typer.Option(
            help="Which clips to fit to: such as the model was not trained on. Without splits, all are taken."
        ),
    ] = Split.VALID,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FOLDER",
            help="Write a calibrated copy of the model there; needed for a weight file.  [default: the model's own "
            "folder]",
        ),
    ] = None,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="Classes of a corpus.  [default: labels.csv beside the manifest, else those of the model]"
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="A teacher's scores, for classes of which a clip's source says nothing.  [default: "
            "teacher_frames.npz beside the manifest, if any; else these count as absent]"
        ),
    ] = None,
    background: Annotated[
        bool,
        typer.Option(
            "--background",
            help="Of labelled sounds: where no label covers a recording, none of the classes sounds.",
        ),
    ] = False,
    device: Device = "auto",
    precision: Precision = "auto",
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace a calibration, or an --output, that is there.")
    ] = False,
    format: FormatOption = ListingFormat.TABLE,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Make probabilities of a model's scores, and choose where its events start and end.

    The model hears clips of which is known what sounds in them. What is fitted goes into its folder: calibration.csv,
    which `arwkv tag`, `timeline` and `extract` apply unless they are told --raw-scores, thresholds in events.csv, a
    picture and a section of the card. The errors printed are those of recordings that had no part in the fit.
    """
    import json

    from arwkv_cli.probe_table import print_remarks
    from arwkv_core.calibrating.calibrate import calibrate as run

    report = run(
        model,
        data,
        split=split.value,
        output=output,
        labels=labels,
        teacher=teacher,
        background=background,
        device=device,
        precision=precision,
        overwrite=overwrite,
        progress=not quiet,
    )
    if format is ListingFormat.JSON:
        typer.echo(json.dumps({"schema_version": 1, **report.to_dict()}, indent=2, allow_nan=False))
        return
    _print(report)
    print_remarks(report.remarks)


def _print(report: CalibrationReport) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    def text(value: float) -> str:
        return "–" if value != value else f"{value:.4f}"

    console = Console()
    errors = Table(
        title=f"{report.model}: {report.clips} clips{f', split {report.split}' if report.split else ''}",
        title_justify="left",
    )
    errors.add_column("of the other half of the recordings")
    errors.add_column("scores", justify="right")
    errors.add_column("calibrated", justify="right")
    before, after = report.before, report.after
    errors.add_row("expected calibration error, from 0.1 on", text(before.ece), text(after.ece))
    errors.add_row(
        f"the same class by class ({after.classes})", text(before.class_ece), text(after.class_ece)
    )
    errors.add_row("log loss of a clip", text(before.log_loss), text(after.log_loss))
    console.print(errors)

    events = Table(
        title=f"events start at {report.on:g} (F1 {report.f1:.3f}), but of these classes",
        title_justify="left",
    )
    events.add_column("class")
    for column in ("clips", "on", "off", "F1 before", "F1", "gain elsewhere"):
        events.add_column(column, justify="right")
    for row in report.thresholds:
        numbers = (
            f"{row['on']:g}",
            f"{row['off']:g}",
            *(f"{row[key]:.3f}" for key in ("f1_before", "f1_after")),
        )
        events.add_row(Text(row["name"]), str(row["clips"]), *numbers, f"{row['gain']:+.3f}")
    if report.thresholds:
        console.print(events)
    else:
        console.print(f"events of all classes start at {report.on:g} (F1 {report.f1:.3f})")
    slope, offset = report.shared
    console.print(
        f"{report.own} classes with a curve of their own, {report.shared_classes} with that of all (slope {slope:.3f}, "
        f"offset {offset:.3f})"
    )
    console.print(Text(f"written to {report.folder}"), soft_wrap=True)

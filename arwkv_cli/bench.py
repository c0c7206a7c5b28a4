"""``arwkv bench``: how fast arwkv is on this machine, beside what else one might use."""

from __future__ import annotations

import json
import sys
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, TextIO

import typer

from arwkv_cli.exit_codes import ExitCode

if TYPE_CHECKING:
    from arwkv_core.benchmark.bench import Report


class Part(str, Enum):
    """What can be measured by itself."""

    KERNEL = "kernel"
    MODEL = "model"
    FEATURES = "features"
    PIPELINE = "pipeline"
    START = "start"
    TRAINING = "training"
    MEMORY = "memory"


class Shape(str, Enum):
    """The published shapes."""

    T = "T"
    S = "S"
    B = "B"


class Precision(str, Enum):
    """What a model computes in."""

    AUTO = "auto"
    FP32 = "fp32"
    BF16 = "bf16"
    INT8 = "int8"


class Format(str, Enum):
    """How the report is written."""

    TABLE = "table"
    JSON = "json"
    MARKDOWN = "markdown"


def bench(
    part: Annotated[
        list[Part] | None, typer.Option(help="Measure only this; may be repeated.  [default: all]")
    ] = None,
    tokens: Annotated[
        int, typer.Option(help="Length of the kernel's sequences; 8 tokens are 0.16 s of sound.")
    ] = 16_384,
    model: Annotated[
        list[Shape] | None,
        typer.Option(help="Measure only models of this shape; may be repeated.  [default: all]"),
    ] = None,
    precision: Annotated[
        list[Precision] | None,
        typer.Option(
            help="Measure the models in this precision; may be repeated. auto is what arwkv takes here. "
            "[default: auto and fp32]"
        ),
    ] = None,
    repeats: Annotated[
        int, typer.Option(help="Runs of each measurement, after one that is not counted; medians are told.")
    ] = 5,
    threads: Annotated[
        int | None, typer.Option(help="Threads of models, kernels and processes.  [default: one a core]")
    ] = None,
    minutes: Annotated[
        float,
        typer.Option(
            help="Length of the recording for pipeline, features and memory; 60 is what their bars stand for."
        ),
    ] = 2.0,
    plot: Annotated[
        Path | None,
        typer.Option(
            metavar="FILE.png",
            help="Also measure time and memory over the length of a recording, A-RWKV against AST, and draw them "
            "into this picture. Takes some minutes.",
        ),
    ] = None,
    format: Annotated[
        Format,
        typer.Option("--format", "-f", help="table for people, json for programs, markdown for pages."),
    ] = Format.TABLE,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output", "-o", metavar="FILE", help="Write the report to this file instead of stdout."
        ),
    ] = None,
    overwrite: Annotated[
        bool, typer.Option("--overwrite", help="Replace an existing --output or --plot.")
    ] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="Do not tell what is being measured.")] = False,
) -> None:
    """Measure how fast arwkv is on this machine, beside what else one might use.

    Kernel, models and features are first held against plain references: of a path whose output is off no number
    is printed, it is named and the exit code is 1. What is compared runs in turn, so that what disturbs the
    machine disturbs all alike. Peers (AST, Audio Mamba, CNN14, EfficientAT, YAMNet) have random weights, and are
    measured if their packages are installed: pip install 'arwkv[bench]'.
    """
    from arwkv_core.benchmark.bench import bench as measure
    from arwkv_core.whole_file import WholeFile, check_output

    for option, path in (("--output", output), ("--plot", plot)):
        if path is not None:
            check_output(path, overwrite=overwrite, option=option)
    report = measure(
        part=[one.value for one in part or ()],
        tokens=tokens,
        model=[one.value for one in model or ()],
        precision=[one.value for one in precision or ()],
        repeats=repeats,
        threads=threads,
        minutes=minutes,
        plot=plot,
        progress=None if quiet else _tell,
    )
    if output is None:
        _write(report, format, sys.stdout)
    else:
        file = WholeFile(output, overwrite=overwrite)
        try:
            _write(report, format, file.stream)
        except BaseException:
            file.discard()
            raise
        file.commit()
    for failure in report.failures:
        typer.echo(f"arwkv: {failure.key}: no number: {failure.message}", err=True)
    if report.failures:
        raise typer.Exit(ExitCode.FAILED)


def _tell(what: str) -> None:
    typer.echo(f"measuring: {what}", err=True)


def _write(report: Report, format: Format, stream: TextIO) -> None:
    if format is Format.JSON:
        json.dump(report.to_dict(), stream, indent=2, ensure_ascii=False, allow_nan=False)
        stream.write("\n")
    elif format is Format.MARKDOWN:
        from arwkv_cli.bench_markdown import markdown

        stream.write(markdown(report))
    else:
        from arwkv_cli.bench_table import print_table

        print_table(report, stream)

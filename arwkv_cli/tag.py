"""``arwkv tag``: what is in each recording."""

from collections.abc import Callable
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from arwkv_core.constants import DEFAULT_MODEL

if TYPE_CHECKING:
    from arwkv_core.results import TagResult


class Pool(str, Enum):
    """What ranks the tags of a recording."""

    MEAN = "mean"
    MAX = "max"
    ACTIVE = "active"


class Format(str, Enum):
    """How tags are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"


def tag(
    files: Annotated[
        list[str],
        typer.Argument(
            metavar="FILES...",
            help="Sound files of any length, folders (all recordings below them), patterns, or - for stdin.",
            show_default=False,
        ),
    ],
    top_k: Annotated[int, typer.Option(help="Report at most so many tags of a recording.")] = 5,
    threshold: Annotated[
        float | None,
        typer.Option(help="Leave out tags that rank below: a score (0 to 1), or seconds with --pool active."),
    ] = None,
    pool: Annotated[
        Pool,
        typer.Option(
            help="What ranks the tags: mean score, maximum score, or the seconds in which they are active."
        ),
    ] = Pool.MEAN,
    active_threshold: Annotated[
        float | None,
        typer.Option(help="Score from which a step of 0.16 s counts as active.  [default: the model's own]"),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Report only this class, by name or mid; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Never report this class, by name or mid; may be repeated."),
    ] = None,
    model: Annotated[
        str,
        typer.Option(help="A name from `arwkv models list`, a model folder, or a published weight file."),
    ] = DEFAULT_MODEL,
    device: Annotated[
        str,
        typer.Option(help="auto, cpu, cuda, cuda:1 ...; auto takes a GPU that we have a fast kernel for."),
    ] = "auto",
    channel: Annotated[
        int | None, typer.Option(help="Hear this channel, counted from 0.  [default: the mean of all]")
    ] = None,
    hop: Annotated[
        float | None,
        typer.Option(
            metavar="SECONDS",
            help="Distance between windows, rounded to 0.16 s; smaller is slower and smoother."
            "  [default: half a window]",
        ),
    ] = None,
    format: Annotated[
        Format | None,
        typer.Option(
            "--format",
            "-f",
            help="How to write.  [default: by the ending of --output; else table on a terminal, or csv]",
        ),
    ] = None,
    output: Annotated[
        Path | None,
        typer.Option(
            "--output",
            "-o",
            metavar="FILE",
            help="Write to this file instead of stdout. It appears when all is done; what an interrupted run "
            "has finished is kept as FILE.partial.",
        ),
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace an existing --output.")] = False,
    quiet: Annotated[
        bool, typer.Option("--quiet", "-q", help="Show no progress and no warnings; failures are shown.")
    ] = False,
) -> None:
    """Tell what is in each recording.

    Every 0.16 s of a recording get a score from 0 to 1 per class. A tag comes with the mean and the maximum
    of its scores, and with the seconds in which it is active.

    From a folder, files with the endings of audio and video files are taken, sorted, without hidden ones. A
    recording that fails is named on stderr, the others are done, and the exit code is 1.
    """
    from arwkv_cli.plain_text import printable
    from arwkv_cli.progress import RunProgress
    from arwkv_cli.tag_output import TagOutput
    from arwkv_core.batch import run_pairs
    from arwkv_core.finder import find_recordings
    from arwkv_core.results import Failure, TagResult
    from arwkv_core.whole_file import check_not_input

    def say(kind: str, about: str, what: str) -> None:
        typer.echo(f"arwkv: {kind}{printable(about)}: {printable(what)}", err=True)

    with TagOutput(format.value if format else None, output, overwrite=overwrite) as out:
        found = find_recordings(files)
        if output is not None:
            check_not_input(output, found.files)
        for failure in found.failures:
            say("failed: ", failure.file, failure.reason)
        if not quiet:
            for folder in found.empty:
                say("", folder, "no recordings in this folder")

        from arwkv_core.tagger import load  # late: a wrong output or a missing file is told at once

        tagger = load(model, device)
        with RunProgress(len(found.files), shown=not quiet) as progress:

            def work(file: str) -> TagResult:
                progress.begin(file)
                return tagger.tag(
                    file,
                    top_k=top_k,
                    threshold=threshold,
                    channel=channel,
                    include=include,
                    exclude=exclude,
                    pool=pool.value,
                    hop=hop,
                    active_threshold=active_threshold,
                    progress=progress.update,
                )

            for file, outcome in run_pairs(found.files, _Here(work)):
                if isinstance(outcome, Failure):
                    progress.end(None)
                    with progress.hidden():
                        say("failed: ", file, outcome.reason)
                    continue
                progress.end(outcome.coverage.decoded_seconds)
                warnings = [] if quiet else outcome.warnings
                with progress.hidden(out.on_terminal or bool(warnings)):
                    out.write(outcome)
                    for warning in warnings:
                        say("warning: ", file, warning.removeprefix(f"{file}: "))
    if progress.shown:
        typer.echo(f"arwkv: {progress.summary()}", err=True)
    if progress.failed or found.failures:
        raise typer.Exit(1)


class _Here:
    """A task of which nothing has to be loaded any more."""

    def __init__(self, work: Callable[[str], "TagResult"]) -> None:
        self.work = work

    def open(self) -> Callable[[str, Callable[[float, float | None], None]], "TagResult"]:
        return lambda file, progress: self.work(file)

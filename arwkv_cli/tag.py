"""``arwkv tag``: what is in each recording."""

from enum import Enum
from typing import Annotated

import typer

from arwkv_cli.run_options import (
    FORMAT_HELP,
    Channel,
    Context,
    Device,
    Files,
    FilesFrom,
    From,
    Glob,
    Hop,
    Jobs,
    Like,
    Model,
    Output,
    OutputDir,
    Overwrite,
    Precision,
    Quiet,
    RawScores,
    Scores,
    given,
)
from arwkv_core.constants import DEFAULT_MODEL


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
    PARQUET = "parquet"


def tag(
    ctx: typer.Context,
    files: Files = None,
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
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    channel: Channel = None,
    hop: Hop = None,
    context: Context = None,
    raw_scores: RawScores = False,
    glob: Glob = None,
    files_from: FilesFrom = None,
    format: Annotated[list[Format] | None, typer.Option("--format", "-f", help=FORMAT_HELP)] = None,
    output: Output = None,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    like: Like = None,
    scores: Scores = None,
    from_: From = None,
    quiet: Quiet = False,
) -> None:
    """Tell what is in each recording.

    Every 0.16 s of a recording get a score from 0 to 1 per class. A tag comes with the mean and the maximum
    of its scores, and with the seconds in which it is active. Of a calibrated model, scores are probabilities.

    From a folder, files with the endings of audio and video files are taken, sorted, without hidden ones. A
    recording that fails is named on stderr, the others are done, and the exit code is 1. With --output-dir, the
    folder also gets run.json, which says how the outputs were made, and failures.csv if something failed.
    """
    from arwkv_cli.folder_run import RunPlan, run_folder
    from arwkv_cli.table import TableWriter
    from arwkv_cli.tag_formats import TAG_FORMATS
    from arwkv_core.selection import Selection
    from arwkv_core.tag_task import TagTask

    def task(plan: RunPlan) -> TagTask:
        return TagTask(
            model=model,
            device=device,
            precision=precision,
            selection=Selection(top_k, threshold, pool.value, include, exclude),
            channel=channel,
            hop=hop,
            context=context,
            active_threshold=active_threshold,
            kept=plan.kept,
            raw_scores=raw_scores,
            defaults_of=model if given(ctx, "model") else None,
        )

    run_folder(ctx, formats=TAG_FORMATS, make_task=task, table=TableWriter, rounds_kept=True)

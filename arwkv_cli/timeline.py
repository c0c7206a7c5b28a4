"""``arwkv timeline``: what happens when in each recording."""

from enum import Enum
from typing import Annotated

import typer

from arwkv_cli.event_options import Groups, Median, MergeGap, MinDuration, Off, On, RollUp, Start
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
from arwkv_core.errors import UsageError

TOP = 20


class TimelineFormat(str, Enum):
    """How timelines are written."""

    TABLE = "table"
    CSV = "csv"
    JSON = "json"
    JSONL = "jsonl"
    PARQUET = "parquet"
    AUDACITY = "audacity"
    RAVEN = "raven"
    TEXTGRID = "textgrid"
    RTTM = "rttm"
    VTT = "vtt"
    SRT = "srt"
    CHAPTERS = "chapters"
    SED_SCORES = "sed-scores"
    SED_EVENTS = "sed-events"


def timeline(
    ctx: typer.Context,
    files: Files = None,
    on: On = None,
    off: Off = None,
    median: Median = None,
    min_duration: MinDuration = None,
    merge_gap: MergeGap = None,
    include: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="Report only this class, by name or mid, or with --groups this group; may be repeated.",
        ),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(
            metavar="CLASS",
            help="Never report this class, or with --groups this group; may be repeated.",
        ),
    ] = None,
    roll_up: RollUp = True,
    groups: Groups = None,
    start: Start = None,
    top: Annotated[
        int,
        typer.Option(metavar="N", help="Draw at most so many lanes on a terminal; files hold all events."),
    ] = TOP,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    channel: Channel = None,
    hop: Hop = None,
    context: Context = None,
    raw_scores: RawScores = False,
    glob: Glob = None,
    files_from: FilesFrom = None,
    format: Annotated[list[TimelineFormat] | None, typer.Option("--format", "-f", help=FORMAT_HELP)] = None,
    output: Output = None,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    like: Like = None,
    scores: Scores = None,
    from_: From = None,
    quiet: Quiet = False,
) -> None:
    """Tell what happens when in each recording.

    Every 0.16 s of a recording get a score from 0 to 1 per class. Of each class, the scores are smoothed
    (--median), an event starts at --on and ends below --off, close events are joined (--merge-gap), and then short
    ones dropped (--min-duration). Options given here hold for all classes; else each class has its own numbers, if
    the model's folder says so.

    On a terminal, each class is a lane: the higher, the surer, and the more of the time it sounds. Files have the
    time of day too, where the recording's metadata or name tell when it began, or --start.

    With --scores the scores are kept, and with --from other numbers, groups and formats take no model and no time.
    """
    from tempfile import TemporaryDirectory

    from arwkv_cli.folder_run import RunPlan, run_folder
    from arwkv_cli.lanes import LanesWriter
    from arwkv_cli.timeline_formats import SED_SCORES, TIMELINE_FORMATS
    from arwkv_core.event_settings import EventSettings
    from arwkv_core.timeline_task import TimelineTask

    if top < 1:
        raise UsageError(f"--top: expected at least 1, found {top}")
    settings = EventSettings(
        on, off, median, min_duration, merge_gap, include, exclude, roll_up, groups, raw_scores
    )

    with TemporaryDirectory(prefix="arwkv-") as passing:

        def task(plan: RunPlan) -> TimelineTask:
            if start is not None and len(plan.files) > 1:
                raise UsageError(
                    f"--start: expected one recording, which began then, found {len(plan.files)}"
                )
            return TimelineTask(
                model=model,
                device=device,
                precision=precision,
                settings=settings,
                channel=channel,
                hop=hop,
                context=context,
                start=start,
                kept=plan.kept,
                scores_folder=passing if SED_SCORES in plan.formats else None,
                defaults_of=model if given(ctx, "model") else None,
            )

        run_folder(
            ctx,
            formats=TIMELINE_FORMATS,
            make_task=task,
            table=lambda stream: LanesWriter(stream, top),
            display=frozenset({"top"}),
        )

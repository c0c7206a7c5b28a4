"""``arwkv extract``: the events of recordings as clips."""

from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from arwkv_cli.event_options import Groups, Median, MergeGap, MinDuration, Off, On, RollUp, Start
from arwkv_cli.run_options import (
    Channel,
    Context,
    Device,
    Files,
    FilesFrom,
    From,
    Glob,
    Hop,
    Jobs,
    Model,
    Precision,
    Quiet,
    RawScores,
    RunOptions,
    Scores,
)
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import UsageError

if TYPE_CHECKING:
    from arwkv_cli.extract_run import ExtractRun
    from arwkv_core.results import Timeline

_HEARING = (
    *("on", "off", "median", "min_duration", "merge_gap", "roll_up", "groups"),
    *("model", "device", "precision", "channel", "hop", "context", "raw_scores"),
    *("jobs", "scores", "from_"),
)
"""Options that make events of recordings: of no use where the events are there already."""


class ClipFormat(str, Enum):
    """How clips are written."""

    WAV = "wav"
    FLAC = "flac"
    OGG = "ogg"


def extract(
    ctx: typer.Context,
    files: Files = None,
    output_dir: Annotated[
        Path,
        typer.Option(
            "--output-dir",
            "-d",
            metavar="DIR",
            help="Folder of the clips and of clips.csv, which ties each clip to its recording and time.",
        ),
    ] = Path("clips"),
    events: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="TABLE",
            help="Cut the events in TABLE (csv, json, jsonl or parquet), written by `arwkv timeline` or made by hand "
            "(columns file, start, end, name), or in an Audacity label track, a Raven selection table (txt) or a DCASE "
            "event list (tsv), without the model; of all recordings in it, if no FILES are named. May be repeated.",
        ),
    ] = None,
    include: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Cut only this class, by name or mid; may be repeated."),
    ] = None,
    exclude: Annotated[
        list[str] | None,
        typer.Option(metavar="CLASS", help="Never cut this class, by name or mid; may be repeated."),
    ] = None,
    min_score: Annotated[
        float | None, typer.Option(help="Leave out events whose highest score is below this (0 to 1).")
    ] = None,
    max_per_class: Annotated[
        int | None,
        typer.Option(
            metavar="N",
            help="Cut at most N clips of a class from all recordings together: those with the highest scores.",
        ),
    ] = None,
    pad: Annotated[
        float,
        typer.Option(
            metavar="SECONDS", help="Add sound before and behind each event, never beyond the recording."
        ),
    ] = 0.0,
    format: Annotated[
        ClipFormat,
        typer.Option(
            "--format",
            "-f",
            help="wav keeps every sample as it is. flac does so up to 24 bits; floating point is rounded to that, and "
            "made softer where it would clip. ogg is small, with losses.",
        ),
    ] = ClipFormat.WAV,
    name_template: Annotated[
        str,
        typer.Option(
            metavar="TEMPLATE",
            help="Names of clips, of {stem} {name} {folder} {class} {mid} {start} {end} {index} {score} {mean} "
            "{clock}; numbers take formats as in {score:.3f}, and / makes folders: {class}/{stem}_{index}. Where two "
            "clips would have one name, the second gets _2.",
        ),
    ] = "{stem}_{start}_{class}",
    overwrite: Annotated[
        bool,
        typer.Option(
            "--overwrite", help="Cut again what an earlier run has cut, and replace files of its names."
        ),
    ] = False,
    dry_run: Annotated[
        bool, typer.Option("--dry-run", help="Print clips.csv as it would be, and cut nothing.")
    ] = False,
    on: On = None,
    off: Off = None,
    median: Median = None,
    min_duration: MinDuration = None,
    merge_gap: MergeGap = None,
    roll_up: RollUp = True,
    groups: Groups = None,
    start: Start = None,
    model: Model = DEFAULT_MODEL,
    device: Device = "auto",
    precision: Precision = "auto",
    channel: Channel = None,
    hop: Hop = None,
    context: Context = None,
    raw_scores: RawScores = False,
    glob: Glob = None,
    files_from: FilesFrom = None,
    jobs: Jobs = 1,
    scores: Scores = None,
    from_: From = None,
    quiet: Quiet = False,
) -> None:
    """Cut the events of recordings out of them, as clips.

    A clip has its recording's sample rate, channels and resolution, and begins and ends to the sample. It appears
    whole or not at all, and is never cut twice: a run that is repeated does only what is missing.

    The events are found by the model as `arwkv timeline` does it, in scores that were kept (--from), or in a table
    (--events). A recording that fails is named on stderr, the others are done, and the exit code is 1.
    """
    from arwkv_cli.extract_run import ExtractRun
    from arwkv_cli.interruption import interruptible
    from arwkv_core.clip_plan import ClipSettings
    from arwkv_core.start_time import read_option

    by_table = bool(events)
    settings = ClipSettings(
        format=format.value,
        pad=pad,
        max_per_class=max_per_class,
        min_score=min_score,
        name_template=name_template,
        include=include if by_table else None,  # else the search for events knows them
        exclude=exclude if by_table else None,
    )
    if start is not None:
        read_option(start)  # what is no time is told at once
    if by_table:
        for name in _HEARING:
            if _given(ctx, name):
                option = name.rstrip("_").replace("_", "-")
                raise UsageError(
                    f"--{option} and --events: expected one of them; the table's events are found already"
                )
    run = ExtractRun(settings, output_dir, overwrite=overwrite, dry_run=dry_run, quiet=quiet)
    with interruptible():
        if events:
            _cut_tables(ctx, run, settings, events, start)
        else:
            from arwkv_core.event_settings import EventSettings

            search = EventSettings(
                on, off, median, min_duration, merge_gap, include, exclude, roll_up, groups, raw_scores
            )
            _hear_and_cut(ctx, run, search, start)
    if not quiet:
        typer.echo(f"arwkv: {run.summary()}", err=True)
    if run.failures:
        raise typer.Exit(1)


def _cut_tables(
    ctx: typer.Context, run: "ExtractRun", settings: Any, tables: list[Path], start: str | None
) -> None:
    """Cut the events that tables tell."""
    import dataclasses

    from arwkv_cli.progress import RunProgress
    from arwkv_core.results import Failure
    from arwkv_core.start_time import find_start_time
    from arwkv_core.timeline_reader import for_recordings, read_timelines

    files: list[str] = []
    failures: list[Failure] = []
    if ctx.params.get("files") or ctx.params.get("files_from"):
        from arwkv_cli.run_inputs import find_inputs

        found = find_inputs(RunOptions.of(ctx))
        files, failures = list(found.files), list(found.failures)
    lone = files[0] if len(files) == 1 else None
    timelines = [timeline for table in tables for timeline in read_timelines(table, file=lone)]
    settings.check_classes((event.name, event.mid) for timeline in timelines for event in timeline.events)
    if files:
        timelines, missing = for_recordings(timelines, files)
        where = ", ".join(map(str, tables))
        if files and not timelines:
            raise UsageError(
                f"--events {where}: expected events of the recordings named, found none of them there"
            )
        for file in missing:
            run.warn(file, [f"nothing of it in {where}"])
    if start is not None and len(timelines) > 1:
        raise UsageError(f"--start: expected one recording, found {len(timelines)}")

    def dated(timeline: "Timeline") -> "Timeline":
        known = None if start is not None else timeline.start_time
        return dataclasses.replace(timeline, start_time=known or find_start_time(timeline.file, option=start))

    with run, RunProgress(len(timelines), shown=not run.quiet) as progress:
        run.progress = progress
        for failure in failures:
            run.fail(failure)
        for timeline in timelines:
            before = len(run.failures)
            run.take(dated(timeline), lambda *now, file=timeline.file: progress.update(file, *now))
            seconds = timeline.coverage.decoded_seconds
            progress.end(timeline.file, seconds if len(run.failures) == before else None)
        run.finish()


def _hear_and_cut(ctx: typer.Context, run: "ExtractRun", search: Any, start: str | None) -> None:
    """Find events with the model or in kept scores, and cut them."""
    from contextlib import closing

    from arwkv_cli.progress import RunProgress
    from arwkv_cli.run_inputs import find_inputs, place_of_scores
    from arwkv_cli.run_results import say_all_empty
    from arwkv_core.batch import run_pairs
    from arwkv_core.extract_task import ExtractTask
    from arwkv_core.finder import STDIN
    from arwkv_core.results import Failure
    from arwkv_core.timeline_task import TimelineTask

    options = RunOptions.of(ctx)
    found = find_inputs(options)
    if STDIN in found.files:
        raise UsageError("-: expected files: a recording is heard, and then read once more to cut it")
    if start is not None and len(found.files) > 1:
        raise UsageError(f"--start: expected one recording, found {len(found.files)}")
    hearing = {
        name: ctx.params[name] for name in ("model", "device", "precision", "channel", "hop", "context")
    }
    task = ExtractTask(
        TimelineTask(
            settings=search,
            start=start,
            kept=place_of_scores(options, found),
            defaults_of=ctx.params["model"] if _given(ctx, "model") else None,
            **hearing,
        )
    )
    with run, RunProgress(len(found.files), shown=not run.quiet) as progress:
        run.progress = progress
        for failure in found.failures:
            run.fail(failure)
        if not run.quiet:
            say_all_empty(found.empty)
        jobs = min(options.jobs, max(len(found.files), 1))
        with closing(run_pairs(found.files, task, jobs=jobs, progress=progress.update)) as pairs:
            for file, outcome in pairs:
                if isinstance(outcome, Failure):
                    run.fail(outcome)
                    progress.end(file, None)
                    continue
                before = len(run.failures)
                run.take(outcome)
                failed = len(run.failures) > before
                progress.end(file, None if failed else outcome.coverage.decoded_seconds)
        run.finish()


def _given(ctx: typer.Context, name: str) -> bool:
    source = ctx.get_parameter_source(name)
    return source is not None and source.name in ("COMMANDLINE", "ENVIRONMENT")

"""What all commands over recordings do: find them, let a task work on each, write the results, tell what failed.

A command's function is::

    def tag(ctx: typer.Context, files: Files = None, ..., quiet: Quiet = False) -> None:
        run_folder(ctx, formats=..., make_task=lambda plan: TagTask(...), table=TableWriter)
"""

import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import ExitStack, closing
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from arwkv_cli.exit_codes import ExitCode
from arwkv_cli.interruption import command_to_go_on, interruptible, save_undisturbed
from arwkv_cli.plain_text import printable
from arwkv_cli.run_options import RunOptions
from arwkv_core.errors import ArwkvError, UsageError
from arwkv_core.finder import STDIN
from arwkv_core.results import Failure

if TYPE_CHECKING:
    from arwkv_cli.run_results import RunResults
    from arwkv_core.batch import Task
    from arwkv_core.finder import Found
    from arwkv_core.kept_scores import KeptScores
    from arwkv_core.output_files import Format
    from arwkv_core.output_tree import OutputTree
    from arwkv_core.run_folder import RunFolder


@dataclass(frozen=True)
class RunPlan:
    """What a command's task may have to know of the run.

    Parameters
    ----------
    options : RunOptions
    formats : tuple of str
        Formats that are written; ``("table",)`` for people.
    files : sequence of str
        What is to be done: recordings or, with --from and no FILES, kept scores.
    tree : OutputTree or None
        Where the outputs of each lie, with --output-dir.
    kept : KeptScores or None
        Where scores are kept, with --scores or --from.
    """

    options: RunOptions
    formats: tuple[str, ...]
    files: Sequence[str]
    tree: "OutputTree | None"
    kept: "KeptScores | None"


def run_folder(
    ctx: typer.Context,
    *,
    formats: "Mapping[str, Format]",
    make_task: "Callable[[RunPlan], Task[Any]]",
    table: Callable[[Any], Any] | None = None,
    by_task: frozenset[str] = frozenset(),
    seconds: Callable[[Any], float] = lambda result: result.coverage.decoded_seconds,
    display: frozenset[str] = frozenset(),
    rounds_kept: bool = False,
) -> None:
    """Do a command's work on all recordings that its options name.

    Parameters
    ----------
    ctx : typer.Context
        Of the command, whose options `RunOptions` reads.
    formats : mapping
        Name → `Format`; the first is the default.
    make_task : callable
        Makes the task of the plan. What its ``open`` raises ends the run.
    table : callable, optional
        Makes of a stream what writes tables for people: the default on a terminal.
    by_task : frozenset of str
        Formats that the task itself writes, to ``plan.tree.path(file, suffix)``, whole; their folders are there.
        Without --output-dir that is all the task's own business.
    seconds : callable
        Duration of a result's recording. Its ``warnings``, if it has any, are shown.
    display : frozenset of str
        Parameters of the command that bear on what a terminal shows only.
    rounds_kept : bool
        The results are made of rounded scores where these are kept, and of exact ones where they aren't.

    Raises
    ------
    UsageError
        If options can't be, or not together.
    typer.Exit
        If something failed.
    """
    from arwkv_cli.progress import RunProgress
    from arwkv_cli.run_inputs import check_model, find_inputs, new_record, place_of_scores
    from arwkv_cli.run_output import TABLE, StreamOutput, choose_formats, joined_format
    from arwkv_cli.run_results import RunResults, say_all_empty
    from arwkv_core.output_files import OutputFiles

    options = RunOptions.of(ctx, display=display)
    with interruptible(), ExitStack() as stack:
        names = choose_formats(options, formats, table=table is not None, terminal=sys.stdout.isatty())
        joined = joined_format(options, names, formats)
        stream: StreamOutput | None = None
        if options.output_dir is None and names[0] not in by_task:
            format = None if names[0] == TABLE else formats[names[0]]
            stream = stack.enter_context(
                StreamOutput(format, names[0], options.output, overwrite=options.overwrite, table=table)
            )
        found = find_inputs(options)
        _check_one_place(options, found, names[0], formats)
        kept = place_of_scores(options, found)
        model = check_model(options)

        folder: RunFolder | None = None
        outputs: OutputFiles | None = None
        files: Sequence[str] = found.files
        refused: list[Failure] = []
        if options.output_dir is not None:
            record = new_record(options, found, model, names, rounds_kept=rounds_kept)
            folder = _enter_folder(stack, options, record)
            suffixes = [formats[name].suffix for name in names]
            source = kept.path if kept is not None and kept.read_only else Path
            files, refused = folder.to_do(found.files, suffixes, source)
            if not by_task.isdisjoint(names):
                files, unprepared = folder.prepare(files, suffixes)
                refused += unprepared
            written = {name: formats[name] for name in names if name not in by_task}
            outputs = stack.enter_context(OutputFiles(folder.folder, written))
        task = make_task(RunPlan(options, tuple(names), files, None if folder is None else folder.tree, kept))

        kept_before = int(folder.counts["kept"]) if folder is not None else 0
        progress = RunProgress(len(files), shown=not options.quiet, kept=kept_before)
        results = RunResults(
            progress, seconds=seconds, stream=stream, folder=folder, outputs=outputs, quiet=options.quiet
        )
        for failure in found.failures:
            results.fail(failure, recording=False, at_work=False)
        for failure in refused:
            results.fail(failure, at_work=False)
        if not options.quiet:
            say_all_empty(found.empty)
        _work(files, task, options, results, ordered=folder is None)
        if joined is not None and options.output is not None:
            results.join(found.files, formats[joined].suffix, joined, options.output)
    if not options.quiet:
        typer.echo(f"arwkv: {progress.summary()}", err=True)
    if results.without:
        raise typer.Exit(ExitCode.FAILED)


def _check_one_place(options: RunOptions, found: "Found", name: str, formats: "Mapping[str, Format]") -> None:
    """Refuse a single place for results that can't be there."""
    from arwkv_core.whole_file import check_not_input

    if options.output is not None:
        check_not_input(options.output, found.files)
    several = name not in formats or formats[name].several
    if options.output_dir is None and not several and len(found.files) > 1:
        raise UsageError(
            f"--format {name}: a file holds one recording, found {len(found.files)}: --output-dir writes a file for "
            "each"
        )


def _enter_folder(stack: ExitStack, options: RunOptions, record: Any) -> "RunFolder":
    from arwkv_cli.run_inputs import scores_are_inputs
    from arwkv_core.kept_scores import SUFFIX
    from arwkv_core.run_folder import RunFolder
    from arwkv_core.whole_file import check_output

    assert options.output_dir is not None
    strip = SUFFIX if scores_are_inputs(options) else ""
    folder = stack.enter_context(
        RunFolder(options.output_dir, record, overwrite=options.overwrite, strip=strip, table=options.output)
    )
    if options.output is not None:
        check_output(options.output, overwrite=options.overwrite or folder.made_table)
    return folder


def _work(
    files: Sequence[str], task: "Task[Any]", options: RunOptions, results: "RunResults", *, ordered: bool
) -> None:
    """Let the task work on the files; after an interruption, save what is done and say how to go on."""
    from arwkv_core.batch import run_pairs
    from arwkv_core.workers import usable_cores

    jobs = min(options.jobs, max(len(files), 1))
    if jobs > (cores := usable_cores()) and not options.quiet:
        typer.echo(
            f"arwkv: warning: --jobs {options.jobs}: more than the cores here ({cores}), which fewer keep busy too",
            err=True,
        )
    if STDIN in files and jobs > 1:
        raise UsageError(
            f"--jobs {options.jobs}: stdin can be read by one process only; give - a run of its own"
        )
    # a crash in a decoder must not cost a folder; a lone recording is done here, which is quicker
    isolated = not ordered and len(files) > 1 and STDIN not in files
    with results.progress as progress:
        try:
            with closing(
                run_pairs(
                    files, task, jobs=jobs, isolated=isolated, ordered=ordered, progress=progress.update
                )
            ) as pairs:
                for file, outcome in pairs:
                    results.take(file, outcome)
            results.settle()
        except KeyboardInterrupt:
            save_undisturbed()
            results.settle()
            with progress.hidden():
                _tell_how_to_go_on(options, progress.done, len(files))
            raise
        except (ArwkvError, OSError):
            results.settle()
            raise


def _tell_how_to_go_on(options: RunOptions, done: int, files: int) -> None:
    where = f", in {options.output_dir}" if options.output_dir is not None else ""
    again = f"; this goes on: {printable(command_to_go_on())}" if options.output_dir or options.scores else ""
    typer.echo(f"arwkv: {done} of {files} recordings are done{where}{again}", err=True)

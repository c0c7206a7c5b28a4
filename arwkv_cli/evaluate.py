"""``arwkv evaluate``: how well a model does on a labelled corpus, on annotated recordings, or on tasks of HEAR."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from enum import Enum
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any, TextIO

import typer

from arwkv_cli.run_options import Context, Device, Hop, Precision
from arwkv_core.errors import UsageError

if TYPE_CHECKING:
    from arwkv_core.evaluate import Evaluation
    from arwkv_core.evaluation.detection import DetectionEvaluation
    from arwkv_core.hear_tasks.report import HearEvaluation

OPTIONS = {
    "a manifest": ("split", "labels", "teacher", "confusion"),
    "--events": ("audio", "segment", "collar", "offset_share", "on", "hop", "context"),
}
"""Options that go with one of the inputs only."""


class Split(str, Enum):
    """Part of a corpus."""

    TRAIN = "train"
    VALID = "valid"
    TEST = "test"


class Format(str, Enum):
    """How metrics are printed."""

    TABLE = "table"
    JSON = "json"
    CSV = "csv"


def evaluate(
    ctx: typer.Context,
    model: Annotated[str, typer.Argument(help="A model of the zoo, a model folder or a weight file.")],
    manifest: Annotated[
        Path | None,
        typer.Argument(
            help="CSV with the columns path, split, known_labels; paths count from its folder.",
            show_default=False,
        ),
    ] = None,
    split: Annotated[Split, typer.Option(help="With a manifest: which clips to use.")] = Split.TEST,
    labels: Annotated[
        Path | None,
        typer.Option(
            help="With a manifest: classes of the corpus.  [default: labels.csv beside the manifest]"
        ),
    ] = None,
    teacher: Annotated[
        Path | None,
        typer.Option(
            help="With a manifest: a teacher's scores to compare with.  [default: teacher_frames.npz there, if any]"
        ),
    ] = None,
    confusion: Annotated[
        Path | None,
        typer.Option(
            metavar="PNG",
            help="With a manifest: draw what clips of one label each are taken for, such as ESC-10's "
            "(needs matplotlib).",
        ),
    ] = None,
    events: Annotated[
        list[Path] | None,
        typer.Option(
            help="Annotations of long recordings instead of a manifest, or folders of them: csv, json, jsonl or "
            "parquet as arwkv timeline writes them or with file, start, end, label; Audacity label tracks, Raven "
            "selection tables, DCASE event lists; may be repeated."
        ),
    ] = None,
    hear: Annotated[
        list[Path] | None,
        typer.Option(
            metavar="FOLDER",
            help="Tasks of the HEAR benchmark instead of a manifest: folders with task_metadata.json, or folders of "
            "them; may be repeated. Needs scikit-learn.",
        ),
    ] = None,
    audio: Annotated[
        Path | None,
        typer.Option(
            help="With --events: where the recordings lie.  [default: as named, or beside the annotations]"
        ),
    ] = None,
    segment: Annotated[
        float, typer.Option(metavar="SECONDS", help="With --events: length of a segment.")
    ] = 1.0,
    collar: Annotated[
        float,
        typer.Option(
            metavar="SECONDS",
            help="With --events: how far an event's onset may be off, and its end at least.",
        ),
    ] = 0.2,
    offset_share: Annotated[
        float,
        typer.Option(
            help="With --events: how far its end may be off, as a share of its length, if that is more."
        ),
    ] = 0.2,
    on: Annotated[
        float | None,
        typer.Option(
            help="With --events: score at which events start.  [default: the model's, class by class]"
        ),
    ] = None,
    hop: Hop = None,
    context: Context = None,
    per_class: Annotated[
        bool, typer.Option("--per-class", help="With a manifest: print all numbers of each class.")
    ] = False,
    require: Annotated[
        list[str] | None,
        typer.Option(
            metavar="NAME=NUMBER",
            help="Exit with 1 where the model's measure of this name (as in the JSON) is lower, or higher if it "
            "counts errors; may be repeated.",
        ),
    ] = None,
    device: Device = "auto",
    precision: Precision = "auto",
    format: Annotated[
        Format,
        typer.Option(
            help="A table to read, JSON, or CSV with a row for each class (--hear: for each measure)."
        ),
    ] = Format.TABLE,
    output: Annotated[
        Path | None, typer.Option("--output", "-o", help="Write there instead of to stdout.")
    ] = None,
    overwrite: Annotated[bool, typer.Option("--overwrite", help="Replace files that exist.")] = False,
    quiet: Annotated[bool, typer.Option("--quiet", "-q", help="No progress.")] = False,
) -> None:
    """Measure a model on a labelled corpus: mAP, AUC, d', agreement with the teacher, zero-shot ESC-10.

    With --events, on annotated long recordings: F1 by segments and by events, average precision of segments, and PSDS.
    With --hear, how well the model's embeddings serve for tasks of HEAR, by each task's own measures.
    """
    from arwkv_core.evaluation.class_table import class_csv
    from arwkv_core.evaluation.requirements import check_names, read_requirements, unmet
    from arwkv_core.whole_file import check_output

    _check_mode(ctx, {"a manifest": manifest is not None, "--events": bool(events), "--hear": bool(hear)})
    required = read_requirements(require or [])
    for option, path in (("--output", output), ("--confusion", confusion)):
        if path is not None:
            check_output(path, overwrite=overwrite, option=option)
    common: dict[str, Any] = {"device": device, "precision": precision, "progress": not quiet}
    if hear:
        if per_class:
            raise UsageError("--per-class: goes with a manifest or --events only")
        _evaluate_hear(model, hear, required, format, output, overwrite, common)
        return
    from arwkv_cli.evaluation_table import print_evaluations

    results: list[Evaluation] | list[DetectionEvaluation]
    if events:
        from arwkv_core.evaluation.detection import MEASURES, evaluate_detection

        check_names(required, MEASURES)
        results = [
            evaluate_detection(
                model,
                events,
                audio=audio,
                segment=segment,
                collar=collar,
                offset_share=offset_share,
                on=on,
                hop=hop,
                context=context,
                **common,
            )
        ]
    else:
        from arwkv_core.evaluate import MEASURES, evaluate
        from arwkv_core.evaluation.confusion_picture import check_drawable, draw_confusion

        assert manifest is not None, "one of the two is given"
        check_names(required, MEASURES)
        if confusion is not None:
            check_drawable()
        found = evaluate(model, manifest, split=split.value, labels=labels, teacher=teacher, **common)
        results = [result for result in found if result]
        if confusion is not None:
            draw_confusion(found[0].confusion, confusion, found[0].model, overwrite=overwrite)
    _give(
        results,
        lambda: class_csv([result.to_dict() for result in results]),
        lambda stream: print_evaluations(results, stream, per_class=per_class),
        format,
        output,
        overwrite,
    )
    _check_unmet([f"{results[0].model}: {each}" for each in unmet(results[0].to_dict(), required)])


def _evaluate_hear(
    model: str,
    hear: list[Path],
    required: dict[str, float],
    format: Format,
    output: Path | None,
    overwrite: bool,
    common: dict[str, Any],
) -> None:
    from arwkv_cli.hear_table import print_hear
    from arwkv_core.evaluation.requirements import check_names, unmet
    from arwkv_core.hear_tasks.evaluation import evaluate_hear, measures_of
    from arwkv_core.hear_tasks.folder import read_hear_tasks
    from arwkv_core.hear_tasks.report import trials_csv

    tasks = read_hear_tasks(hear)
    check_names(required, list(dict.fromkeys(name for task in tasks for name in measures_of(task).names)))
    results = evaluate_hear(model, tasks, **common)
    _give(
        results,
        lambda: trials_csv(results),
        lambda stream: print_hear(results, stream),
        format,
        output,
        overwrite,
    )
    problems = []
    for result in results:
        mine = {name: bound for name, bound in required.items() if name in result.scores}
        failed = unmet(result.scores, mine, result.less_is_better)
        problems += [f"{result.model}, {result.task}: {each}" for each in failed]
    _check_unmet(problems)


def _check_unmet(problems: list[str]) -> None:
    for problem in problems:
        typer.echo(f"arwkv: {problem}", err=True)
    if problems:
        raise typer.Exit(1)


def _check_mode(ctx: typer.Context, given: dict[str, bool]) -> None:
    """Refuse several inputs at once, none, and options that go with another one."""
    there = [name for name, is_there in given.items() if is_there]
    if len(there) != 1:
        found = " and ".join(there) or "none of them"
        raise UsageError(f"expected a manifest, --events or --hear, found {found}")
    for other, names in OPTIONS.items():
        for name in names if other not in there else ():
            if ctx.get_parameter_source(name).name != "DEFAULT":  # type: ignore[union-attr]  # every option has one
                raise UsageError(f"--{name.replace('_', '-')}: goes with {other} only")


def _give(
    results: Sequence[Evaluation] | Sequence[DetectionEvaluation] | Sequence[HearEvaluation],
    as_csv: Callable[[], str],
    print_table: Callable[[TextIO], None],
    format: Format,
    output: Path | None,
    overwrite: bool,
) -> None:
    """Print the results or write them into a file."""
    import sys

    from arwkv_core.whole_file import WholeFile

    file = None if output is None else WholeFile(output, overwrite=overwrite)
    stream = sys.stdout if file is None else file.stream
    try:
        if format is Format.JSON:
            import json

            document = {"schema_version": 1, "results": [result.to_dict() for result in results]}
            stream.write(json.dumps(document, indent=2, allow_nan=False) + "\n")
        elif format is Format.CSV:
            stream.write(as_csv())
        else:
            print_table(stream)
    except BaseException:
        if file is not None:
            file.discard()
        raise
    if file is not None:
        file.commit()

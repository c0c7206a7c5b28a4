"""Metrics of one or more models as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import fields
from typing import Any, TextIO

from rich.console import Console
from rich.table import Table

from arwkv_core.evaluate import Evaluation
from arwkv_core.evaluation.detection import DetectionEvaluation

CLIP_ROWS = (
    ("known labels: mAP", "known_map"),
    ("known labels: AUC", "known_auc"),
    ("known labels: d'", "known_d_prime"),
    ("known labels: classes", "known_classes"),
    ("teacher's decisions: mAP", "teacher_map"),
    ("teacher's decisions: classes", "teacher_classes"),
    ("teacher's scores: correlation", "teacher_correlation"),
    ("ESC-10, zero-shot: accuracy", "esc10_accuracy"),
    ("ESC-10: clips", "esc10_clips"),
)
EVENT_ROWS = (
    ("segments: mAP", "segment_map"),
    ("segments: F1 of all decisions", "segment_f1_micro"),
    ("segments: F1, mean of the classes", "segment_f1_macro"),
    ("events: F1 of all decisions", "event_f1_micro"),
    ("events: F1, mean of the classes", "event_f1_macro"),
    ("PSDS 1", "psds1"),
    ("PSDS 2", "psds2"),
)


def print_evaluations(
    results: Sequence[Evaluation] | Sequence[DetectionEvaluation], stream: TextIO, *, per_class: bool = False
) -> None:
    """Print a table of means, a model a column, and one of the classes.

    Parameters
    ----------
    results : sequence of Evaluation or of DetectionEvaluation
    stream : TextIO
    per_class : bool
        Print all numbers of each class, model by model, instead of their average precisions side by side.
    """
    console = Console(file=stream)
    first = results[0]
    if isinstance(first, DetectionEvaluation):
        title = (
            f"{first.recordings} recordings, {first.seconds / 60:.1f} minutes, {first.events} events, "
            f"segments of {first.segment_seconds:g} s"
        )
        _print_means(console, results, title, EVENT_ROWS)
        if first.unknown_classes:
            console.print(f"not among the model's classes, left out: {', '.join(first.unknown_classes)}")
        _print_classes(console, first)
        return
    _print_means(console, results, f"{first.clips} clips, split {first.split}", CLIP_ROWS)
    if per_class:
        for result in results:
            _print_classes(console, result)
    else:
        _print_precisions(console, results)


def _print_means(
    console: Console, results: Sequence[Any], title: str, rows: Sequence[tuple[str, str]]
) -> None:
    table = Table(title=title, title_justify="left")
    table.add_column("measure")
    for result in results:
        table.add_column(result.model, justify="right")
    for name, key in rows:
        table.add_row(name, *(_text(getattr(result, key)) for result in results))
    console.print(table)


def _print_precisions(console: Console, results: Sequence[Any]) -> None:
    first = results[0]
    table = Table(title="average precision by class", title_justify="left")
    table.add_column("class")
    table.add_column("clips", justify="right")
    for result in results:
        table.add_column(result.model, justify="right")
    for place, row in enumerate(first.classes):
        table.add_row(row.name, str(row.positives), *(_text(result.classes[place].ap) for result in results))
    console.print(table)


def _print_classes(console: Console, result: Any) -> None:
    """All numbers of each class, whatever they are."""
    if not result.classes:
        return
    keys = [field.name for field in fields(result.classes[0]) if field.name not in ("name", "mid")]
    table = Table(title=f"{result.model}: classes", title_justify="left")
    table.add_column("class")
    for key in keys:
        table.add_column(key.replace("_", " "), justify="right")
    for row in result.classes:
        table.add_row(row.name, *(_text(getattr(row, key)) for key in keys))
    console.print(table)


def _text(value: float | int) -> str:
    return str(value) if isinstance(value, int) else "–" if value != value else f"{value:.3f}"

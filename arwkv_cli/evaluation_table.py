"""Metrics of one or more models as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Console
from rich.table import Table

from arwkv_core.evaluate import Evaluation

ROWS = (
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


def print_evaluations(results: Sequence[Evaluation]) -> None:
    """Print a table of means, a model a column, and one of the classes of the first model."""
    console = Console()
    first = results[0]
    means = Table(title=f"{first.clips} clips, split {first.split}", title_justify="left")
    means.add_column("measure")
    for result in results:
        means.add_column(result.model, justify="right")
    for title, key in ROWS:
        means.add_row(title, *(_text(getattr(result, key)) for result in results))
    console.print(means)

    classes = Table(title="average precision by class", title_justify="left")
    classes.add_column("class")
    classes.add_column("clips", justify="right")
    for result in results:
        classes.add_column(result.model, justify="right")
    for place, row in enumerate(first.classes):
        classes.add_row(
            row.name, str(row.positives), *(_text(result.classes[place].ap) for result in results)
        )
    console.print(classes)


def _text(value: float | int) -> str:
    return str(value) if isinstance(value, int) else "–" if value != value else f"{value:.3f}"

"""Measures on tasks of HEAR as tables for a terminal."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from arwkv_core.hear_tasks.report import HearEvaluation


def print_hear(results: Sequence[HearEvaluation], stream: TextIO) -> None:
    """Print a table a task: a row a tested split, and the mean of the folds.

    Parameters
    ----------
    results : sequence of HearEvaluation
    stream : TextIO
    """
    console = Console(file=stream)
    for result in results:
        console.print(
            f"{result.model} on {result.task} {result.version}: {result.clips} sounds of {result.seconds / 60:.1f} "
            f"minutes at {result.sample_rate} Hz, {result.classes} classes, {result.prediction_type}",
            markup=False,
            highlight=False,
            soft_wrap=True,
        )
        console.print(_table(result))
        for name, reason in result.unsupported.items():
            console.print(f"{name}: not measured: {reason}", markup=False, highlight=False, soft_wrap=True)


def _table(result: HearEvaluation) -> Table:
    """A row a trial, with what the valid split chose and the measures."""
    timed = result.embedding_type == "event"
    settings = ["C", *(["median filter ms", "shortest ms"] if timed else [])]
    table = Table()
    table.add_column("tested")
    for column in ("sounds", *settings, *(name.replace("_", " ") for name in result.scores)):
        table.add_column(column, justify="right", overflow="fold")
    for each in result.trials:
        chosen = [f"{each.strength:g}"]
        if each.post_processing is not None:
            chosen += [f"{each.post_processing.median_filter_ms:g}", f"{each.post_processing.min_duration:g}"]
        numbers = [_text(each.scores[name]) for name in result.scores]
        table.add_row(Text(each.trial.test), str(each.clips), *chosen, *numbers)
    if result.deviations:
        for title, summary in (("mean", result.scores), ("deviation", result.deviations)):
            table.add_row(title, "", *[""] * len(settings), *map(_text, summary.values()), style="bold")
    return table


def _text(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"

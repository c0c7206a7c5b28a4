"""What was measured of a probe, as tables for a terminal."""

from __future__ import annotations

import statistics
from collections.abc import Mapping, Sequence

from rich.console import Console
from rich.table import Table
from rich.text import Text

from arwkv_core.labelled.result import Result
from arwkv_core.probing.report import ProbeReport

MEASURES = ("accuracy", "map", "auc")
TITLES = {"accuracy": "accuracy", "map": "mAP", "auc": "AUC"}


def print_report(report: ProbeReport) -> None:
    """Print a row a fold, the mean of the folds, the test split, and a row a class."""
    print_folds(report.folds, report.cross_validation, report.test)
    print_place(report.name, report.folder)


def print_folds(folds: Mapping[str, Result], together: Result, test: Result | None = None) -> None:
    """Print a row a fold, the mean of the folds, the test split if there is one, and a row a class.

    Parameters
    ----------
    folds : mapping of str to Result
    together : Result
        All folds as one.
    test : Result, optional
    """
    console = Console()
    measures = [key for key in MEASURES if not _missing(together, key)]
    table = Table(title="held out", title_justify="left")
    for column in ("fold", "clips", *(TITLES[key] for key in measures)):
        table.add_column(column, justify="left" if column == "fold" else "right")
    for name, result in folds.items():
        table.add_row(Text(name), str(result.clips), *(_text(getattr(result, key)) for key in measures))
    spread = [_spread([getattr(result, key) for result in folds.values()]) for key in measures]
    table.add_row("mean ± deviation", "", *spread, style="bold")
    table.add_row("by chance", "", *_by_chance(together, measures))
    if test is not None:
        table.add_row("test", str(test.clips), *(_text(getattr(test, key)) for key in measures))
    console.print(table)
    _print_classes(console, "test" if test else "all folds", test or together)


def print_remarks(remarks: Sequence[str]) -> None:
    """Print on stderr what is not wrong with the sounds, but should be known."""
    console = Console(stderr=True)
    for remark in remarks:
        console.print(f"arwkv: {remark}", markup=False, highlight=False, soft_wrap=True)


def print_results(name: str, folder: str, results: Mapping[str, Result | None]) -> None:
    """Print a row a split, what chance gives on the last, and a row a class of it."""
    console = Console()
    there = {split: result for split, result in results.items() if result is not None}
    last = list(there)[-1]
    measures = [key for key in MEASURES if not _missing(there[last], key)]
    table = Table(title="held out", title_justify="left")
    for column in ("split", "clips", *(TITLES[key] for key in measures)):
        table.add_column(column, justify="left" if column == "split" else "right")
    for split, result in there.items():
        title = "valid, which chose the weights" if split == "valid" else split
        table.add_row(title, str(result.clips), *(_text(getattr(result, key)) for key in measures))
    table.add_row("by chance", "", *_by_chance(there[last], measures))
    console.print(table)
    _print_classes(console, last, there[last])
    print_place(name, folder)


def _print_classes(console: Console, where: str, result: Result) -> None:
    classes = Table(title=f"classes, {where}", title_justify="left")
    for column in ("class", "clips", "average precision", "AUC", "recall"):
        classes.add_column(column, justify="left" if column == "class" else "right")
    for each in result.classes:
        classes.add_row(Text(each.name), str(each.clips), _text(each.ap), _text(each.auc), _text(each.recall))
    console.print(classes)


def print_place(name: str, folder: str) -> None:
    """Say where something lies."""
    Console().print(f"{name}: {folder}", markup=False, highlight=False, soft_wrap=True)


def _by_chance(result: Result, measures: Sequence[str]) -> list[str]:
    numbers = {"accuracy": result.chance_accuracy, "map": result.chance_map, "auc": 0.5}
    return [_text(numbers[key]) for key in measures]


def _missing(result: Result, key: str) -> bool:
    value: float = getattr(result, key)
    return value != value


def _text(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"


def _spread(values: list[float]) -> str:
    there = [value for value in values if value == value]
    if len(there) < 2:
        return _text(there[0]) if there else "–"
    return f"{statistics.mean(there):.3f} ± {statistics.stdev(there):.3f}"

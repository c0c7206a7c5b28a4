"""The benchmark as a table for people."""

from __future__ import annotations

from typing import TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from arwkv_cli.bench_numbers import limits, machine_line, number, spread, verdict
from arwkv_core.benchmark.bench import Report

STYLES = {"aim": "bold green", "bar": "green", "no": "bold red", None: ""}
PLAIN_WIDTH = 160
"""Columns where the output is no terminal."""


def print_table(report: Report, stream: TextIO) -> None:
    """Print what was measured, what is off, and what could not be measured.

    Parameters
    ----------
    report : Report
    stream : TextIO
        With colours if it is a terminal.
    """
    console = Console(file=stream, highlight=False)
    if not console.is_terminal:
        console = Console(file=stream, highlight=False, width=PLAIN_WIDTH)
    console.print(Text(machine_line(report.machine), style="dim"))
    if report.rows:
        console.print(_rows(report))
    for failure in report.failures:
        console.print(Text(f"OFF: {failure.what}: {failure.message}", style="bold red"))
    for absent in report.not_run:
        console.print(Text(f"not measured: {absent.what}: {absent.reason}", style="dim"))


def _rows(report: Report) -> Table:
    table = Table(box=None, pad_edge=False, header_style="dim")
    table.add_column("what", overflow="fold")
    for title in ("median", "runs", "bar", "aim"):
        table.add_column(title, justify="right", no_wrap=True)
    table.add_column("", no_wrap=True)
    part = ""
    for row in report.rows:
        if row.part != part:
            part = row.part
            table.add_row(Text(part, style="bold"))
        what = Text.assemble(f"  {row.what}", (f"  {row.note}" if row.note else "", "dim"))
        median = Text(f"{number(row.median)} {row.unit}", style=STYLES[row.reached])
        bar, aim = limits(row.target)
        table.add_row(what, median, spread(row), bar, aim, Text(verdict(row), style=STYLES[row.reached]))
    return table

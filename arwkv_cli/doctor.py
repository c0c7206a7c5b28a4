"""``arwkv doctor``: whether everything is as it should be, and what arwkv chooses on this machine."""

from __future__ import annotations

import json
import sys
from typing import TYPE_CHECKING

import typer

from arwkv_cli.exit_codes import ExitCode
from arwkv_cli.listing import FormatOption, ListingFormat

if TYPE_CHECKING:
    from arwkv_core.diagnosis.doctor import Diagnosis


MARKS = {True: ("ok", "green"), False: ("FAILED", "bold red"), None: ("", "")}


def doctor(
    format: FormatOption = ListingFormat.TABLE,
) -> None:
    """Check this installation, and tell what arwkv chooses on this machine.

    Versions, processor, kernels, devices and precision with the reasons for what is chosen; kernels, features
    and the bundled model are held against plain references, the weights of all models against their hashes.
    What is not as it should be comes with a way out, and the exit code is 1.
    """
    from arwkv_core.diagnosis.doctor import doctor as diagnose

    diagnosis = diagnose()
    if format is ListingFormat.JSON:
        typer.echo(json.dumps(diagnosis.to_dict(), indent=2, ensure_ascii=False))
    else:
        _print(diagnosis)
    if diagnosis.failed:
        raise typer.Exit(ExitCode.FAILED)


def _print(diagnosis: Diagnosis) -> None:
    from rich.console import Console
    from rich.table import Table
    from rich.text import Text

    console = Console(file=sys.stdout, highlight=False)
    if not console.is_terminal:
        console = Console(file=sys.stdout, highlight=False, width=MOST_COLUMNS)
    table = Table(box=None, show_header=False, pad_edge=False)
    table.add_column(style="bold", no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(no_wrap=True)
    table.add_column(overflow="fold")
    section = ""
    for check in diagnosis.checks:
        mark, style = MARKS[check.ok]
        title = "" if check.section == section else check.section
        section = check.section
        table.add_row(title, Text(check.name), Text(mark, style=style), Text(check.found))
        if check.ok is False:
            table.add_row("", "", "", Text(f"→ {check.way_out}", style="bold"))
    console.print(table)
    failed = len(diagnosis.failed)
    console.print(
        Text(f"failed: {failed}" if failed else "all is well", style="bold red" if failed else "green")
    )


MOST_COLUMNS = 10_000
"""Where the output is no terminal nothing is wrapped: programs read lines."""

"""Listings on stdout: a table for people, JSON for programs."""

from __future__ import annotations

import json
from enum import Enum
from typing import Annotated, Any

import typer

MOST_COLUMNS = 10_000
"""Where the output is no terminal nothing is wrapped: programs read lines."""


class ListingFormat(str, Enum):
    """How a listing is written."""

    TABLE = "table"
    JSON = "json"


FormatOption = Annotated[
    ListingFormat, typer.Option("--format", "-f", help="table for people, json for programs.")
]


def listing_group(name: str, help: str) -> typer.Typer:
    """Make a group of commands that list and change one kind of thing, as ``arwkv NAME list`` does."""
    return typer.Typer(
        name=name, help=help, no_args_is_help=True, rich_markup_mode=None, pretty_exceptions_enable=False
    )


def print_json(value: Any) -> None:
    """Print a value as JSON, as people can read it."""
    typer.echo(json.dumps(value, indent=2, ensure_ascii=False))


def print_rich(table: Any) -> None:
    """Print what rich can draw."""
    from rich.console import Console

    console = Console()
    if not console.is_terminal:
        console = Console(width=MOST_COLUMNS)
    console.print(table)


def print_rows(header: list[str], rows: list[list[str]], *, numbers: int = 0) -> None:
    """Print a table of plain cells.

    Parameters
    ----------
    header : list of str
    rows : list of list of str
        Shown as they are, square brackets and all.
    numbers : int
        How many columns, from the right, hold numbers.
    """
    from rich.table import Table
    from rich.text import Text

    table = Table(box=None, pad_edge=False)
    for place, name in enumerate(header):
        table.add_column(name, justify="right" if place >= len(header) - numbers else "left")
    for row in rows:
        table.add_row(*(Text(cell) for cell in row))
    print_rich(table)

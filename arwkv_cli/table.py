"""Tags as a table for people."""

from typing import Literal, TextIO

from rich.console import Console
from rich.table import Table
from rich.text import Text

from arwkv_cli.plain_text import printable, span
from arwkv_core.results import Tag, TagResult

WIDEST = 100
"""Columns of the table at most: longer bars say no more."""

TAG_WIDTH = 36
"""Columns for the names of the tags, the same in every table: bars of two recordings can be compared."""

NUMBERS_WIDTH = 26
"""Columns that mean, max, active time and the gaps between all columns take."""

NARROWEST_BAR = 8
"""A terminal with less room for the bar gets none."""

_EIGHTHS = " ▏▎▍▌▋▊▉"


class TableWriter:
    """Prints a table per recording.

    Parameters
    ----------
    stream : TextIO
        With colours if it is a terminal.
    """

    def __init__(self, stream: TextIO) -> None:
        self._console = Console(file=stream, highlight=False, soft_wrap=False)
        self._blocks = (getattr(stream, "encoding", None) or "utf-8").lower().startswith("utf")
        self._first = True

    def write(self, result: TagResult) -> None:
        """Print a recording's table."""
        if not self._first:
            self._console.print()
        self._first = False
        duration = result.coverage.decoded_seconds
        self._console.print(
            Text.assemble((printable(result.file), "bold"), "  ", (span(duration), "dim")), overflow="fold"
        )
        if result.tags:
            self._console.print(self._table(result, duration))
        else:
            self._console.print(Text("  no tag reaches the threshold", "dim"))

    def close(self) -> None:
        """Nothing ends a table but its last row."""

    def _table(self, result: TagResult, duration: float) -> Table:
        width = min(self._console.width, WIDEST)
        tag_width = max(min(TAG_WIDTH, width - NUMBERS_WIDTH), 8)
        bar_width = width - NUMBERS_WIDTH - tag_width
        table = Table(box=None, pad_edge=True, padding=(0, 1), header_style="dim")
        cut: Literal["crop", "ellipsis"] = "ellipsis" if self._blocks else "crop"
        table.add_column("tag", width=tag_width, no_wrap=True, overflow=cut)
        for name, wide in (("mean", 4), ("max", 4), ("active", 7)):
            table.add_column(name, width=wide, justify="right", no_wrap=True)
        if bar_width >= NARROWEST_BAR:
            table.add_column("", no_wrap=True)
        for tag in result.tags:
            cells: list[str | Text] = [
                Text(tag.name),
                f"{tag.mean:.2f}",
                f"{tag.max:.2f}",
                span(tag.active_seconds),
            ]
            if bar_width >= NARROWEST_BAR:
                cells.append(self._bar(tag, result.pool, duration, bar_width))
            table.add_row(*cells)
        return table

    def _bar(self, tag: Tag, pool: str, duration: float, width: int) -> Text:
        """Draw the mean as a solid bar and what the maximum adds as a shade; or the active share alone."""
        solid, shade = (tag.active_seconds / duration, 0.0) if pool == "active" else (tag.mean, tag.max)
        if not self._blocks:
            full, longest = round(solid * width), round(shade * width)
            return Text("#" * full + "-" * (longest - full))
        eighths = round(solid * width * 8)
        bar = "█" * (eighths // 8) + _EIGHTHS[eighths % 8].strip()
        return Text.assemble((bar, "green"), ("░" * (round(shade * width) - len(bar)), "green dim"))

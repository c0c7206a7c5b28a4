"""The benchmark as Markdown: what has a target first, then all else."""

from __future__ import annotations

from collections.abc import Iterable, Iterator

from arwkv_cli.bench_numbers import limits, machine_line, number, spread, verdict
from arwkv_core.benchmark.bench import Report
from arwkv_core.benchmark.outcome import Row
from arwkv_core.benchmark.settings import Settings


def markdown(report: Report) -> str:
    """The whole report, as a section of a page."""
    held = [row for row in report.rows if row.target]
    others = [row for row in report.rows if not row.target]
    lines = [f"Machine: {machine_line(report.machine)}.", "", f"Printed by `{command(report.settings)}`."]
    if held:
        lines += ["", "| what | bar | aim | measured | runs | |", "|---|---|---|---|---|---|"]
        lines += [
            _line(row.what, *limits(row.target), _median(row), spread(row), verdict(row)) for row in held
        ]
    if others:
        lines += ["", "| what | measured | runs | remarks |", "|---|---|---|---|"]
        lines += [_line(row.what, _median(row), spread(row), row.note) for row in others]
    lines += _listed("Fell short:", (f"{row.what}: {_median(row)}" for row in held if row.reached == "no"))
    lines += _listed(
        "Off, and therefore without a number:", (f"{f.what}: {f.message}" for f in report.failures)
    )
    lines += _listed("Not measured:", (f"{absent.what}: {absent.reason}" for absent in report.not_run))
    return "\n".join(lines) + "\n"


def command(settings: Settings) -> str:
    """The command line that measures with these settings."""
    default = Settings()
    words = ["arwkv bench"]
    for option in ("part", "tokens", "model", "precision", "repeats", "threads", "minutes"):
        value = getattr(settings, option)
        if value != getattr(default, option):
            values = value if isinstance(value, tuple) else (value,)
            words += [
                f"--{option} {one:g}" if isinstance(one, float) else f"--{option} {one}" for one in values
            ]
    return " ".join(words)


def _median(row: Row) -> str:
    return f"{number(row.median)} {row.unit}"


def _line(*cells: str) -> str:
    return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"


def _listed(title: str, entries: Iterable[str]) -> Iterator[str]:
    items = [f"- {entry}" for entry in entries]
    return iter(["", title, "", *items] if items else [])

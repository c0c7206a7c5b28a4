"""Numbers of the benchmark as text for people."""

from __future__ import annotations

from typing import Any

from arwkv_core.benchmark.outcome import Row
from arwkv_core.benchmark.targets import Target

REACHED = {"aim": "aim reached", "bar": "bar reached", "no": "missed"}


def number(value: float) -> str:
    """Three digits, or all before the point: ``1,234``, ``12.3``, ``0.0123``."""
    if value == 0:
        return "0"
    if abs(value) >= 100:
        return f"{value:,.0f}"
    return f"{value:.1f}" if abs(value) >= 10 else f"{value:.2f}" if abs(value) >= 1 else f"{value:.3g}"


def spread(row: Row) -> str:
    """The smallest and the largest of the runs."""
    return f"{number(min(row.runs))} – {number(max(row.runs))}" if len(row.runs) > 1 else ""


def limits(target: Target | None) -> tuple[str, str]:
    """Bar and aim of a target, with the sign that tells which side is good."""
    if target is None:
        return "", ""
    sign = "≥" if target.better == "higher" else "≤"
    return f"{sign} {number(target.bar)}", f"{sign} {number(target.aim)}"


def verdict(row: Row) -> str:
    """What the median reaches."""
    return REACHED[row.reached] if row.reached else ""


def machine_line(machine: dict[str, Any]) -> str:
    """The machine and its libraries in one line."""
    versions = ", ".join(f"{name} {version}" for name, version in machine["versions"].items())
    cores = f"{machine['cores']} core{'s' * (machine['cores'] != 1)}"
    threads = f"{machine['threads']} thread{'s' * (machine['threads'] != 1)}"
    return f"{machine['cpu']} ({', '.join(machine['flags'])}), {cores}, {threads}; {versions}"

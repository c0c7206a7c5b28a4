"""What a part of the benchmark says: a number, a result that was off, or something that could not be run here."""

from __future__ import annotations

import statistics
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from .targets import TARGETS, Target


@dataclass(frozen=True)
class Row:
    """One measurement.

    Attributes
    ----------
    key : str
        Its name for programs: ``part.what``.
    what : str
        Its name for people.
    unit : str
    runs : tuple of float
        The number that each run gave.
    target : Target or None
        What it should reach; None where there is no such thing, or where the settings are not those of the target.
    note : str
        What one should know when reading it.
    """

    key: str
    what: str
    unit: str
    runs: tuple[float, ...]
    target: Target | None = None
    note: str = ""

    @property
    def part(self) -> str:
        """The part that measured it."""
        return self.key.split(".")[0]

    @property
    def median(self) -> float:
        """Median of the runs."""
        return statistics.median(self.runs)

    @property
    def reached(self) -> str | None:
        """``aim``, ``bar`` or ``no``; None without a target."""
        return self.target.reached(self.median) if self.target else None

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "key": self.key,
            "part": self.part,
            "what": self.what,
            "unit": self.unit,
            "median": self.median,
            "min": min(self.runs),
            "max": max(self.runs),
            "runs": list(self.runs),
            "better": self.target.better if self.target else None,
            "bar": self.target.bar if self.target else None,
            "aim": self.target.aim if self.target else None,
            "reached": self.reached,
            "note": self.note,
        }


@dataclass(frozen=True)
class Failure:
    """Something whose output is off or that broke: no number of it is given."""

    key: str
    what: str
    message: str


@dataclass(frozen=True)
class NotRun:
    """Something that can't be measured here, and why: a package is missing, memory is short."""

    key: str
    what: str
    reason: str


Outcome = Row | Failure | NotRun


def row(
    key: str, what: str, unit: str, runs: Sequence[float], *, as_asked: bool = True, note: str = ""
) -> Row:
    """Make a row, with its target if there is one.

    Parameters
    ----------
    key, what, unit, runs, note
        See `Row`.
    as_asked : bool
        Whether the settings are those for which the target stands.
    """
    return Row(key, what, unit, tuple(runs), TARGETS.get(key) if as_asked else None, note)

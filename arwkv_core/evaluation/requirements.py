"""Numbers that a result must reach: for continuous integration, which sees exit codes only."""

from __future__ import annotations

import math
from collections.abc import Collection, Mapping, Sequence
from typing import Any

from arwkv_core.errors import UsageError


def read_requirements(texts: Sequence[str]) -> dict[str, float]:
    """Read requirements such as ``known_map=0.55``.

    Raises
    ------
    UsageError
        If one is not a name, ``=`` and a number.
    """
    required = {}
    for text in texts:
        name, _, number = text.partition("=")
        try:
            value = float(number)
        except ValueError:
            value = math.nan
        if not name.strip() or not math.isfinite(value):
            raise UsageError(f"--require: expected NAME=NUMBER, found {text!r}")
        required[name.strip()] = value
    return required


def check_names(required: Mapping[str, float], measures: Sequence[str]) -> None:
    """Refuse names that no result has, before any work is done.

    Raises
    ------
    UsageError
        With the names that there are.
    """
    for name in required:
        if name not in measures:
            raise UsageError(f"--require: expected one of {', '.join(measures)}, found {name!r}")


def unmet(
    result: Mapping[str, Any], required: Mapping[str, float], less_is_better: Collection[str] = ()
) -> list[str]:
    """Which requirements a result does not reach, in words; one that does not exist reaches none.

    Parameters
    ----------
    result : mapping
        As ``to_dict()`` gives it.
    required : mapping of str to float
        The least that each measure must be.
    less_is_better : collection of str
        Measures that count errors: what is required of them is the most that they may be.
    """
    failed = []
    for name, bound in required.items():
        value = result[name]
        missing = value is None or math.isnan(value)
        less = name in less_is_better
        if missing or (value > bound if less else value < bound):
            found = "nothing" if missing else f"{value:.6g}"
            failed.append(f"{name}: expected at {'most' if less else 'least'} {bound:g}, found {found}")
    return failed

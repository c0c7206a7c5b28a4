"""JSON files of which nothing is taken on trust."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any

from arwkv_core.labelled.problems import Problems

LONGEST_SHOWN = 60
"""Characters of a value that a message repeats."""


def read_object(path: Path, problems: Problems) -> dict[str, Any] | None:
    """Read a file that holds an object.

    Parameters
    ----------
    path : Path
    problems : Problems
        Takes what is wrong: no such file, no JSON, no object, one key twice in an object.

    Returns
    -------
    dict or None
        None where something is wrong.
    """
    text = problems.text_of(path)
    if text is None:
        return None
    before = len(problems.found)

    def once(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
        made: dict[str, Any] = {}
        for key, value in pairs:
            if key in made:
                problems.add(str(path), f"{key!r} once", "it twice")
            made[key] = value
        return made

    try:
        value = json.loads(text, object_pairs_hook=once)
    except json.JSONDecodeError as error:
        problems.add(f"{path}, line {error.lineno}", "JSON", f"what is none: {error.msg}")
        return None
    except RecursionError:
        problems.add(str(path), "JSON", "brackets that are nested too deeply")
        return None
    except ValueError as error:  # a number of thousands of digits
        problems.add(str(path), "JSON", f"what can't be read: {error}")
        return None
    if not isinstance(value, dict):
        problems.add(str(path), "an object in braces", shown(value))
        return None
    return value if len(problems.found) == before else None


def number(value: Any) -> float | None:
    """A number as a float; None where the value is none or not finite."""
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    try:
        found = float(value)
    except OverflowError:
        return None
    return found if math.isfinite(found) else None


def shown(value: Any) -> str:
    """A value as messages show it."""
    text = json.dumps(value, ensure_ascii=False)
    return text if len(text) <= LONGEST_SHOWN else f"{text[:LONGEST_SHOWN]}…"

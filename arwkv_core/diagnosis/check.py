"""One thing that was looked at, and what was found."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass

Section = Callable[[], Iterator["Check"]]
"""Looks at one subject; an exception in it becomes a failed check, see `checked`."""


@dataclass(frozen=True)
class Check:
    """One thing that was looked at.

    Attributes
    ----------
    section : str
    name : str
    found : str
    ok : bool or None
        None where nothing can be right or wrong: information.
    way_out : str
        What to do about it, where `ok` is False.
    """

    section: str
    name: str
    found: str
    ok: bool | None = None
    way_out: str = ""


def checked(title: str, section: Section, way_out: str) -> list[Check]:
    """Run a section to its end, whatever happens in it.

    Parameters
    ----------
    title : str
        Of the section.
    section : callable
    way_out : str
        What to do if it raises.

    Returns
    -------
    list of Check
        The last has failed if something was raised.
    """
    found: list[Check] = []
    try:
        for check in section():
            found.append(check)  # noqa: PERF402  # what came before an exception is kept
    except (
        Exception
    ) as error:  # broken installations raise whatever they like, and are what is looked for here
        said = (str(error).strip().splitlines() or [""])[0]
        found.append(Check(title, "runs", f"{type(error).__name__}: {said}", False, way_out))
    return found

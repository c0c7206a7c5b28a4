"""Groups of classes: a few broad kinds of sound, reported instead of hundreds of classes.

A group is on where any of its members is, each by its own thresholds; its score is the highest of its members'. Not
their sum: scores of kinds of one sound (Speech, Narration, Conversation) rise together, so that a sum would count one
voice several times and pass 1, and many members that are certainly absent would add up to something.
"""

from __future__ import annotations

import sys
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from .errors import LabelError, UsageError
from .event_settings import Thresholds
from .labels import LabelSet, unknown_class
from .ontology import Ontology

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

BASIC = "basic"
"""Name of the groups that come with arwkv."""

BASIC_FILE = Path(__file__).parent / "data" / "groups.toml"

MID_PREFIX = "group:"
"""What the id of a group begins with; its name follows."""

Floats = NDArray[np.float32]
Flags = NDArray[np.bool_]


@dataclass(frozen=True)
class Groups:
    """Named groups of classes.

    Parameters
    ----------
    members : mapping of str to tuple of str
        For each group's name, its classes by display name or mid. Each stands for itself and for all classes
        below it in AudioSet's ontology.
    excluded : mapping of str to tuple of str
        Classes that, with all below them, do not belong to a group all the same.
    source : str
        What to call them in messages and settings: ``basic`` or a file.
    """

    members: Mapping[str, tuple[str, ...]]
    excluded: Mapping[str, tuple[str, ...]]
    source: str

    def __hash__(self) -> int:
        return hash((self.source, frozenset(self.members.items())))

    def __str__(self) -> str:
        return self.source

    @classmethod
    def read(cls, name: str | Path) -> Groups:
        """Read groups from TOML.

        ::

            [groups]
            speech = ["Speech"]
            engines = ["Engine", "Motor vehicle (road)"]

            [exclude]  # may be left out
            engines = ["Siren", "/m/0912c9"]

        Parameters
        ----------
        name : str or Path
            ``"basic"``, the groups that come with arwkv, or a file.

        Raises
        ------
        UsageError
            Naming the file and what is wrong in it. Whether its classes exist is told by `columns`.
        """
        path = BASIC_FILE if name == BASIC else Path(name)
        where = f"--groups {name}"
        try:
            document = tomllib.loads(path.read_bytes().decode("utf-8-sig"))
        except OSError as error:
            hint = "" if path.suffix else f" (arwkv brings {BASIC!r} only)"
            raise UsageError(f"{where}: can't be read: {error.strerror}{hint}") from error
        except (ValueError, RecursionError) as error:  # no UTF-8, no TOML
            raise UsageError(f"{where}: not TOML: {error}") from error
        for key in document:
            if key not in ("groups", "exclude"):
                raise UsageError(f"{where}: {key}: unknown table, expected groups, exclude")
        members, excluded = (_lists(document.get(key, {}), key, where) for key in ("groups", "exclude"))
        if not members:
            raise UsageError(f"{where}: groups: expected at least one group, found none")
        for group in excluded:
            if group not in members:
                raise UsageError(f"{where}: exclude.{group}: there is no group {group!r}")
        return cls(members, excluded, str(name))

    def columns(self, labels: LabelSet) -> dict[str, list[int]]:
        """Which classes of a model make up each group.

        Returns
        -------
        dict of str to list of int
            Indices into ``labels``, ascending, in the order of the groups. A group of which the model knows no class
            is left out.

        Raises
        ------
        UsageError
            If a class is known neither to the model nor to AudioSet, or if no group is left.
        """
        found = {}
        for group, classes in self.members.items():
            inside = self._reach(classes, group, "groups", labels)
            inside -= self._reach(self.excluded.get(group, ()), group, "exclude", labels)
            if columns := sorted(labels.index(mid) for mid in inside if mid in labels):
                found[group] = columns
        if not found:
            raise UsageError(f"--groups {self}: the model has none of their classes")
        return found

    def _reach(self, classes: Sequence[str], group: str, table: str, labels: LabelSet) -> set[str]:
        """Mids of some classes and of all below them."""
        ontology = Ontology.audioset()
        mids: set[str] = set()
        for query in classes:
            try:
                mid = _find(query, labels, ontology)
            except LabelError as error:
                raise UsageError(f"--groups {self}: {table}.{group}: {error}") from error
            mids.add(mid)
            if mid in ontology:
                mids.update(ontology.descendants(mid))
        return mids


class GroupScores:
    """Turns the scores of classes into those of groups.

    Parameters
    ----------
    columns : sequence of list of int
        For each group, its classes.
    thresholds : Thresholds
        Of all classes, by index.
    """

    def __init__(self, columns: Sequence[Sequence[int]], thresholds: Thresholds) -> None:
        self._order = np.concatenate([np.asarray(column, np.int64) for column in columns])
        sizes = [len(column) for column in columns]
        self._begins = np.cumsum([0, *sizes[:-1]])
        self._on, self._off = thresholds.on[self._order], thresholds.off[self._order]

    def of(self, scores: Floats) -> tuple[Floats, Flags, Flags]:
        """Return what `EventDetector.add` takes: ``(steps, classes)`` -> scores, high, low: ``(steps, groups)``."""
        ordered = scores[:, self._order]
        highest: Floats = np.maximum.reduceat(ordered, self._begins, axis=1)
        high, low = (
            np.logical_or.reduceat(ordered >= limit, self._begins, axis=1) for limit in (self._on, self._off)
        )
        return highest, high, low


def _find(query: str, labels: LabelSet, ontology: Ontology) -> str:
    """Mid of a class of the model, or else of AudioSet."""
    wanted = query.strip().casefold()
    for mid, name in labels:
        if wanted in (mid.casefold(), name.casefold()):
            return labels.mids[labels.find(query)]  # refuses a name that two classes bear
    try:
        return ontology.find(query)
    except LabelError:
        names = {**dict(labels), **ontology.names}.values()
        raise unknown_class(query, f"{labels.source} and AudioSet's ontology", names) from None


def _lists(table: Any, key: str, where: str) -> dict[str, tuple[str, ...]]:
    if not isinstance(table, dict):
        raise UsageError(f"{where}: {key}: expected a table, found {table!r}")
    for name, classes in table.items():
        if not name.strip() or not name.isprintable():
            raise UsageError(f"{where}: {key}: expected a name, found {name!r}")
        if not isinstance(classes, list) or not all(isinstance(query, str) for query in classes):
            raise UsageError(f"{where}: {key}.{name}: expected a list of classes, found {classes!r}")
        if not classes:
            raise UsageError(f"{where}: {key}.{name}: expected at least one class, found none")
    if len({name.strip().casefold() for name in table}) < len(table):
        raise UsageError(
            f"{where}: {key}: expected names that differ in more than case, found {', '.join(map(repr, table))}"
        )
    return {name: tuple(classes) for name, classes in table.items()}

"""AudioSet's ontology: which class is a kind of which other."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from .errors import LabelError
from .labels import unknown_class

AUDIOSET_ONTOLOGY = Path(__file__).parent / "data" / "audioset_ontology.json"


@dataclass(frozen=True)
class Ontology:
    """A directed acyclic graph of classes, keyed by mid.

    A class may have several parents: *Growling* is a sound of dogs, cats and wild animals. Not every node is
    a class of a model: AudioSet labels 527 of its 632 nodes.

    Parameters
    ----------
    names : mapping of str to str
        Display name of each mid.
    child_mids : mapping of str to tuple of str
        Mids of the children of each mid.

    Raises
    ------
    LabelError
        If a child is not a node, or if a class is its own ancestor.

    Examples
    --------
    >>> ontology = Ontology.audioset()
    >>> [ontology.name(mid) for mid in ontology.ancestors(ontology.find("Bark"))]
    ['Dog', 'Domestic animals, pets', 'Animal']
    """

    names: Mapping[str, str]
    child_mids: Mapping[str, tuple[str, ...]]

    def __post_init__(self) -> None:
        for parent, children in self.child_mids.items():
            for mid in (parent, *children):
                if mid not in self.names:
                    raise LabelError(f"the ontology: {mid!r}, of {parent!r}, is not a node")
        for mid in self.names:
            if mid in self.descendants(mid):
                raise LabelError(f"the ontology: {mid!r} is its own ancestor")

    @classmethod
    def audioset(cls) -> Ontology:
        """AudioSet's 632 nodes."""
        return _audioset()

    def __len__(self) -> int:
        return len(self.names)

    def __contains__(self, mid: object) -> bool:
        return mid in self.names

    def name(self, mid: str) -> str:
        """Display name of a node.

        Raises
        ------
        LabelError
            If the mid is not a node.
        """
        self._require(mid)
        return self.names[mid]

    def find(self, query: str) -> str:
        """Mid of a node given by its mid or its display name, in any case.

        Raises
        ------
        LabelError
            If there is no such node, with similar names.
        """
        try:
            return self._mid_of[query.strip().casefold()]
        except KeyError:
            where = f"the {len(self)} nodes of the ontology"
            raise unknown_class(query, where, self.names.values()) from None

    @cached_property
    def roots(self) -> tuple[str, ...]:
        """Nodes without a parent, such as *Music* and *Animal*."""
        return tuple(mid for mid in self.names if mid not in self._parents)

    def children(self, mid: str) -> tuple[str, ...]:
        """Mids one step down, in the ontology's order; raises `LabelError` if the mid is not a node."""
        self._require(mid)
        return self.child_mids.get(mid, ())

    def parents(self, mid: str) -> tuple[str, ...]:
        """Mids one step up, in the ontology's order; raises `LabelError` if the mid is not a node."""
        self._require(mid)
        return self._parents.get(mid, ())

    def ancestors(self, mid: str) -> tuple[str, ...]:
        """Mids above, nearest first, each once; raises `LabelError` if the mid is not a node."""
        return self._reach(mid, self.parents)

    def descendants(self, mid: str) -> tuple[str, ...]:
        """Mids below, nearest first, each once; raises `LabelError` if the mid is not a node."""
        return self._reach(mid, self.children)

    @cached_property
    def _mid_of(self) -> dict[str, str]:
        by_name = {name.casefold(): mid for mid, name in self.names.items()}
        return by_name | {mid.casefold(): mid for mid in self.names}

    @cached_property
    def _parents(self) -> dict[str, tuple[str, ...]]:
        parents: dict[str, list[str]] = {}
        for parent, children in self.child_mids.items():
            for child in children:
                parents.setdefault(child, []).append(parent)
        return {child: tuple(mids) for child, mids in parents.items()}

    def _require(self, mid: str) -> None:
        if mid not in self.names:
            raise LabelError(f"no mid {mid!r} among the {len(self)} nodes of the ontology")

    @staticmethod
    def _reach(mid: str, neighbours: Callable[[str], Iterable[str]]) -> tuple[str, ...]:
        found = dict.fromkeys(neighbours(mid))
        queue = list(found)
        for near in queue:  # grows while it is walked: breadth first
            for far in neighbours(near):
                if far not in found:
                    found[far] = None
                    queue.append(far)
        return tuple(found)


@lru_cache(maxsize=1)
def _audioset() -> Ontology:
    nodes = json.loads(AUDIOSET_ONTOLOGY.read_text(encoding="utf-8"))["nodes"]
    return Ontology(
        names={mid: name for mid, name, _ in nodes},
        child_mids={mid: tuple(children) for mid, _, children in nodes if children},
    )

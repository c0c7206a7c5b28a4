"""From labels as people write them to classes with an id."""

from __future__ import annotations

import re
from collections.abc import Iterable

from arwkv_core.errors import LabelError
from arwkv_core.labels import LabelSet

from .problems import Problems

OWN_PREFIX = "own:"
"""Begins the ids of classes that AudioSet has not."""


def own_mid(label: str) -> str:
    """Id of an own class: the prefix, and its letters and digits in small letters, with dashes between words.

    >>> own_mid("Garden gate, squeaking")
    'own:garden-gate-squeaking'
    """
    return OWN_PREFIX + "-".join(re.findall(r"[^\W_]+", label.casefold()))


def mid_of(label: str, audioset: LabelSet) -> str:
    """AudioSet's id where the label is a class of AudioSet, by name in any case or by id; else an own one."""
    try:
        return audioset.mids[audioset.find(label)]
    except LabelError:
        return own_mid(label)


def classes_of(labels: Iterable[str], source: str, problems: Problems) -> dict[str, str]:
    """Find the id of each label.

    Parameters
    ----------
    labels : iterable of str
    source : str
        Where they come from, for messages.
    problems : Problems
        Takes labels from which no id can be made, and those of which several have the same.

    Returns
    -------
    dict of str to str
        Label to id, in the order of the alphabet.
    """
    audioset = LabelSet.audioset()
    mids = {label: mid_of(label, audioset) for label in sorted(set(labels))}
    taken: dict[str, str] = {}
    for label, mid in mids.items():
        if mid == OWN_PREFIX:
            problems.add(source, "labels with a letter or digit in them", repr(label))
        elif mid in taken:
            problems.add(source, "one spelling of a label", f"{taken[mid]!r} and {label!r}, both {mid}")
        taken.setdefault(mid, label)
    return mids

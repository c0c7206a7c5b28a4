"""Parts of a cross-validation, or a validation split: whole recordings, with every class in as many parts as can be."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence

import numpy as np


def assign_folds(labels: Mapping[str, Sequence[str]], folds: int, seed: int = 0) -> dict[str, int]:
    """Put groups into folds of like size and like shares of the labels.

    The groups with the rarest labels are placed first, each where its rarest label is least.

    Parameters
    ----------
    labels : mapping of str to sequence of str
        Group to the labels of its segments, with repetitions; one without labels counts as a class of its own.
    folds : int
        At most so many; no fold stays empty.
    seed : int
        Of the order among groups that are alike.

    Returns
    -------
    dict of str to int
        Group to fold, from 0.
    """
    folds = max(1, min(folds, len(labels)))
    counts = {group: Counter(each) or Counter({"": 1}) for group, each in labels.items()}
    groups_of = Counter(label for each in counts.values() for label in each)
    rarest = {group: min(each, key=lambda label: (groups_of[label], label)) for group, each in counts.items()}
    order = [sorted(labels)[place] for place in np.random.default_rng(seed).permutation(len(labels))]
    order.sort(key=lambda group: (groups_of[rarest[group]], rarest[group], -counts[group][rarest[group]]))
    held = [Counter[str]() for _ in range(folds)]
    sizes = [0] * folds
    assigned: dict[str, int] = {}
    for group in order:
        label = rarest[group]
        # an empty fold last of all: there are groups enough, but perhaps no more of them than folds
        fold = min(range(folds), key=lambda each: (held[each][label], sizes[each], each))
        empty = [each for each in range(folds) if not sizes[each]]
        if len(empty) >= len(order) - len(assigned):
            fold = empty[0]
        held[fold].update(counts[group])
        sizes[fold] += counts[group].total()
        assigned[group] = fold
    return assigned

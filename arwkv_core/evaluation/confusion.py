"""What clips of one label each are taken for."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from arwkv_core.training.corpus import Corpus


@dataclass(frozen=True)
class Confusion:
    """Counts of clips by what they hold and what scores highest.

    A class may stand for several AudioSet classes (Dog and Bark); its score is the highest of theirs.

    Attributes
    ----------
    names : tuple of str
        Of the classes, their labels joined with a stroke.
    counts : tuple of tuple of int
        A row for each true class, a column for each that is heard, in the order of ``names``.
    """

    names: tuple[str, ...]
    counts: tuple[tuple[int, ...], ...]

    @property
    def accuracy(self) -> float:
        """Share of the clips on the diagonal."""
        matrix = np.array(self.counts)
        return float(np.trace(matrix) / matrix.sum())


def confusion_of(
    scores: NDArray[np.floating], corpus: Corpus, indices: list[int], preferred: str
) -> Confusion | None:
    """Count what single-label clips are taken for.

    Parameters
    ----------
    scores : ndarray, shape (clips, classes)
    corpus : Corpus
    indices : list of int
        Clips of the corpus, in the order of ``scores``.
    preferred : str
        Source whose clips are such a set; where there are none of it, all labelled clips are looked at.

    Returns
    -------
    Confusion or None
        None where the clips are no such set: fewer than two labels, or one that belongs to two sets of labels.
    """
    known = [(row, corpus.clips[i]) for row, i in enumerate(indices) if corpus.clips[i].known]
    chosen = [pair for pair in known if pair[1].source == preferred] or known
    groups = sorted({clip.known for _, clip in chosen})
    labels = [label for group in groups for label in group]
    if len(groups) < 2 or len(set(labels)) < len(labels):
        return None
    rows = [row for row, _ in chosen]
    heard = np.stack([scores[np.ix_(rows, list(group))].max(1) for group in groups], 1).argmax(1)
    counts = np.zeros((len(groups), len(groups)), int)
    np.add.at(counts, ([groups.index(clip.known) for _, clip in chosen], heard), 1)
    names = tuple(" / ".join(corpus.labels.names[k] for k in group) for group in groups)
    return Confusion(names, tuple(map(tuple, counts.tolist())))

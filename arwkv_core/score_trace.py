"""Scores of a few classes, where they may matter, in a byte a step: for what must be known of an event afterwards."""

from __future__ import annotations

from bisect import bisect_right
from collections.abc import Iterable

import numpy as np
from numpy.typing import NDArray

from .score_codec import Codes, decode, encode

Floats = NDArray[np.float32]


class ScoreTrace:
    """Keeps stretches of scores: 22.5 KB for an hour of one class.

    Parameters
    ----------
    classes : iterable of int
        Whose scores to keep.
    levels : ndarray, optional
        ``(codes, classes)``, ascending: the scores that there can be, a column for every class. By default those of
        `score_codec`.
    """

    def __init__(self, classes: Iterable[int], levels: Floats | None = None) -> None:
        self._stretches: dict[int, list[tuple[int, Codes]]] = {column: [] for column in classes}
        self._levels = {} if levels is None else {column: levels[:, column] for column in self._stretches}

    def add(self, classes: NDArray[np.int64], first: int, scores: Floats) -> None:
        """Take the scores ``(classes, steps)`` of some classes from the step ``first`` on, if they are to be kept."""
        for row, column in enumerate(classes.tolist()):
            if (stretches := self._stretches.get(column)) is not None:
                stretches.append((first, self._encode(column, scores[row])))

    def scores(self, column: int, first: int, last: int) -> Floats:
        """Return the scores of one class from the step ``first`` to before ``last``.

        Raises
        ------
        ValueError
            If they were not all kept.
        """
        stretches = self._stretches[column]
        pieces, at = [], first
        place = max(bisect_right(stretches, first, key=_begin) - 1, 0)
        for begin, codes in stretches[place:]:
            if at >= last or not begin <= at < begin + len(codes):
                break
            pieces.append(codes[at - begin : last - begin])
            at += len(pieces[-1])
        if at != last:
            raise ValueError(f"no scores of class {column} were kept at step {at}")
        codes = np.concatenate(pieces)
        return self._levels[column][codes] if self._levels else decode(codes)

    def _encode(self, column: int, scores: Floats) -> Codes:
        if not self._levels:
            return encode(scores)
        return np.searchsorted(self._levels[column], scores).astype(np.uint8)  # the first of equal levels


def _begin(stretch: tuple[int, Codes]) -> int:
    return stretch[0]

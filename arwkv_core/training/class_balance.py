"""How often each class is among the targets, and what its positive targets count."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from .corpus import Corpus

LARGEST_WEIGHT = 10.0
"""A class of one clip among thousands would otherwise shake the weights whenever it comes up."""


def target_frequency(corpus: Corpus) -> NDArray[np.float64]:
    """Mean of the step targets over the training clips, ``(classes,)``: the teacher's, or 1 where known."""
    clips = corpus.split("train")
    sums = np.zeros(len(corpus.labels))
    for clip in clips:
        mean = corpus.teacher_frames(clip).mean(0)
        mean[list(corpus.clips[clip].known)] = 1
        sums += mean
    return sums / len(clips)


def class_weights(corpus: Corpus) -> NDArray[np.float64]:
    """The mean number of clips of a known class over that of each, between 1/10 and 10.

    Returns
    -------
    ndarray, shape (classes,)
        1 for classes that no clip is known to have.
    """
    counts = corpus.known_matrix(corpus.split("train")).sum(0).astype(np.float64)
    known = counts > 0
    weights = np.ones(len(counts))
    if known.any():
        weights[known] = np.clip(counts[known].mean() / counts[known], 1 / LARGEST_WEIGHT, LARGEST_WEIGHT)
    return weights

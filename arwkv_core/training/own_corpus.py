"""Labelled sounds of the user's own as a corpus: what `arwkv finetune` trains on."""

from __future__ import annotations

import itertools
import math
from collections.abc import Sequence

import numpy as np

from arwkv_core.labelled.dataset import Dataset
from arwkv_core.labelled.segment import Segment, Stretch, by_file, stretches
from arwkv_core.labels import LabelSet

from .corpus import Clip, Corpus


def corpus_of(dataset: Dataset, labels: LabelSet, longest_seconds: float, *, in_silence: bool) -> Corpus:
    """Make a corpus: a clip is a part of a recording throughout which the same is heard.

    Parameters
    ----------
    dataset : Dataset
        Every segment with its split.
    labels : LabelSet
        Among them the dataset's, by their ids.
    longest_seconds : float
        Of a clip: longer ones become several of one length.
    in_silence : bool
        A clip's labels hold where it is silent too. Where one of the classes must be taken, silence would otherwise
        be taken for any, and outvote what sounds in a clip.

    Returns
    -------
    Corpus
        What is not known to be heard is not.
    """
    places = {name: labels.index(mid) for mid, name in dataset.labels}
    clips = []
    for file, segments in by_file(dataset.segments).items():
        for part in _parts(segments, dataset, longest_seconds):
            known = tuple(places[label] for label in part.labels)
            clips.append(Clip(file, segments[0].split, known, "own", str(file), part.start, part.end))
    teacher = np.zeros((len(clips), len(labels)), np.uint8)
    if in_silence:
        for row, clip in enumerate(clips):
            teacher[row, list(clip.known)] = 255
    return Corpus(clips, labels, teacher, np.arange(len(clips) + 1))


def _parts(segments: Sequence[Segment], dataset: Dataset, longest: float) -> list[Stretch]:
    seconds = dataset.seconds[segments[0].file]
    parts = []
    for stretch in stretches(segments, seconds, background=dataset.background):
        pieces = math.ceil((stretch.end - stretch.start) / longest)
        borders = np.linspace(stretch.start, stretch.end, pieces + 1)
        parts += [
            Stretch(float(start), float(end), stretch.labels) for start, end in itertools.pairwise(borders)
        ]
    if len(parts) == 1 and segments[0].whole:  # to its end, wherever the decoder finds that
        return [Stretch(0.0, math.inf, parts[0].labels)]
    return parts

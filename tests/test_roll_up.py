"""A sound is reported once: as the most exact class that explains it."""

import itertools

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.detections import Detections
from arwkv_core.event_defaults import ClassDefaults
from arwkv_core.event_settings import Thresholds
from arwkv_core.events import EventDetector
from arwkv_core.labels import LabelSet
from arwkv_core.ontology import Ontology
from arwkv_core.roll_up import classes_below, roll_up, subtract, union
from arwkv_core.score_codec import rounded
from arwkv_core.score_trace import ScoreTrace
from arwkv_core.scores import step_edges

# Growling is a sound of dogs, cats and wild animals
ANIMALS = [
    "Animal",
    "Domestic animals, pets",
    "Dog",
    "Bark",
    "Growling",
    "Cat",
    "Roaring cats (lions, tigers)",
]
SPEECH = ["Speech", "Conversation", "Music"]


def mids(names: list[str]) -> list[str]:
    return [Ontology.audioset().find(name) for name in names]


def find_both(
    scores: np.ndarray, names: list[str], seconds: float, *, median=1, least=0.0, merge=0
) -> tuple[Detections, Detections]:
    """Events before and after what is explained was taken away; ``merge`` and ``median`` are in steps."""
    below = classes_below(mids(names), Ontology.audioset())
    own = ClassDefaults(0.5, 0.5, median * STEP_SECONDS, least, merge * STEP_SECONDS)
    thresholds = Thresholds.of([own] * len(names))
    trace = ScoreTrace(below)
    detector = EventDetector(thresholds, trace)
    detector.add(rounded(scores))
    found = detector.finish(seconds)
    return found, roll_up(found, below, thresholds, trace)


def covered(found: Detections, column: int) -> np.ndarray:
    steps = np.zeros(found.steps, bool)
    for first, last in zip(
        found.first[found.column == column], found.last[found.column == column], strict=True
    ):
        assert not steps[first:last].any()
        steps[first:last] = True
    return steps


def on(steps: int, *spans: tuple[int, int], level=0.9) -> np.ndarray:
    scores = np.zeros(steps, np.float32)
    for first, last in spans:
        scores[first:last] = level
    return scores


def test_which_classes_lie_below_which() -> None:
    below = classes_below([*mids(["Bark", "Animal", "Music", "Dog"]), "own:gate"], Ontology.audioset())
    assert below == {1: [0, 3], 3: [0]}  # also across classes that are not there


def test_a_parent_is_reported_only_where_no_child_explains_it() -> None:
    scores = np.stack([on(100, (10, 90)), on(100, (30, 50))], axis=1)
    scores[60, 0] = 0.99
    _, left = find_both(scores, ["Speech", "Conversation"], 16.0)
    assert left.column.tolist() == [0, 0, 1]
    assert list(zip(left.first, left.last, strict=True)) == [(10, 30), (50, 90), (30, 50)]
    assert left.max[0] == rounded(np.float32(0.9))  # of what is left, not of what was
    assert left.max[1] == rounded(np.float32(0.99))
    assert left.mean[1] > left.mean[0]


def test_a_parent_that_is_explained_altogether_is_gone() -> None:
    scores = np.stack([on(100, (10, 90)), on(100, (5, 95))], axis=1)
    _, left = find_both(scores, ["Speech", "Conversation"], 16.0)
    assert left.column.tolist() == [1]


@pytest.mark.parametrize(
    ("least", "merge", "expected"), [(0.0, 0, 3), (0.64, 0, 2), (0.0, 4, 2), (0.8, 4, 2), (0.9, 4, 0)]
)
def test_slivers_are_dropped(least: float, merge: int, expected: int) -> None:
    scores = np.stack([on(100, (10, 60)), on(100, (13, 30), (35, 55))], axis=1)
    _, left = find_both(scores, ["Speech", "Conversation"], 16.0, least=least, merge=merge)
    assert (left.column == 0).sum() == expected


def test_a_class_with_several_parents_explains_them_all() -> None:
    scores = np.stack([on(50, (0, 50))] * len(ANIMALS), axis=1)
    scores[:, 3] = 0  # no bark
    _, left = find_both(scores, ANIMALS, 8.0)
    assert [ANIMALS[column] for column in left.column] == ["Growling"]


def test_cousins_and_own_classes_are_left_alone() -> None:
    below = classes_below(["own:a", "own:b"], Ontology.audioset())
    assert below == {}
    scores = np.stack([on(50, (0, 50))] * 2, axis=1)
    _, left = find_both(scores, ["Speech", "Music"], 8.0)
    assert left.column.tolist() == [0, 1]


@given(
    st.integers(0, 2**32),
    st.integers(1, 400),
    st.sampled_from([1, 3]),
    st.sampled_from([0.0, 0.16, 0.32, 0.5, 2.0]),
    st.sampled_from([0, 1, 4]),
    st.floats(0.025, 0.185),
)
def test_nothing_twice_and_nothing_lost(seed, steps, median, least, merge, rest) -> None:
    names = ANIMALS + SPEECH
    rng = np.random.default_rng(seed)
    scores = np.repeat(rng.random((steps, len(names))), 8, axis=0)[:steps].astype(np.float32)
    seconds = (steps - 1) * STEP_SECONDS + rest
    before, after = find_both(scores, names, seconds, median=median, least=least, merge=merge)
    ontology = Ontology.audioset()
    edges = step_edges(steps, seconds)
    all_before, all_after = ([covered(found, c) for c in range(len(names))] for found in (before, after))
    for column, below in classes_below(mids(names), ontology).items():
        for child in below:
            assert not (all_after[column] & all_after[child]).any()
    for column, name in enumerate(names):
        family = [column] + [
            i for i, m in enumerate(mids(names)) if ontology.find(name) in ontology.ancestors(m)
        ]
        lost = all_before[column] & ~np.any([all_after[i] for i in family], axis=0)
        for first, last in union((i, i + 1) for i in np.flatnonzero(lost).tolist()):
            # a sliver of this class, or several of classes below that touch
            assert edges[last] - edges[first] < (max(least, (merge + 1) * STEP_SECONDS)) * len(family)
    for i in range(len(after)):
        column, first, last = int(after.column[i]), int(after.first[i]), int(after.last[i])
        here, lengths = rounded(scores[first:last, column]).astype(float), np.diff(edges[first : last + 1])
        assert after.max[i] == here.max()
        assert after.mean[i] == pytest.approx((here * lengths).sum() / lengths.sum(), abs=1e-8)


spans = st.lists(st.tuples(st.integers(0, 60), st.integers(1, 9)).map(lambda s: (s[0], s[0] + s[1])))


@given(st.tuples(st.integers(0, 60), st.integers(1, 30)).map(lambda s: (s[0], s[0] + s[1])), spans)
def test_union_and_subtraction_of_spans(span, others) -> None:
    joined = union(others)
    inside = {i for first, last in others for i in range(first, last)}
    assert {i for first, last in joined for i in range(first, last)} == inside
    assert all(a[1] < b[0] for a, b in itertools.pairwise(joined))
    rest = subtract(span, joined)
    assert sorted(i for first, last in rest for i in range(first, last)) == sorted(set(range(*span)) - inside)
    assert all(first < last for first, last in rest)


def test_labels_of_audioset_take_no_time() -> None:
    below = classes_below(LabelSet.audioset().mids, Ontology.audioset())
    assert len(below) > 60
    assert all(parent not in children for parent, children in below.items())

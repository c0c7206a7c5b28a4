"""Segments of recordings, and F1 of segments and of events, against cases worked out by hand."""

import dataclasses
import random as random_module

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.evaluation.annotations import joined
from arwkv_core.evaluation.detection import measure
from arwkv_core.evaluation.f_scores import event_f1
from arwkv_core.evaluation.heard import Heard
from arwkv_core.evaluation.segments import (
    segment_average_precision,
    segment_count,
    segment_scores,
    segment_truth,
)
from arwkv_core.labels import LabelSet

LABELS = LabelSet(["own:dog", "own:rain"], ["Dog", "Rain, heavy"])

Spans = list[tuple[float, float, int]]


def heard(truth: Spans, found: Spans, seconds: float = 10.0) -> Heard:
    """A recording whose scores are 0.9 where something is found, and 0.1 elsewhere."""
    edges = np.append(np.arange(0, seconds - 0.05, 0.1), seconds)
    scores = np.full((len(edges) - 1, 2), 0.1, np.float32)
    for start, end, column in found:
        scores[(edges[1:] > start + 1e-6) & (edges[:-1] < end - 1e-6), column] = 0.9
    return Heard(seconds, truth, found, scores, edges)


def test_a_class_sounds_in_every_segment_that_it_touches() -> None:
    truth = segment_truth([(0.0, 1.0, 0), (2.9, 3.1, 1), (4.999, 5.0, 0)], 2, 5.2)
    assert truth.shape == (6, 2)
    assert np.flatnonzero(truth[:, 0]).tolist() == [0, 4]
    assert np.flatnonzero(truth[:, 1]).tolist() == [2, 3]
    assert [segment_count(seconds) for seconds in (0.1, 1.0, 1.0 + 1e-9, 1.1)] == [1, 1, 1, 2]
    assert segment_truth([(0.2, 0.3, 0)], 1, 1.0, 0.1)[:, 0].tolist() == [False, False, True] + [False] * 7


def test_a_segment_has_the_highest_score_that_touches_it() -> None:
    edges = np.array([0, 0.4, 0.8, 1.2, 1.6, 2.0, 2.3])
    values = np.array([[0.1], [0.2], [0.9], [0.3], [0.4], [0.05]])
    assert segment_scores(values, edges)[:, 0].tolist() == [0.9, 0.9, 0.05]
    assert segment_scores(values, edges, 0.4)[:, 0].tolist() == [0.1, 0.2, 0.9, 0.3, 0.4, 0.05]
    assert segment_scores(values, edges, 10.0)[:, 0].tolist() == [0.9]


@given(st.floats(0.025, 40), st.floats(0.05, 7), st.integers(0, 2**31))
def test_every_step_counts_and_no_segment_is_empty(seconds: float, length: float, seed: int) -> None:
    edges = np.arange(max(1, int(seconds / 0.16)) + 1) * 0.16
    edges[-1] = max(seconds, edges[-2] + 0.025)
    values = np.random.default_rng(seed).random((len(edges) - 1, 1))
    scores = segment_scores(values, edges, length)
    assert len(scores) == segment_count(float(edges[-1]), length)
    assert scores.max() == values.max()
    for number, score in enumerate(scores[:, 0]):
        touched = (edges[1:] > number * length + 1e-6) & (edges[:-1] < (number + 1) * length - 1e-6)
        assert score == values[touched, 0].max()


def test_average_precision_is_taken_over_all_recordings() -> None:
    truth = [np.array([[True], [False]]), np.array([[False], [True]])]
    scores = [np.array([[0.9], [0.8]]), np.array([[0.1], [0.2]])]
    (precision,) = segment_average_precision(truth, scores)
    assert precision == pytest.approx((1 + 2 / 3) / 2)


def test_events_of_one_class_are_joined_where_they_meet() -> None:
    assert joined([(3, 4, 0), (0, 1, 0), (1, 2, 0), (0.5, 3.5, 1), (3.5, 3.7, 0)]) == [
        (0, 2, 0),
        (0.5, 3.5, 1),
        (3, 4, 0),
    ]


def test_f1_by_hand() -> None:
    """Dog from 2 to 4 s and from 6 to 7 s, rain from 0 to 3 s.

    Segments: the dog's are 2, 3 and 6, found in 2, 3 and 4; the rain's are 0, 1 and 2, never found. 2 hits, 1 false,
    4 missed. Events: the first bark begins 0.1 s late and ends 0.3 s late, which is within a fifth of its 2 s.
    """
    recording = heard([(0, 3, 1), (2, 4, 0), (6, 7, 0)], [(2.1, 4.3, 0)])
    result = measure([recording], LABELS, "made")
    assert result.segment_f1_micro == pytest.approx(2 * 2 / (2 * 2 + 1 + 4))
    assert result.segment_f1_macro == pytest.approx((2 * 2 / (2 * 2 + 1 + 1) + 0) / 2), "rain counts 0"
    assert result.event_f1_micro == pytest.approx(2 * 1 / (2 * 1 + 0 + 2))
    assert [each.event_f1 for each in result.classes] == pytest.approx([2 / 3, 0])
    assert [(each.events, each.seconds) for each in result.classes] == [(2, 3), (1, 3)]
    # segments by score: three at 0.9, two of them right, then the one that is missed among seven at 0.1
    assert result.classes[0].segment_ap == pytest.approx((2 * 2 / 3 + 3 / 10) / 3)
    assert measure([recording], LABELS, "made", offset_share=0.1).event_f1_micro == 0
    assert measure([recording], LABELS, "made", collar=0.05).event_f1_micro == 0


def test_every_event_is_matched_once() -> None:
    both = heard([(2, 2.5, 0)], [(2.0, 2.05, 0), (2.1, 2.5, 0)])
    assert event_f1([both], 2, 0.5, 0.2).micro == pytest.approx(2 / 3)


@st.composite
def spans(draw: st.DrawFn) -> Spans:
    made = []
    for _ in range(draw(st.integers(0, 4))):
        start = draw(st.integers(0, 90)) / 10
        made.append((start, start + draw(st.integers(1, 10)) / 10, draw(st.integers(0, 1))))
    return joined(made)


@given(st.lists(spans(), min_size=1, max_size=3))
def test_perfect_decisions_give_1(truths: list[Spans]) -> None:
    recordings = [heard(truth, truth) for truth in [[(1, 2, 0), (3, 4, 1)], *truths]]
    result = measure(recordings, LABELS, "perfect")
    for name in ("segment_map", "segment_f1_micro", "segment_f1_macro", "event_f1_micro", "event_f1_macro"):
        assert getattr(result, name) == pytest.approx(1), name
    assert (result.psds1, result.psds2) == pytest.approx((1, 1))


@given(st.lists(st.tuples(spans(), spans()), min_size=1, max_size=3), st.integers(0, 100))
def test_the_order_of_recordings_changes_nothing(pairs: list[tuple[Spans, Spans]], seed: int) -> None:
    recordings = [heard(truth, found) for truth, found in pairs]
    recordings.append(heard([(1, 2, 0), (3, 4, 1)], [(1, 3, 0)]))
    shuffled = list(recordings)
    random_module.Random(seed).shuffle(shuffled)
    before, after = (measure(each, LABELS, "made").to_dict() for each in (recordings, shuffled))
    for key, value in before.items():
        if isinstance(value, float):
            assert after[key] == pytest.approx(value, abs=1e-9), key


@given(
    st.lists(st.floats(0.01, 0.99), min_size=20, max_size=20),
    st.lists(st.booleans(), min_size=20, max_size=20),
)
def test_only_the_order_of_scores_counts(numbers: list[float], flags: list[bool]) -> None:
    truth = np.array(flags)[:, None]
    scores = np.array(numbers)[:, None]
    ranks = np.unique(scores, return_inverse=True)[1].reshape(scores.shape)
    before = segment_average_precision([truth], [scores])
    np.testing.assert_array_equal(segment_average_precision([truth], [1.5 ** ranks.astype(float)]), before)


def test_what_lies_behind_the_end_does_not_count() -> None:
    recording = dataclasses.replace(heard([], [], 2.0), truth=[(1.5, 2.0, 0)])
    assert segment_truth([*recording.truth, (5.0, 6.0, 1)], 2, 2.0).sum(0).tolist() == [1, 0]

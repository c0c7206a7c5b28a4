"""From scores to events: the quick way gives what the plain way gives, however the scores come."""

import time
import tracemalloc

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from plain_events import plain_events

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.detections import Detections
from arwkv_core.event_defaults import ClassDefaults
from arwkv_core.event_settings import Thresholds
from arwkv_core.events import CHUNK_STEPS, EventDetector
from arwkv_core.score_codec import rounded
from arwkv_core.score_trace import ScoreTrace
from arwkv_core.scores import step_edges


def numbers(on=0.5, off=0.3, window=1, min_duration=0.0, merge=0) -> ClassDefaults:
    return ClassDefaults(on, off, window * STEP_SECONDS, min_duration, merge * STEP_SECONDS)


def detect(scores: np.ndarray, seconds: float, settings: list[ClassDefaults], sizes=None) -> Detections:
    detector = EventDetector(Thresholds.of(settings))
    at = 0
    for size in sizes or [len(scores)]:
        detector.add(scores[at : at + size])
        at += size
    detector.add(scores[at:])
    return detector.finish(seconds)


def check_against_the_plain_way(scores, seconds, settings, found) -> None:
    for column, own in enumerate(settings):
        window, merge = round(own.median / STEP_SECONDS), round(own.merge_gap / STEP_SECONDS)
        expected = plain_events(scores[:, column], seconds, own.on, own.off, window, own.min_duration, merge)
        here = found.column == column
        assert list(zip(found.first[here], found.last[here], strict=True)) == [
            (event.first, event.last) for event in expected
        ]
        assert found.start[here].tolist() == [event.start for event in expected]
        assert found.end[here].tolist() == [event.end for event in expected]
        assert found.max[here].tolist() == [event.max for event in expected]
        np.testing.assert_allclose(found.mean[here], [event.mean for event in expected], atol=1e-8)


settings_of_a_class = st.builds(
    lambda low, high, window, short, merge: numbers(
        max(low, high), min(low, high), window, short * STEP_SECONDS, merge
    ),
    st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.7, 1.0]),
    st.sampled_from([0.0, 0.25, 0.3, 0.5, 0.7, 1.0]),
    st.sampled_from([1, 3, 5, 9, 41]),
    st.sampled_from([0, 0.5, 1, 1.05, 2, 5]),
    st.sampled_from([0, 1, 2, 7]),
)


def ragged_scores(seed: int, steps: int, classes: int) -> np.ndarray:
    """Scores that stay, jump and touch thresholds exactly."""
    rng = np.random.default_rng(seed)
    levels = rng.choice([0, 0.1, 0.25, 0.3, 0.5, 0.5, 0.7, 1, rng.random()], (steps, classes))
    stay = rng.random((steps, classes)) < rng.choice([0.2, 0.7, 0.95], classes)
    for i in range(1, steps):
        levels[i] = np.where(stay[i], levels[i - 1], levels[i])
    return levels.astype(np.float32)


@given(
    st.integers(0, 2**32),
    st.integers(1, 120),
    st.floats(0.025, 0.185),
    st.lists(settings_of_a_class, min_size=1),
)
def test_events_are_those_of_the_plain_way(seed, steps, rest, settings) -> None:
    scores = ragged_scores(seed, steps, len(settings))
    seconds = (steps - 1) * STEP_SECONDS + rest
    found = detect(scores, seconds, settings)
    check_against_the_plain_way(scores, seconds, settings, found)


@given(
    st.integers(0, 2**32),
    st.lists(st.integers(0, 900), max_size=8),
    st.lists(settings_of_a_class, min_size=1),
)
def test_how_scores_are_divided_into_blocks_changes_nothing(seed, sizes, settings) -> None:
    steps = 2 * CHUNK_STEPS + 77
    scores = np.repeat(ragged_scores(seed, steps // 8 + 1, len(settings)), 8, axis=0)[:steps]
    whole = detect(scores, steps * STEP_SECONDS, settings)
    parts = detect(scores, steps * STEP_SECONDS, settings, sizes)
    for key in ("column", "first", "last", "mean", "max"):
        np.testing.assert_array_equal(getattr(whole, key), getattr(parts, key))


@pytest.mark.parametrize("window", [1, 3, 41])
@pytest.mark.parametrize(
    "steps",
    [
        1,
        CHUNK_STEPS - 1,
        CHUNK_STEPS,
        CHUNK_STEPS + 1,
        CHUNK_STEPS + 2,
        CHUNK_STEPS + 40,
        2 * CHUNK_STEPS,
        3000,
    ],
)
def test_events_across_the_borders_of_chunks(steps: int, window: int) -> None:
    settings = [numbers(0.5, 0.3, window, 0.32, merge) for merge in (0, 3, 2000)]
    scores = ragged_scores(steps, steps, 3)
    for loud in (slice(None), slice(-2, None), slice(900, 1300)):
        scores[loud, 0] = 0.9
        seconds = (steps - 1) * STEP_SECONDS + 0.1
        check_against_the_plain_way(scores, seconds, settings, detect(scores, seconds, settings, [1] * 50))


@given(st.integers(0, 2**32), st.integers(1, 300), st.floats(0.025, 0.185), settings_of_a_class)
def test_events_lie_inside_the_recording_and_apart(seed, steps, rest, own) -> None:
    seconds = (steps - 1) * STEP_SECONDS + rest
    found = detect(ragged_scores(seed, steps, 2), seconds, [own, own])
    edges = set(step_edges(steps, seconds).tolist())
    assert set(found.start.tolist()) | set(found.end.tolist()) <= edges
    assert np.all(found.start < found.end)
    assert np.all((found.mean <= found.max) & (found.mean >= 0))
    for column in (0, 1):
        start, end = found.start[found.column == column], found.end[found.column == column]
        assert np.all(start[1:] > end[:-1])  # a gap of no steps would not part them
    assert np.all(np.diff(found.column) >= 0)


def test_thresholds_are_reached_by_equal_scores_and_ends_are_exact() -> None:
    scores = np.array([[0.2, 0.7, 0.3, 0.3, 0.29, 0.7]], np.float32).T
    found = detect(scores, 5 * STEP_SECONDS + 0.03, [numbers(0.7, 0.3)])
    assert found.first.tolist() == [1, 5]
    assert found.last.tolist() == [4, 6]
    assert found.end.tolist() == [4 * STEP_SECONDS, 5 * STEP_SECONDS + 0.03]


def test_a_short_last_step_weighs_little() -> None:
    scores = np.array([[1.0, 0.5]], np.float32).T
    found = detect(scores, STEP_SECONDS + 0.04, [numbers(0.4, 0.3)])
    assert found.mean[0] == pytest.approx((0.16 * 1 + 0.04 * 0.5) / 0.2, abs=1e-9)


def test_a_click_is_smoothed_away_and_counts_in_a_maximum() -> None:
    scores = np.zeros((40, 2), np.float32)
    scores[20, 0] = 1  # a click alone
    scores[10:30, 1] = 0.6
    scores[20, 1] = 1  # in an event
    found = detect(scores, 40 * STEP_SECONDS, [numbers(window=3)] * 2)
    assert found.column.tolist() == [1]
    assert found.max.tolist() == [1]


def test_the_maximum_of_a_gap_belongs_to_the_event_across_chunks() -> None:
    scores = np.zeros((3 * CHUNK_STEPS, 1), np.float32)
    scores[[*range(1000, 1010), *range(1100, 1110)]] = 0.6
    scores[1020] = 0.9  # one step in the gap, which the median takes away
    settings = [numbers(window=3, merge=200)]
    found = detect(scores, len(scores) * STEP_SECONDS, settings)
    assert (found.first.tolist(), found.last.tolist()) == ([1000], [1110])
    assert found.max[0] == np.float32(0.9)


def test_seconds_become_steps() -> None:
    thresholds = Thresholds.of(
        [
            ClassDefaults(0.5, 0.3, median, 0.0, gap)
            for median, gap in [(0, 0), (0.16, 0.159), (0.48, 0.48), (1, 1e9)]
        ]
    )
    assert thresholds.median_steps.tolist() == [1, 1, 3, 7]
    assert thresholds.merge_steps[:3].tolist() == [0, 0, 3]
    assert thresholds.merge_steps[3] > 1e9
    shortest = Thresholds.of([ClassDefaults(0.5, 0.3, 0, least, 0) for least in (0, 0.16, 0.32, 0.33, 1e300)])
    assert shortest.min_steps[:4].tolist() == [0, 1, 2, 3]


def test_impossible_calls_are_refused() -> None:
    detector = EventDetector(Thresholds.of([numbers()]))
    with pytest.raises(ValueError, match="at least a step"):
        detector.finish(1.0)
    with pytest.raises(ValueError, match=r"expected \(steps, 1\)"):
        detector.add(np.zeros((3, 2), np.float32))
    detector.add(np.zeros((3, 1), np.float32))
    with pytest.raises(ValueError, match="at least a step"):
        detector.finish(0.32)


@given(st.integers(0, 2**32))
def test_a_trace_holds_the_scores_of_every_event(seed) -> None:
    steps = CHUNK_STEPS + 500
    scores = rounded(np.repeat(ragged_scores(seed, steps // 20, 3), 20, axis=0))
    trace = ScoreTrace([0, 2])
    detector = EventDetector(Thresholds.of([numbers(window=5, merge=30)] * 3), trace)
    detector.add(scores)
    found = detector.finish(len(scores) * STEP_SECONDS)
    for column, first, last in zip(found.column, found.first, found.last, strict=True):
        if column != 1:
            kept = trace.scores(int(column), int(first), int(last))
            np.testing.assert_array_equal(kept, scores[first:last, column])
    with pytest.raises(ValueError, match="no scores of class 0"):
        trace.scores(0, len(scores), len(scores) + 1)


def busy_scores(steps: int, classes: int) -> np.ndarray:
    """Few classes at a time, as in recordings."""
    rng = np.random.default_rng(1)
    scores = (rng.random((steps, classes)) * 0.2).astype(np.float32)
    for column in rng.choice(classes, 30, replace=False):
        for start in range(0, steps, 400):
            scores[start + 100 : start + 250, column] += 0.6
    return scores


def test_an_hour_takes_less_than_a_second_and_memory_stays_flat() -> None:
    block = busy_scores(2_250, 521)  # six minutes

    def run(blocks: int) -> tuple[float, int]:
        tracemalloc.start()
        began = time.process_time()
        detector = EventDetector(Thresholds.of([numbers(window=3, min_duration=0.32, merge=4)] * 521))
        for _ in range(blocks):
            detector.add(block)
        detector.finish(blocks * 2_250 * STEP_SECONDS)
        peak = tracemalloc.get_traced_memory()[1]
        tracemalloc.stop()
        return time.process_time() - began, peak

    hour = run(10)
    assert hour[0] < 1.0  # it takes 0.1 s where nothing else is going on
    assert run(120)[1] < hour[1] + 5e6

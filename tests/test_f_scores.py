"""F1 and error rate of decisions against sed_eval, and the pairing of events against trying all pairings."""

import math
from itertools import permutations

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.evaluation.event_matching import count_matches
from arwkv_core.evaluation.f_scores import event_f1, segment_error_rate, segment_f1
from arwkv_core.evaluation.heard import Findings

NAMES = ["dog", "rain", "wind"]

Times = list[tuple[float, float]]


def random_findings(seed: int, recordings: int = 4) -> list[Findings]:
    """Events of three classes, most of them found, a little early or late; others of the same class overlap them."""
    rng = np.random.default_rng(seed)
    made = []
    for _ in range(recordings):
        seconds = rng.uniform(8, 15)
        truth, found = [], []
        for _ in range(int(rng.integers(1, 14))):
            start = rng.uniform(0, seconds - 1.5)
            end = start + rng.uniform(0.05, 1.5)
            column = int(rng.integers(3))
            truth.append((start, end, column))
            if rng.random() < 0.8:
                heard = int(rng.integers(3)) if rng.random() < 0.2 else column
                early = max(0.0, start + rng.normal(0, 0.15))
                found.append((early, min(seconds, max(early + 0.01, end + rng.normal(0, 0.2))), heard))
        found += [(start + 0.07, start + 0.3, column) for start, _, column in truth[:2]]
        made.append(Findings(seconds, truth, found))
    return made


def rows(spans: list[tuple[float, float, int]], file: str) -> list[dict[str, object]]:
    return [
        {"filename": file, "event_onset": start, "event_offset": end, "event_label": NAMES[column]}
        for start, end, column in spans
    ]


@pytest.mark.parametrize("seed", range(8))
def test_sed_eval_gives_the_same(seed: int) -> None:
    sound_event = pytest.importorskip(
        "sed_eval.sound_event", reason="sed_eval can't be imported; other tests hold F1 against cases by hand"
    )
    made = random_findings(seed)
    by_segment = sound_event.SegmentBasedMetrics(NAMES, time_resolution=0.7)
    by_event = sound_event.EventBasedMetrics(NAMES, t_collar=0.2, percentage_of_length=0.3)
    by_onset = sound_event.EventBasedMetrics(NAMES, t_collar=0.1, evaluate_offset=False)
    for number, each in enumerate(made):
        truth, found = rows(each.truth, str(number)), rows(each.found, str(number))
        by_segment.evaluate(truth, found, evaluated_length_seconds=each.seconds)
        by_event.evaluate(truth, found)
        by_onset.evaluate(truth, found)
    for ours, theirs in (
        (segment_f1(made, 3, 0.7), by_segment),
        (event_f1(made, 3, 0.2, 0.3), by_event),
        (event_f1(made, 3, 0.1, None), by_onset),
    ):
        assert ours.micro == pytest.approx(theirs.results_overall_metrics()["f_measure"]["f_measure"])
        classes = [theirs.results_class_wise_metrics()[name]["f_measure"]["f_measure"] for name in NAMES]
        assert ours.classes == pytest.approx(np.nan_to_num(classes).tolist())
    rate = by_segment.results_overall_metrics()["error_rate"]["error_rate"]
    assert segment_error_rate(made, 3, 0.7) == pytest.approx(rate)


def test_an_error_rate_by_hand() -> None:
    """Of 5 true classes of segments, 2 are found; one is taken for another, 2 are missed, and 1 is false elsewhere."""
    recording = Findings(6.0, [(0, 3, 0), (3, 5, 1)], [(0, 1, 0), (1, 2, 2), (4, 5, 1), (5, 6, 1)])
    assert segment_error_rate([recording], 3, 1.0) == pytest.approx(4 / 5)
    assert segment_error_rate([Findings(2.0, [(0, 1, 0)], [])], 1, 1.0) == 1
    assert segment_error_rate([Findings(2.0, [(0, 1, 0)], [(1, 2, 0)])], 1, 1.0) == 2
    assert math.isnan(segment_error_rate([Findings(2.0, [], [(0, 1, 0)])], 1, 1.0))


def test_nothing_to_find_is_no_perfect_score() -> None:
    silent = Findings(2.0, [], [])
    for scores in (segment_f1([silent], 2, 1.0), event_f1([silent], 2, 0.2, 0.2)):
        assert scores.micro == 0
        assert math.isnan(scores.macro)
        assert scores.classes == (0, 0)


def test_an_onset_that_is_off_by_the_collar_counts() -> None:
    """1.9 - 2.1 is -0.2000000000000002."""
    assert count_matches([(2.1, 3.0)], [(1.9, 3.0)], 0.2, 0.2) == 1
    assert count_matches([(2.1, 3.0)], [(1.8999, 3.0)], 0.2, 0.2) == 0


def test_pairs_give_way_to_one_another() -> None:
    """The first true event could take either found one, the second only the earlier; so along a chain of any length."""
    assert count_matches([(0.2, 1), (0.0, 1)], [(0.1, 1), (0.35, 1)], 0.15, None) == 2
    count = 3000
    truth = [(0.1 * index, 0.1 * index + 0.05) for index in range(count)]
    found = [(0.1 * index + 0.1, 0.1 * index + 0.15) for index in range(count)]
    assert count_matches(truth[1:] + truth[:1], found, 0.1, None) == count


def most_pairs(truth: Times, found: Times, collar: float, share: float | None) -> int:
    """Try all pairings."""

    def fits(one: tuple[float, float], two: tuple[float, float]) -> bool:
        onset = abs(one[0] - two[0]) <= collar + 1e-6
        allowed = math.inf if share is None else max(collar, share * (one[1] - one[0])) + 1e-6
        return onset and abs(one[1] - two[1]) <= allowed

    short, long = sorted((truth, found), key=len)
    swapped = short is found and short is not truth
    return max(
        sum(fits(two, one) if swapped else fits(one, two) for one, two in zip(short, chosen, strict=True))
        for chosen in permutations(long, len(short))
    )


@st.composite
def times(draw: st.DrawFn) -> Times:
    starts = draw(st.lists(st.integers(0, 12), max_size=5))
    return [(start / 10, (start + draw(st.integers(1, 8))) / 10) for start in starts]


@given(times(), times(), st.sampled_from([0.0, 0.1, 0.3]), st.sampled_from([None, 0.0, 0.5]))
def test_no_pairing_has_more_pairs(truth: Times, found: Times, collar: float, share: float | None) -> None:
    assert count_matches(truth, found, collar, share) == most_pairs(truth, found, collar, share)

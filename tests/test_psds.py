"""PSDS against cases worked out by hand, the laws it obeys, and the program whose numbers it gives."""

import dataclasses

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.evaluation.annotations import joined
from arwkv_core.evaluation.heard import Heard
from arwkv_core.evaluation.psds import PSDS1, PSDS2, Scenario, psds
from arwkv_core.score_codec import LEVELS, rounded

PLAIN = Scenario(dtc=0.5, gtc=0.5, cttc=None, alpha_ct=0.0, alpha_st=0.0, most=360.0)
NO_DECISIONS = "not installed; psds is held against cases worked out by hand"


def heard(truth: list[tuple[float, float, int]], rows: list[list[float]]) -> Heard:
    """A recording of steps of a second: a row of scores for each class."""
    scores = np.array(rows, np.float32).T
    return Heard(float(len(scores)), truth, [], scores, np.arange(len(scores) + 1.0))


def test_one_class_by_hand() -> None:
    """Ten seconds: a false positive a recording is 360 an hour, the end of the curve.

    Above 0.6 the event of 2 to 6 s is half covered, which is enough, at no false positive: 1 up to the end.
    """
    scores = [0.1, 0.1, 0.9, 0.9, 0.3, 0.3, 0.1, 0.6, 0.1, 0.1]
    assert psds([heard([(2, 6, 0)], [scores])], 1, PLAIN) == 1
    # at 0.7 of the event, only the threshold 0.3 finds it, with the false detection at 7 s: nothing before 360
    strict = dataclasses.replace(PLAIN, gtc=0.7)
    assert psds([heard([(2, 6, 0)], [scores])], 1, strict) == 0
    # and of a curve to 720, the upper half
    assert psds([heard([(2, 6, 0)], [scores])], 1, dataclasses.replace(strict, most=720.0)) == pytest.approx(
        0.5
    )


def test_a_detection_must_lie_in_events_to_its_share() -> None:
    long = [0.1, 0.1, 0.9, 0.9, 0.9, 0.9, 0.9, 0.1, 0.1, 0.1]  # 5 s, of which 2 in the event
    assert psds([heard([(2, 4, 0)], [long])], 1, PLAIN) == 0
    assert psds([heard([(2, 4, 0)], [long])], 1, dataclasses.replace(PLAIN, dtc=0.4)) == 1


def test_two_detections_find_an_event_together() -> None:
    halves = [0.1, 0.9, 0.9, 0.1, 0.9, 0.9, *[0.1] * 6]
    assert psds([heard([(1, 6, 0)], [halves])], 1, dataclasses.replace(PLAIN, gtc=0.8)) == 1
    assert psds([heard([(1, 6, 0)], [halves])], 1, dataclasses.replace(PLAIN, gtc=0.9)) == 0


def test_classes_of_different_quality_cost_their_deviation() -> None:
    found = [0.1, 0.9, 0.9, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1, 0.1]
    never = [0.1] * 10
    recording = heard([(1, 3, 0), (1, 3, 1)], [found, never])
    assert psds([recording], 2, PLAIN) == pytest.approx(0.5)
    assert psds([recording], 2, dataclasses.replace(PLAIN, alpha_st=1.0)) == pytest.approx(0.0)
    assert psds([recording], 2, dataclasses.replace(PLAIN, alpha_st=0.5)) == pytest.approx(0.25)


def test_a_cross_trigger_costs_more_than_a_false_positive() -> None:
    """The first class's false detection lies in an event of the second.

    That makes 360 false positives an hour, and a cross trigger for each 2 s of the second class: 1,800 an hour.
    """
    first = [0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.5, 0.5]
    second = [0.1, 0.1, 0.1, 0.1, 0.1, 0.9, 0.9, 0.1, 0.1, 0.1]
    recording = heard([(8, 10, 0), (5, 7, 1)], [first, second])
    plain = dataclasses.replace(PLAIN, most=3600.0)
    assert psds([recording], 2, plain) == pytest.approx((0.9 + 1) / 2)
    crossing = dataclasses.replace(plain, cttc=0.3, alpha_ct=0.5)
    assert psds([recording], 2, crossing) == pytest.approx(((3600 - 360 - 900) / 3600 + 1) / 2)
    elsewhere = dataclasses.replace(recording, truth=[(8, 10, 0), (0, 2, 1)])
    assert psds([elsewhere], 2, crossing) == pytest.approx((0.9 + 0) / 2)


@st.composite
def recordings(draw: st.DrawFn) -> list[Heard]:
    made = []
    for number in range(draw(st.integers(1, 3))):
        steps = draw(st.integers(6, 30))
        edges = np.arange(steps + 1) * 0.16
        edges[-1] -= draw(st.sampled_from([0, 0.04, 0.1]))
        truth = [(0.1, 0.5, 0), (0.2, 0.8, 1)] if number == 0 else []
        for _ in range(draw(st.integers(0, 3))):
            start = draw(st.floats(0, float(edges[-1]) - 0.1))
            truth.append((start, draw(st.floats(start + 0.01, float(edges[-1]))), draw(st.integers(0, 1))))
        codes = draw(st.lists(st.integers(60, 160), min_size=2 * steps, max_size=2 * steps))
        scores = LEVELS[np.array(codes)].reshape(steps, 2)
        made.append(Heard(float(edges[-1]), joined(truth), [], scores, edges))
    return made


@given(recordings(), st.sampled_from([PSDS1, PSDS2]), st.randoms(use_true_random=False))
def test_the_order_of_recordings_changes_nothing(
    made: list[Heard], scenario: Scenario, random: object
) -> None:
    scenario = dataclasses.replace(scenario, most=3000.0)
    shuffled = list(made)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    score = psds(made, 2, scenario)
    assert 0 <= score <= 1
    assert psds(shuffled, 2, scenario) == pytest.approx(score, abs=1e-12)


@given(recordings(), st.sampled_from([PSDS1, PSDS2]))
def test_only_the_order_of_scores_counts(made: list[Heard], scenario: Scenario) -> None:
    scenario = dataclasses.replace(scenario, most=3000.0)
    lower = [
        dataclasses.replace(each, scores=LEVELS[np.searchsorted(LEVELS, each.scores) - 40]) for each in made
    ]
    assert psds(lower, 2, scenario) == pytest.approx(psds(made, 2, scenario), abs=1e-12)


@given(recordings())
def test_perfect_scores_give_1(made: list[Heard]) -> None:
    perfect = []
    for each in made:
        edges = np.unique(np.concatenate([each.edges, *([start, end] for start, end, _ in each.truth)]))
        scores = np.zeros((len(edges) - 1, 2), np.float32)
        for start, end, column in each.truth:
            scores[(edges[:-1] >= start) & (edges[:-1] < end), column] = 1
        perfect.append(dataclasses.replace(each, scores=scores, edges=edges))
    for scenario in (PSDS1, PSDS2):
        assert psds(perfect, 2, scenario) == pytest.approx(1)


@pytest.mark.parametrize("seed", range(6))
def test_sed_scores_eval_gives_the_same(seed: int) -> None:
    pytest.importorskip("sed_scores_eval", reason=f"sed_scores_eval is {NO_DECISIONS}")
    pandas = pytest.importorskip("pandas")
    from sed_scores_eval import intersection_based

    rng = np.random.default_rng(seed)
    made, tables, truth, seconds = [], {}, {}, {}
    names = ["a", "b", "c"]
    for number in range(3):
        edges = np.arange(int(rng.integers(30, 60)) + 1) * 0.16
        edges[-1] -= rng.uniform(0, 0.1)
        scores = rng.random((len(edges) - 1, 3)) ** 3
        events = [(0.1 + k, 1 + 0.9 * k, k) for k in range(3)] if number == 0 else []
        for _ in range(int(rng.integers(0, 5))):
            start = rng.uniform(0, 0.8 * edges[-1])
            events.append((start, min(start + rng.uniform(0.2, 3), edges[-1]), int(rng.integers(3))))
        for start, end, column in events:
            scores[int(start / 0.16) : int(end / 0.16) + 1, column] += 0.5
        events = joined(events)
        values = rounded(np.clip(scores, 0, 1).astype(np.float32))
        name = str(number)
        made.append(Heard(float(edges[-1]), events, [], values, edges))
        # float32 columns: it writes into arrays of float64, which pandas 3 does not let it
        tables[name] = pandas.DataFrame(values, columns=names)
        tables[name].insert(0, "onset", edges[:-1])
        tables[name].insert(1, "offset", edges[1:])
        truth[name] = [(start, end, names[column]) for start, end, column in events]
        seconds[name] = float(edges[-1])
    for scenario in (PSDS1, PSDS2):
        theirs, *_ = intersection_based.psds(
            tables,
            truth,
            seconds,
            dtc_threshold=scenario.dtc,
            gtc_threshold=scenario.gtc,
            cttc_threshold=scenario.cttc,
            alpha_ct=scenario.alpha_ct,
            alpha_st=scenario.alpha_st,
            max_efpr=2000.0,
        )
        ours = psds(made, 3, dataclasses.replace(scenario, most=2000.0))
        assert ours == pytest.approx(theirs, abs=1e-9)

"""What is reported of a recording: sums over steps, and which classes in which order."""

import numpy as np
import pytest
from fake_scorer import LABELS
from hypothesis import given, settings
from hypothesis import strategies as st

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.errors import UsageError
from arwkv_core.scores import Summary, SummaryBuilder, step_edges
from arwkv_core.selection import Selection

SUMMARY = Summary(
    mean=np.array([0.2, 0.6, 0.4]),
    max=np.array([0.9, 0.7, 0.4], np.float32),
    active_seconds=np.array([3.0, 9.0, 0.0]),
)


@settings(deadline=None)
@given(st.integers(1, 40), st.floats(0.025, 0.185), st.data())
def test_sums_in_blocks_equal_the_plain_sums(steps: int, last: float, data: st.DataObject) -> None:
    scores = np.random.default_rng(steps).random((steps, 5)).astype(np.float32)
    seconds = (steps - 1) * STEP_SECONDS + last
    builder = SummaryBuilder(5, 0.5)
    for block in np.split(scores, sorted(data.draw(st.lists(st.integers(0, steps), max_size=5)))):
        builder.add(block)
    summary = builder.finish(seconds)
    lengths = np.diff(step_edges(steps, seconds))
    np.testing.assert_allclose(summary.mean, np.average(scores, axis=0, weights=lengths), rtol=1e-6)
    np.testing.assert_array_equal(summary.max, scores.max(axis=0))
    np.testing.assert_allclose(summary.active_seconds, ((scores >= 0.5) * lengths[:, None]).sum(axis=0))
    assert (summary.active_seconds <= seconds).all()


@settings(deadline=None)
@given(st.integers(1, 500))
def test_what_is_always_active_lasts_exactly_as_long_as_the_recording(steps: int) -> None:
    seconds = steps * STEP_SECONDS - 0.013
    builder = SummaryBuilder(1, 1.0)
    builder.add(np.ones((steps, 1), np.float32))
    summary = builder.finish(seconds)
    assert summary.active_seconds[0] == pytest.approx(seconds)
    assert summary.active_seconds[0] <= seconds
    assert summary.mean[0] == pytest.approx(1)


@pytest.mark.parametrize(
    ("pool", "names"),
    [
        ("mean", ["Quiet", "Half", "Loud"]),
        ("max", ["Loud", "Quiet", "Half"]),
        ("active", ["Quiet", "Loud", "Half"]),
    ],
)
def test_pool_ranks(pool: str, names: list[str]) -> None:
    assert [tag.name for tag in Selection(3, pool=pool).pick(SUMMARY, LABELS)] == names


def test_ties_follow_the_mean() -> None:
    nothing_active = Summary(SUMMARY.mean, SUMMARY.max, np.zeros(3))
    tags = Selection(3, pool="active").pick(nothing_active, LABELS)
    assert [tag.name for tag in tags] == ["Quiet", "Half", "Loud"]


@pytest.mark.parametrize(
    ("options", "names"),
    [
        ({"top_k": 1}, ["Quiet"]),
        ({"top_k": 1000}, ["Quiet", "Half", "Loud"]),
        ({"threshold": 0.4}, ["Quiet", "Half"]),
        ({"threshold": 0.7, "pool": "max"}, ["Loud"]),  # 0.7 in float32 is a little less
        ({"threshold": 5, "pool": "active"}, ["Quiet"]),
        ({"threshold": 1.0}, []),
        ({"include": ["loud", "/m/half"]}, ["Half", "Loud"]),
        ({"include": "Loud"}, ["Loud"]),
        ({"exclude": ["Quiet"]}, ["Half", "Loud"]),
        ({"include": ["Loud", "Half"], "exclude": ["half"]}, ["Loud"]),
    ],
)
def test_selection(options: dict[str, object], names: list[str]) -> None:
    selection = Selection(**({"top_k": 3} | options))
    assert [tag.name for tag in selection.pick(SUMMARY, LABELS)] == names


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"top_k": 0}, "--top-k: expected at least 1, found 0"),
        ({"threshold": 1.5}, "--threshold: expected a score from 0 to 1, found 1.5"),
        ({"threshold": float("nan")}, "--threshold: .* found nan"),
        ({"threshold": -1, "pool": "active"}, "--threshold: expected seconds"),
        ({"pool": "median"}, "--pool: expected one of mean, max, active, found 'median'"),
        ({"include": ["Luod"]}, "--include: no class 'Luod' .*did you mean 'Loud'"),
        ({"exclude": ["x"]}, "--exclude: no class 'x'"),
        ({"include": ["Loud"], "exclude": ["Loud"]}, "no class is left"),
        ({"include": []}, "no class is left"),
    ],
)
def test_what_cannot_be_is_refused(options: dict[str, object], message: str) -> None:
    with pytest.raises(UsageError, match=message):
        Selection(**({"top_k": 3} | options)).classes(LABELS)

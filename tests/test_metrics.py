"""Metrics against their definitions, written out the slow way."""

import math

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.metrics import average_precision, d_prime, roc_auc

cases = st.lists(st.tuples(st.booleans(), st.integers(0, 6)), min_size=1, max_size=40)


def split(case: list[tuple[bool, int]]) -> tuple[np.ndarray, np.ndarray]:
    return np.array([truth for truth, _ in case]), np.array([score / 7 for _, score in case])


@given(cases)
def test_average_precision_is_the_mean_precision_at_positives(case: list[tuple[bool, int]]) -> None:
    truth, scores = split(case)
    precisions = [truth[scores >= threshold].mean() for threshold in scores[truth]]
    expected = np.mean(precisions) if precisions else math.nan
    np.testing.assert_allclose(average_precision(truth, scores), expected, rtol=1e-12)


@given(cases)
def test_auc_is_the_share_of_pairs_in_order(case: list[tuple[bool, int]]) -> None:
    truth, scores = split(case)
    pairs = [(a > b) + 0.5 * (a == b) for a in scores[truth] for b in scores[~truth]]
    expected = np.mean(pairs) if pairs else math.nan
    np.testing.assert_allclose(roc_auc(truth, scores), expected, rtol=1e-12)


@given(cases, st.randoms())
def test_the_order_of_clips_does_not_matter(case: list[tuple[bool, int]], random: object) -> None:
    truth, scores = split(case)
    shuffled = list(case)
    random.shuffle(shuffled)  # type: ignore[attr-defined]
    np.testing.assert_allclose(average_precision(*split(shuffled)), average_precision(truth, scores))


def test_perfect_and_chance() -> None:
    truth = np.array([True, False, True, False])
    assert average_precision(truth, np.array([0.9, 0.1, 0.8, 0.2])) == 1
    assert roc_auc(truth, np.full(4, 0.3)) == 0.5
    assert d_prime(0.5) == pytest.approx(0)
    assert d_prime(1.0) == math.inf
    assert d_prime(0.0) == -math.inf
    assert math.isnan(d_prime(math.nan))
    # one unit of distance between two unit normals: AUC = Phi(1 / sqrt 2)
    assert d_prime(0.7602499389) == pytest.approx(1, abs=1e-6)

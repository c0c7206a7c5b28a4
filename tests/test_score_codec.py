"""Scores in a byte: how far they are off, and that rounding twice is rounding once."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays

from arwkv_core.score_codec import LARGEST_ERROR, LEVELS, decode, encode, rounded

SCORES = arrays.arrays(np.float32, (5, 7), elements=st.floats(0, 1, width=32))


@given(SCORES)
def test_error_is_as_documented(scores: np.ndarray) -> None:
    assert np.abs(rounded(scores) - scores).max() <= LARGEST_ERROR <= 0.01


@given(SCORES)
def test_rounding_twice_is_rounding_once(scores: np.ndarray) -> None:
    assert np.array_equal(rounded(rounded(scores)), rounded(scores))


@given(SCORES)
def test_order_is_kept(scores: np.ndarray) -> None:
    order = np.argsort(scores, axis=None)
    assert (np.diff(rounded(scores).ravel()[order]) >= 0).all()


def test_every_code_comes_back() -> None:
    codes = np.arange(len(LEVELS), dtype=np.uint8)
    assert len(LEVELS) <= 256
    assert np.array_equal(encode(decode(codes)), codes)


@pytest.mark.parametrize("score", [0.5, np.nextafter(np.float32(0.5), np.float32(0))])
def test_half_stays_half(score: float) -> None:
    assert rounded(np.float32([score]))[0] == 0.5


def test_small_scores_keep_their_order_of_magnitude() -> None:
    scores = np.geomspace(1e-4, 0.1, 1000, dtype=np.float32)
    assert np.abs(np.log(rounded(scores) / scores)).max() < 0.55

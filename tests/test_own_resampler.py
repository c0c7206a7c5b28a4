"""The own resampler: soxr's filter, taken over after a minute, so that nobody can tell."""

import numpy as np
import pytest
import soxr
from hypothesis import given, settings
from hypothesis import strategies as st

from arwkv_core import resample
from arwkv_core.own_resampler import OwnResampler, taps
from arwkv_core.resample import Resampler, resampled_length

RATES = [
    (44_100, 32_000),
    (48_000, 32_000),
    (22_050, 32_000),
    (16_000, 32_000),
    (32_000, 16_000),
    (96_000, 32_000),
]
ROUNDING = 3e-6  # soxr's precision is 20 bits


def noise(samples: int) -> np.ndarray:
    return (0.3 * np.random.default_rng(0).standard_normal(samples)).astype(np.float32)


def by_soxr(samples: np.ndarray, source: int, target: int) -> np.ndarray:
    stream = soxr.ResampleStream(source, target, 1, dtype="float32", quality="HQ")
    return stream.resample_chunk(samples, last=True)


@pytest.mark.parametrize(("source", "target"), RATES)
def test_taps_give_what_soxr_gives(source: int, target: int) -> None:
    """The plain sum of products in float64, of which the compiled loop is a faster form."""
    found, reach = taps(source, target)
    up = len(found)
    down = up * source // target
    samples = noise(source // 4)
    padded = np.concatenate([np.zeros(reach), samples, np.zeros(reach + down)]).astype(np.float64)
    expected = by_soxr(samples, source, target)
    for output in np.random.default_rng(1).integers(1000, len(expected), 200):
        start = output * down // up
        plain = padded[start : start + 2 * reach + 1] @ found[output % up].astype(np.float64)
        assert abs(plain - expected[output]) < ROUNDING
    own = OwnResampler(source, target, samples[:0], 0, 0)
    whole = np.concatenate([own.push(samples), own.flush(len(expected))])[: len(expected)]
    begun = slice(16, None)  # soxr's first samples are off
    np.testing.assert_allclose(whole[begun], expected[begun], rtol=0, atol=ROUNDING)


@pytest.mark.parametrize(("source", "target"), RATES)
@settings(max_examples=12, deadline=None)
@given(
    cuts=st.lists(st.integers(0, 200_000), max_size=12),
    length=st.integers(1, 200_000),
    first=st.integers(0, 9_999),
)
def test_any_partition_gives_the_same_bits(
    source: int, target: int, cuts: list[int], length: int, first: int
) -> None:
    samples = noise(length)
    total = resampled_length(length, source, target)
    first = min(first, total)

    def run(places: list[int]) -> np.ndarray:
        own = OwnResampler(source, target, samples[:0], 0, first)
        parts = [own.push(part) for part in np.split(samples, places)]
        given = sum(map(len, parts))
        return np.concatenate([*parts, own.flush(max(0, total - first - given))])[: total - first]

    whole = run([])
    assert run(sorted(min(cut, length) for cut in cuts)).tobytes() == whole.tobytes()
    assert len(whole) == total - first


@pytest.mark.parametrize(("source", "target"), [*RATES, (44_100, 16_000), (11_025, 32_000), (44_056, 32_000)])
@pytest.mark.parametrize("block", [1_000, 70_001, 441_000])
def test_a_stream_is_taken_over_unheard(
    source: int, target: int, block: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(resample, "SOXR_SECONDS", 1.5)
    samples = noise(4 * source + 123)
    resampler = Resampler(source, target)
    parts = [resampler.push(samples[start : start + block]) for start in range(0, len(samples), block)]
    found = np.concatenate([*parts, resampler.flush()])
    expected = by_soxr(samples, source, target)
    assert len(found) == resampler.given == resampled_length(len(samples), source, target)
    np.testing.assert_allclose(found, expected[: len(found)], rtol=0, atol=ROUNDING)
    assert (resampler._own is None) == (source in (11_025, 44_056))  # terms that are too large


def test_it_takes_over_at_one_sample_however_the_stream_is_cut(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(resample, "SOXR_SECONDS", 1.5)
    samples = noise(4 * 44_100)
    results = set()
    for block in (441, 5_000, 100_000, 176_400):
        resampler = Resampler(44_100, 32_000)
        parts = [resampler.push(samples[start : start + block]) for start in range(0, len(samples), block)]
        results.add(np.concatenate([*parts, resampler.flush()])[48_000:].tobytes())
        assert resampler._own is not None
    assert len(results) == 1


def test_soxr_goes_on_where_the_two_do_not_agree(monkeypatch: pytest.MonkeyPatch) -> None:
    class Wrong(OwnResampler):
        def push(self, samples: np.ndarray) -> np.ndarray:
            return super().push(samples) + np.float32(1e-3)

    samples = noise(3 * 44_100)
    for broken in (Wrong, None):  # None: as if it could not be compiled
        monkeypatch.setattr(resample, "SOXR_SECONDS", 1.0)
        monkeypatch.setattr(resample, "OwnResampler", broken)
        resampler = Resampler(44_100, 32_000)
        found = np.concatenate([resampler.push(samples), resampler.flush()])
        assert found.tobytes() == by_soxr(samples, 44_100, 32_000).tobytes()

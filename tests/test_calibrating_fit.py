"""Fitting curves and thresholds of a calibration to made-up evidence whose truth is known."""

import numpy as np
import pytest

from arwkv_core.calibrating.evidence import Evidence, HeardClip
from arwkv_core.calibrating.fit import choose_width, crossed, fit_curve, fit_curves
from arwkv_core.calibrating.reliability import measure
from arwkv_core.calibrating.thresholds import choose_thresholds
from arwkv_core.score_codec import LEVELS, encode


def made_up(slopes: list[float], offsets: list[float], clips: int = 120, seed: int = 0) -> list[HeardClip]:
    """Clips whose classes sound with the probability that a curve gives their scores, step by step."""
    rng = np.random.default_rng(seed)
    found = []
    for index in range(clips):
        logits = rng.normal(-1, 2, (60, len(slopes)))
        truth = rng.random(logits.shape) < 1 / (1 + np.exp(-(logits * slopes + offsets)))
        scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
        found.append(HeardClip(encode(scores), truth, index % 2))
    return found


def evidence_of(clips: list[HeardClip], judged: list[bool] | None = None) -> Evidence:
    classes = clips[0].codes.shape[1]
    return Evidence.of(clips, np.array(judged or [True] * classes))


def unchanged(classes: int) -> np.ndarray:
    return np.repeat(LEVELS.astype(np.float64)[:, None], classes, axis=1)


def test_evidence_counts_every_step_and_weighs_clips_alike() -> None:
    codes = np.array([[0, 5], [5, 5], [5, 9]], np.uint8)
    sounding = np.array([[False, True], [True, False], [True, True]])
    long = HeardClip(np.repeat(codes, 2, axis=0), np.repeat(sounding, 2, axis=0), 1)
    found = Evidence.of([HeardClip(codes, sounding, 0), long], np.array([True, True]))
    for half in (0, 1):
        assert found.total[half, 5].tolist() == pytest.approx([2 / 3, 2 / 3])
        assert found.positive[half, 5].tolist() == pytest.approx([2 / 3, 1 / 3])
        assert found.total[half].sum(0).tolist() == pytest.approx([1, 1])
    assert found.clips.tolist() == [[0, 0], [1, 1]]  # three steps are needed; the second has four of each
    none = Evidence.of([long], np.array([True, False]))
    assert none.positive[:, :, 1].sum() == none.total[:, :, 1].sum() == none.clips[:, 1].sum() == 0


def test_the_true_curve_is_found() -> None:
    slopes, offsets = [1.6, 0.5, 1.0], [-1.5, 0.5, 0.0]
    evidence = evidence_of(made_up(slopes, offsets, clips=2_000))
    width = choose_width(evidence)
    curves = fit_curves(evidence, (0, 1), width)
    np.testing.assert_allclose(curves.slope, slopes, rtol=0.1)
    np.testing.assert_allclose(curves.offset, offsets, atol=0.15)
    assert width >= 1  # these classes differ
    assert curves.own.all()


def test_without_evidence_nothing_changes_and_classes_share() -> None:
    none = np.zeros(len(LEVELS))
    assert fit_curve(none, none) == (1, 0)
    assert fit_curve(none, none, (1.4, -2.0), 0.3) == pytest.approx((1.4, -2.0))
    evidence = evidence_of(made_up([1.5, 1.5, 1.5], [-1.0, -1.0, -1.0]), [True, True, False])
    curves = fit_curves(evidence, (0, 1), 0.3)
    assert curves.own.tolist() == [True, True, False]
    assert (curves.slope[2], curves.offset[2]) == curves.shared
    assert curves.shared == pytest.approx((1.5, -1.0), abs=0.2)


def test_a_narrow_prior_holds_classes_together_and_slopes_stay_above_0() -> None:
    evidence = evidence_of(made_up([2.0, 0.5], [1.0, -1.0]))
    spread = [np.ptp(fit_curves(evidence, (0, 1), width).offset) for width in (0.03, 0.3, 3.0)]
    assert spread == sorted(spread)
    assert spread[0] < 0.05
    wrong = evidence_of(made_up([-2.0], [0.0], clips=1_000))  # the higher the score, the rarer
    for width in (0.03, 3.0, 100.0):
        assert fit_curves(wrong, (0, 1), width).slope.min() > 0


def test_a_wide_prior_is_no_prior() -> None:
    """Against scikit-learn's logistic regression, which knows priors around 0 only."""
    linear_model = pytest.importorskip("sklearn.linear_model")
    evidence = evidence_of(made_up([1.3], [-0.7], clips=300))
    positive, total = (part.sum((0, 2)) for part in (evidence.positive, evidence.total))
    logits = np.log(LEVELS.astype(float)) - np.log1p(-LEVELS.astype(float))
    plain = linear_model.LogisticRegression(C=np.inf, tol=1e-10, max_iter=1_000)
    weights = np.concatenate([positive, total - positive])
    plain.fit(np.tile(logits, 2)[:, None], np.repeat([1, 0], len(LEVELS)), sample_weight=weights)
    slope, offset = fit_curve(positive, total, width=1e3)
    assert slope == pytest.approx(plain.coef_[0, 0], rel=1e-3)
    assert offset == pytest.approx(plain.intercept_[0], abs=1e-3)


def test_the_error_falls_on_recordings_that_had_no_part() -> None:
    evidence = evidence_of(made_up([1.5, 1.3, 1.4], [-2.0, -1.5, -1.0]))
    before = measure(evidence, [unchanged(3)] * 2)
    after = measure(evidence, [c.probabilities() for c in crossed(evidence, choose_width(evidence))])
    assert before.ece > 0.1
    assert after.ece < 0.03
    assert after.class_ece < before.class_ece / 2
    assert after.log_loss < before.log_loss
    assert after.classes == before.classes == 3
    assert sum(entry.clips for entry in after.bins) == pytest.approx(3 * 120)


def test_the_error_by_hand() -> None:
    codes = encode(np.full((10, 1), 0.75, np.float32))
    truth = np.arange(10)[:, None] < 4
    evidence = evidence_of([HeardClip(codes, truth, 0), HeardClip(codes, truth, 1)])
    said = float(LEVELS[codes[0, 0]])
    found = measure(evidence, [unchanged(1)] * 2)
    assert found.ece == pytest.approx(said - 0.4)
    assert [(b.probability, b.observed, b.clips) for b in found.bins] == [
        (pytest.approx(said), pytest.approx(0.4), pytest.approx(2))
    ]
    assert found.log_loss == pytest.approx(-0.4 * np.log(said) - 0.6 * np.log(1 - said))
    assert found.classes == 0
    assert np.isnan(found.class_ece)
    assert found.to_dict()["class_ece"] is None
    low = evidence_of([HeardClip(np.zeros_like(codes), truth & False, half) for half in (0, 1)])
    assert np.isnan(measure(low, [unchanged(1)] * 2).ece)


def test_thresholds_are_chosen_where_they_help() -> None:
    """The first class scores 0.25 where it sounds, the second 0.9, the third sounds too rarely to tell."""
    rng = np.random.default_rng(3)
    clips = []
    for index in range(40):
        sounding = np.zeros((60, 3), bool)
        sounding[20:40, :2] = True
        sounding[20:40, 2] = index < 4
        scores = np.where(sounding, [0.25, 0.9, 0.25], 0.02) * rng.uniform(0.9, 1.1, sounding.shape)
        clips.append(HeardClip(encode(scores.astype(np.float32)), sounding, index // 2 % 2))
    choice = choose_thresholds(clips, evidence_of(clips), unchanged(3).astype(np.float32))
    assert choice.on == 0.2  # one for all finds them all
    assert choice.classes == ()

    scores = np.stack([np.where(clip.sounding[:, 1], 0.9, 0.4) for clip in clips])  # and 0.4 where it doesn't
    for clip, own in zip(clips, scores, strict=True):
        clip.codes[:, 1] = encode(own.astype(np.float32))
    choice = choose_thresholds(clips, evidence_of(clips), unchanged(3).astype(np.float32))
    other = {entry.column: entry for entry in choice.classes}
    assert choice.on > 0.4 or other[1].on > 0.4
    assert choice.on <= 0.25 or other[0].on <= 0.25
    assert 2 not in other
    assert all(entry.f1_after > entry.f1_before and entry.off <= entry.on for entry in choice.classes)

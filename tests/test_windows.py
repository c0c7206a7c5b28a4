"""Windows cover every frame, lie inside the recording, and their blended scores lie where the sound is."""

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from arwkv_core.constants import FRAMES_PER_STEP
from arwkv_core.windows import StepBlender, WindowCutter, count_steps, lay_on_grid, plan_windows

FRAMES = st.integers(1, 700)
WINDOWS = st.integers(1, 12).map(lambda steps: steps * FRAMES_PER_STEP)


@st.composite
def plans(draw: st.DrawFn) -> tuple[int, int, int]:
    """Frames, window and hop; any hop, since the blending must not depend on whole steps."""
    window = draw(WINDOWS)
    return draw(FRAMES), window, draw(st.integers(1, window))


def cut(features: np.ndarray, window: int, hop: int, cuts: list[int] | None = None) -> list:
    cutter = WindowCutter(window, hop)
    windows = []
    for block in np.split(features, sorted(cuts or [])):
        windows += cutter.push(block)
    windows += cutter.finish()
    assert cutter.frames == len(features)
    return windows


def step_means(features: np.ndarray) -> np.ndarray:
    """A model without context: a step's score is the mean of its frames."""
    edges = range(0, len(features), FRAMES_PER_STEP)
    return np.array([features[e : e + FRAMES_PER_STEP].mean(axis=0) for e in edges], np.float32)


def blend(features: np.ndarray, window: int, hop: int, model=step_means) -> np.ndarray:
    blender = StepBlender(features.shape[1])
    rows = [blender.add(w.start, len(w.features), model(w.features)) for w in cut(features, window, hop)]
    return np.concatenate([*rows, blender.finish()])


@settings(deadline=None)
@given(plans())
def test_the_plan_covers_every_frame_to_the_end_and_none_outside(plan: tuple[int, int, int]) -> None:
    frames, window, hop = plan
    starts = plan_windows(frames, window, hop)
    covered = np.zeros(frames, bool)
    for start in starts:
        assert start >= 0
        assert start + window <= max(frames, window)
        covered[start : start + window] = True
    assert covered.all()
    assert starts == sorted(set(starts))
    assert min(starts[-1] + window, frames) == frames
    assert all(start == i * hop for i, start in enumerate(starts[:-1]))


@settings(deadline=None)
@given(plans(), st.data())
def test_a_stream_in_blocks_of_any_size_is_cut_as_planned(
    plan: tuple[int, int, int], data: st.DataObject
) -> None:
    frames, window, hop = plan
    features = np.arange(frames, dtype=np.float32)[:, None]
    cuts = data.draw(st.lists(st.integers(0, frames), max_size=12))
    windows = cut(features, window, hop, cuts)
    assert [w.start for w in windows] == plan_windows(frames, window, hop)
    for w in windows:
        assert np.array_equal(w.features, features[w.start : w.start + window])


def test_the_cutter_holds_little_more_than_a_window() -> None:
    cutter = WindowCutter(992, 496)
    for _ in range(200):
        for _ in cutter.push(np.zeros((100, 1), np.float32)):
            pass
        assert sum(map(len, cutter._pieces)) <= 992 + 496 + 100
        assert all(piece.base is None or len(piece.base) <= 992 for piece in cutter._pieces)


@pytest.mark.parametrize("hop", [0, 17, -1])
def test_a_hop_that_leaves_gaps_is_refused(hop: int) -> None:
    with pytest.raises(ValueError, match="hop"):
        WindowCutter(16, hop)


@settings(deadline=None)
@given(st.integers(0, 15), FRAMES)
def test_laying_on_the_grid_equals_the_plain_loop_over_frames(shift: int, frames: int) -> None:
    scores = np.random.default_rng(frames).random((count_steps(frames), 3)).astype(np.float32)
    rows, weights = lay_on_grid(shift, frames, scores)
    assert (weights > 0).all()
    steps = [
        (shift + frame) // FRAMES_PER_STEP for frame in range(frames)
    ]  # the recording's step of each frame
    assert len(rows) == steps[-1] + 1
    for step, row in enumerate(rows):
        mine = [frame for frame in range(frames) if steps[frame] == step]
        expected = np.mean([scores[frame // FRAMES_PER_STEP] for frame in mine], axis=0)
        np.testing.assert_allclose(row, expected, rtol=1e-6)
        centre = np.mean(mine) + 0.5
        assert weights[step] == pytest.approx(len(mine) * min(centre, frames - centre))


@settings(deadline=None)
@given(plans())
def test_every_step_gets_a_score_between_those_of_its_windows(plan: tuple[int, int, int]) -> None:
    frames, window, hop = plan
    rng = np.random.default_rng(frames)
    scores = blend(
        np.zeros((frames, 2), np.float32),
        window,
        hop,
        lambda features: rng.random((count_steps(len(features)), 2)).astype(np.float32),
    )
    assert scores.shape == (count_steps(frames), 2)
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()  # NaN fails as well: a step without weight would be one


@settings(deadline=None)
@given(FRAMES, WINDOWS, st.integers(1, 12))
def test_blending_is_exact_where_windows_agree_on_the_steps(frames: int, window: int, hop: int) -> None:
    """Any content, windows on whole steps: the blend is the score of each step itself."""
    hop = min(hop * FRAMES_PER_STEP, window)
    frames = frames if frames < window else frames // FRAMES_PER_STEP * FRAMES_PER_STEP
    features = np.random.default_rng(frames).random((frames, 4)).astype(np.float32)
    np.testing.assert_allclose(blend(features, window, hop), step_means(features), rtol=1e-6)


@settings(deadline=None)
@given(plans())
def test_a_ramp_stays_where_it_was(plan: tuple[int, int, int]) -> None:
    """A last window off the grid of steps may smooth, but never shift: within a step of the true value."""
    frames, window, hop = plan
    ramp = np.arange(frames, dtype=np.float32)[:, None]
    error = np.abs(blend(ramp, window, hop) - step_means(ramp))
    assert error.max(initial=0) < FRAMES_PER_STEP
    # inside, a spread over two steps is exact for a ramp
    inner = error[1:-2]
    if hop % FRAMES_PER_STEP == 0 and frames >= window + FRAMES_PER_STEP:
        last = plan_windows(frames, window, hop)[-1] // FRAMES_PER_STEP
        away = np.abs(np.arange(1, len(error) - 2) - last) > 1  # the last window's own first steps are cut
        assert inner[away].max(initial=0) < 1e-2


def test_finished_rows_come_as_soon_as_no_window_can_change_them() -> None:
    blender = StepBlender(1)
    ones = np.ones((62, 1), np.float32)
    assert len(blender.add(0, 992, ones)) == 0
    assert len(blender.add(496, 992, ones)) == 31
    assert len(blender.add(500, 992, ones)) == 0  # the last, moved back; the step it begins in is still open
    assert len(blender.finish()) == 94 - 31


def test_scores_of_another_shape_are_refused() -> None:
    with pytest.raises(ValueError, match=r"expected \(2, 3\) for 17 frames, found \(1, 3\)"):
        StepBlender(3).add(0, 17, np.zeros((1, 3), np.float32))

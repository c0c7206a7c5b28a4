"""A model's calibration: its file, its curves, and what is made of scores with it and without."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from hypothesis import given
from hypothesis import strategies as st

import arwkv_core
import arwkv_models
from arwkv_core.calibration import COLUMNS, OWN, SHARED, Calibration, ClassCurve
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.errors import ConfigError
from arwkv_core.event_defaults import OFF_SHARE, ClassDefaults, EventDefaults
from arwkv_core.event_plan import EventPlan
from arwkv_core.event_settings import EventSettings
from arwkv_core.labels import LabelSet
from arwkv_core.metrics import average_precision
from arwkv_core.model_config import ModelConfig
from arwkv_core.score_codec import LEVELS, encode, rounded
from arwkv_core.score_curves import ScoreCurves, score_of
from arwkv_core.score_trace import ScoreTrace

CURVES = [ClassCurve(1.3, -1.0, 7, OWN), ClassCurve(0.6, 0.4, 0, SHARED), ClassCurve()]
CALIBRATION = Calibration(dict(zip(THREE_LABELS.mids, CURVES, strict=True)), dict(THREE_LABELS))
HEADER = ",".join(COLUMNS) + "\n"

curves = st.builds(ClassCurve, st.floats(0.05, 5), st.floats(-8, 8))


@pytest.fixture
def noise(tmp_path: Path) -> Path:
    path = tmp_path / "noise.wav"
    loud = np.repeat(np.random.default_rng(0).uniform(0.001, 0.5, 60), 8_000)
    soundfile.write(path, loud * np.random.default_rng(1).standard_normal(len(loud)) / 4, 32_000)
    return path


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A model with a calibration."""
    path = tmp_path / "gate"
    save_model_folder(path, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    (path / "calibration.csv").write_text(CALIBRATION.text(), "utf-8")
    return path


def test_probabilities_are_platts() -> None:
    scores = np.random.default_rng(0).random((50, 3), np.float32)
    exact = scores.astype(np.float64)
    expected = [
        1 / (1 + ((1 - exact[:, i]) / exact[:, i]) ** curve.slope * np.exp(-curve.offset))
        for i, curve in enumerate(CURVES)
    ]
    found = ScoreCurves(CURVES).of_scores(scores)
    assert found.dtype == np.float32
    np.testing.assert_allclose(found, np.stack(expected, 1), rtol=1e-6)
    np.testing.assert_array_equal(found[:, 2], scores[:, 2])  # slope 1 and offset 0 change nothing


@given(curve=curves, scores=st.lists(st.floats(0, 1, width=32), min_size=2, max_size=50))
def test_no_two_scores_change_their_order(curve: ClassCurve, scores: list[float]) -> None:
    ordered = np.sort(np.array(scores, np.float32))
    # a float32 and the next one too: the closest pairs that there are
    ordered = np.sort(np.concatenate([ordered, np.nextafter(ordered, np.float32(2)).clip(max=1)]))
    found = ScoreCurves([curve]).of_scores(ordered[:, None])[:, 0]
    assert (np.diff(found) >= 0).all()
    assert ((found >= 0) & (found <= 1)).all()
    ends = ScoreCurves([curve]).of_scores(np.array([[0], [1]], np.float32))[:, 0]
    assert ends.tolist() == [0, 1]


def test_the_average_precision_of_steps_stays() -> None:
    rng = np.random.default_rng(4)
    scores = rounded(rng.random((400, 3), np.float32))
    truth = rng.random(scores.shape) < scores
    found = ScoreCurves(CURVES).of_scores(scores)
    for column in range(3):
        before, after = (average_precision(truth[:, column], x[:, column]) for x in (scores, found))
        assert after == before


@given(curve=st.builds(ClassCurve, st.floats(0.5, 5), st.floats(-6, 6)), probability=st.floats(0, 1))
def test_a_score_is_found_again(curve: ClassCurve, probability: float) -> None:
    score = score_of(curve, probability)
    found = float(ScoreCurves([curve]).of_scores(np.array([score]))[0])
    assert found == pytest.approx(probability, abs=1e-6)


def test_levels_are_what_becomes_of_kept_scores() -> None:
    codes = np.random.default_rng(2).integers(0, len(LEVELS), (40, 3)).astype(np.uint8)
    levels = ScoreCurves(CURVES).levels()
    np.testing.assert_array_equal(levels[codes, np.arange(3)], ScoreCurves(CURVES).of_scores(LEVELS[codes]))
    trace = ScoreTrace([1, 2], levels)
    probabilities = levels[codes, np.arange(3)]
    trace.add(np.arange(3), 5, probabilities.T)
    for column in (1, 2):
        np.testing.assert_array_equal(trace.scores(column, 5, 45), probabilities[:, column])


def test_a_file_comes_back_as_it_was(tmp_path: Path) -> None:
    path = tmp_path / "calibration.csv"
    path.write_text(CALIBRATION.text(), "utf-8")
    found = Calibration.read(path)
    assert found == CALIBRATION
    assert found.digest == CALIBRATION.digest
    assert found.names == CALIBRATION.names
    assert Calibration.of_folder(tmp_path) == CALIBRATION
    changed = Calibration({**CALIBRATION.curves, "own:gate": ClassCurve(1.0, 0.001)})
    assert changed.digest != CALIBRATION.digest
    path.write_text(changed.text().replace("\n", "\r\n"), "utf-8")
    assert Calibration.of_folder(tmp_path) == changed  # what was changed is read again
    path.unlink()
    assert Calibration.of_folder(tmp_path) is None
    assert Calibration.of_folder(None) is None


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", ", line 1: expected the column 'mid' once, found ''"),
        (HEADER.replace("slope", "steep"), ", line 1: expected the column 'slope' once, found 'mid,"),
        (HEADER, ": expected a row for each class, found none"),
        (HEADER + "/m/a,A,1,0,3,own\n", ", line 2: expected 8 fields, found 6"),
        (HEADER + ",A,1,0,3,own,,1\n", ", line 2: mid: expected a class, found nothing"),
        (HEADER + "/m/a,A,1,0,3,own,,1\n/m/a,A,1,0,3,own,,1\n", ", line 3: mid: '/m/a' stands there twice"),
        (HEADER + "/m/a,A,steep,0,3,own,,1\n", ", line 2: slope: expected a number, found 'steep'"),
        (HEADER + "/m/a,A,0,0,3,own,,1\n", ", line 2: slope: expected a number above 0, up to 100, found 0"),
        (HEADER + "/m/a,A,nan,0,3,own,,1\n", ", line 2: slope: expected a number above 0"),
        (HEADER + "/m/a,A,1,-101,3,own,,1\n", ", line 2: offset: expected -100 to 100 logits, found -101"),
        (HEADER + "/m/a,A,1,nan,3,own,,1\n", ", line 2: offset"),
        (HEADER + "/m/a,A,1,0,2.5,own,,1\n", ", line 2: clips: expected a whole number from 0, found 2.5"),
        (HEADER + "/m/a,A,1,0,inf,own,,1\n", ", line 2: clips"),
        (HEADER + "/m/a,A,1,0,3,mine,,1\n", ", line 2: fitted: expected 'own' or 'shared', found 'mine'"),
        (HEADER + "/m/a,A,1,0,3,own,,2\n", ", line 2: schema_version: expected 1, found '2'"),
        (
            HEADER + "/m/a,A,1,0,3,own,0a,1\n/m/b,A,1,0,3,own,,1\n",
            ", line 3: weights: expected the same in every row, found '' and '0a'",
        ),
        (HEADER + '"/m/a"x,A,1,0,3,own,,1\n', ", line 2: not CSV"),
    ],
)
def test_a_damaged_file_is_told_with_its_line(text: str, message: str, tmp_path: Path) -> None:
    path = tmp_path / "calibration.csv"
    path.write_text(text, "utf-8")
    with pytest.raises(ConfigError) as caught:
        Calibration.read(path)
    assert str(caught.value).startswith(f"{path}{message}")
    path.write_bytes(b"mid\xff")
    with pytest.raises(ConfigError, match="expected CSV in UTF-8"):
        Calibration.read(path)
    with pytest.raises(ConfigError, match="can't be read"):
        Calibration.read(tmp_path)


def test_a_class_that_the_file_lacks_is_told(folder: Path, noise: Path) -> None:
    path = folder / "calibration.csv"
    path.write_text("".join(CALIBRATION.text().splitlines(keepends=True)[:3]), "utf-8")
    message = r"calibration\.csv: expected a row for each of the 3 classes .* none for own:gate \(Garden gate"
    tagger = arwkv_core.load(folder)
    for work in (tagger.tag, tagger.timeline, tagger.step_scores):
        with pytest.raises(ConfigError, match=message):
            work(noise)
    assert tagger.tag(noise, raw_scores=True).calibration is None
    with pytest.raises(ConfigError, match=message):
        arwkv_models.add(folder, "own")


def test_a_models_calibration_goes_with_it_and_is_verified(folder: Path) -> None:
    (folder / "reliability.svg").write_text("<svg/>")
    added = arwkv_models.add(folder, "own")
    assert Calibration.of_folder(added.folder) == CALIBRATION
    assert (added.folder / "reliability.svg").exists()
    added.verify()
    (added.folder / "calibration.csv").write_text(HEADER + "/m/a,A,1,0,3,own,,9\n")
    with pytest.raises(ConfigError, match="line 2: schema_version"):
        added.verify()


def test_a_calibration_of_other_weights_is_refused(folder: Path, noise: Path) -> None:
    path = folder / "calibration.csv"
    weights = ModelConfig.read(folder / "config.toml").weights_sha256[:16]
    path.write_text(dataclasses.replace(CALIBRATION, weights=weights).text(), "utf-8")
    tagger = arwkv_core.load(folder)
    assert tagger.tag(noise).calibration == CALIBRATION.digest
    path.write_text(dataclasses.replace(CALIBRATION, weights="0123456789abcdef").text(), "utf-8")
    for work in (tagger.tag, tagger.timeline, tagger.step_scores):
        with pytest.raises(
            ConfigError, match=f"of the weights {weights}… of config.toml, found .* 0123456789abcdef"
        ):
            work(noise)


def test_what_is_said_of_a_recording_is_calibrated_unless_told_otherwise(folder: Path, noise: Path) -> None:
    tagger = arwkv_core.load(folder, precision="fp32")
    curves = ScoreCurves(CURVES)
    raw = tagger.step_scores(noise, raw_scores=True).values
    found = tagger.step_scores(noise).values
    np.testing.assert_array_equal(found, curves.of_scores(raw))
    assert np.abs(found - raw).max() > 0.05

    tags, scores = tagger.tag(noise, pool="max"), tagger.tag(noise, pool="max", raw_scores=True)
    assert (tags.calibration, scores.calibration) == (CALIBRATION.digest, None)
    by_mid = {tag.mid: tag.max for tag in tags.tags}
    assert by_mid == dict(zip(THREE_LABELS.mids, found.max(0).tolist(), strict=True))
    assert {tag.mid: tag.max for tag in scores.tags} == dict(
        zip(THREE_LABELS.mids, raw.max(0).tolist(), strict=True)
    )
    assert arwkv_core.tag(noise, model=folder, precision="fp32", pool="max") == tags

    options = {"on": 0.02, "median": 0, "min_duration": 0, "merge_gap": 0, "roll_up": False}
    events, raw_events = (tagger.timeline(noise, raw_scores=way, **options) for way in (False, True))
    assert (events.calibration, raw_events.calibration) == (CALIBRATION.digest, None)
    assert events.settings["raw_scores"] is False
    highest = curves.of_scores(rounded(raw)).max(0)
    mids = {event.mid for event in events.events}
    assert mids
    for mid in mids:
        index = THREE_LABELS.index(mid)
        assert max(e.max for e in events.events if e.mid == mid) == highest[index]
    assert {e.max for e in raw_events.events} <= set(rounded(raw).ravel().tolist())


def test_thresholds_are_probabilities_and_are_turned_back_for_scores(folder: Path, noise: Path) -> None:
    (folder / "events.csv").write_text("mid,on,off\n*,0.4,\n/m/09x0r,0.3,0.2\n/m/04rlf,0.6,\n")
    defaults = EventDefaults.of_folder(folder, 0.1)
    assert defaults == EventDefaults(
        0.4, {"/m/09x0r": ClassDefaults(0.3, 0.2), "/m/04rlf": ClassDefaults(0.6)}, CALIBRATION, 0.1
    )
    raw = defaults.without_calibration()
    assert raw.calibration is None
    assert raw.active_threshold == 0.1
    speech, music = raw.classes["/m/09x0r"], raw.classes["/m/04rlf"]
    assert (speech.on, speech.off) == (score_of(CURVES[0], 0.3), score_of(CURVES[0], 0.2))
    assert (music.on, music.off) == (score_of(CURVES[1], 0.6), score_of(CURVES[1], OFF_SHARE * 0.6))
    tagger = arwkv_core.load(folder)
    assert tagger.tag(noise).active_threshold == 0.4
    assert tagger.tag(noise, raw_scores=True).active_threshold == three_class_config().active_threshold

    (folder / "events.csv").write_text("mid,on,off\n*,0.4,0.3\n")
    with pytest.raises(ConfigError, match=r"line 2: off: expected none for \*, only on holds for all"):
        EventDefaults.of_folder(folder)


def test_the_events_of_scores_are_those_of_probabilities() -> None:
    """With the thresholds of the folder: the numbers differ, the times don't."""
    rng = np.random.default_rng(5)
    logits = np.zeros((3000, 3))
    for step in range(1, 3000):
        logits[step] = 0.9 * logits[step - 1] + rng.normal(0, 1, 3)
    scores = (1 / (1 + np.exp(-logits))).astype(np.float32)
    own = {mid: ClassDefaults(0.37, 0.21) for mid in THREE_LABELS.mids}
    defaults = EventDefaults(0.5, own, CALIBRATION)
    found = []
    for raw in (False, True):
        search = EventPlan.of(EventSettings(raw_scores=raw), THREE_LABELS, defaults).search()
        search.add(scores[:1234])
        search.add_codes(encode(scores[1234:]))
        found.append([(e.start, e.end, e.mid) for e in search.finish(480)])
    assert len(found[0]) > 20
    assert found[0] == found[1]


def test_groups_compare_probabilities(tmp_path: Path) -> None:
    path = tmp_path / "groups.toml"
    path.write_text('[groups]\nall = ["Speech", "Music"]\n')
    plan = EventPlan.of(EventSettings(groups=path), THREE_LABELS, EventDefaults(calibration=CALIBRATION))
    codes = encode(np.array([[0.6, 0.3, 0.9], [0.2, 0.3, 0.1]], np.float32))
    expected = ScoreCurves(CURVES).of_scores(LEVELS[codes])[:, :2].max(1)
    np.testing.assert_array_equal(plan.scores_of(codes)[:, 0], expected)


def test_a_model_without_a_calibration_is_as_it_was(folder: Path, noise: Path) -> None:
    with_calibration = arwkv_core.load(folder).tag(noise, raw_scores=True)
    (folder / "calibration.csv").unlink()
    assert arwkv_core.load(folder).tag(noise) == with_calibration
    assert arwkv_core.load(folder).tag(noise, raw_scores=True) == with_calibration


def test_labels_in_another_order_keep_their_curves() -> None:
    labels = LabelSet(THREE_LABELS.mids[::-1], THREE_LABELS.names[::-1])
    found = ScoreCurves.of(CALIBRATION, labels)
    assert found.slope.tolist() == [curve.slope for curve in CURVES[::-1]]
    assert dataclasses.replace(CALIBRATION, source="x") == CALIBRATION

"""From a recording, or from its kept scores, to a timeline: through the library."""

import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from fake_scorer import LoudnessScorer

import arwkv_core
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.constants import STEP_SECONDS
from arwkv_core.errors import ConfigError, UsageError
from arwkv_core.event_defaults import EventDefaults
from arwkv_core.event_settings import EventSettings
from arwkv_core.recording import ScoreStream
from arwkv_core.score_file import StoredScores
from arwkv_core.score_store import scored
from arwkv_core.scores import step_edges
from arwkv_core.timelines import timeline_of

RATE = 32_000


@pytest.fixture
def bursts(tmp_path: Path) -> Path:
    """12.34 s: noise from 2 to 5 s and from 8 s to the end, silence else."""
    sound = np.zeros(int(12.34 * RATE), np.float32)
    noise = np.random.default_rng(0).normal(0, 0.2, len(sound)).astype(np.float32)
    for start, end in ((2, 5), (8, 13)):
        sound[start * RATE : end * RATE] = noise[start * RATE : end * RATE]
    path = tmp_path / "20260514_053000.wav"
    soundfile.write(path, sound, RATE)
    return path


def test_events_are_where_the_sound_is(bursts: Path) -> None:
    found = timeline_of(ScoreStream(LoudnessScorer(), str(bursts)))
    assert (found.file, found.model) == (str(bursts), "loudness")
    events = {name: [e for e in found.events if e.name == name] for name in ("Loud", "Quiet", "Half")}
    assert [(e.start, e.end) for e in events["Loud"]] == [
        (pytest.approx(2, abs=0.32), pytest.approx(5, abs=0.32)),
        (pytest.approx(8, abs=0.32), found.coverage.decoded_seconds),
    ]
    assert [(e.start, e.end) for e in events["Half"]] == [(0, found.coverage.decoded_seconds)]
    assert all(e.mid == "/m/loud" and 0.5 < e.mean <= e.max <= 1 for e in events["Loud"])
    assert found.events == sorted(found.events, key=lambda e: (e.start, e.name))
    edges = set(step_edges(found.coverage.steps, found.coverage.decoded_seconds))
    assert {e.start for e in found.events} | {e.end for e in found.events} <= edges
    assert found.settings["roll_up"] is True
    assert found.settings["on"] is None


def test_kept_scores_give_the_same_timeline(bursts: Path, tmp_path: Path) -> None:
    kept = tmp_path / "kept" / "x.scores.parquet"
    settings = EventSettings(on=0.6, off=0.4, median=0.8, merge_gap=1, include=["Loud", "/m/quiet"])
    streamed = timeline_of(ScoreStream(LoudnessScorer(), str(bursts)), settings)
    growing = timeline_of(scored(LoudnessScorer(), str(bursts), kept=kept), settings)
    reused = timeline_of(scored(LoudnessScorer(), str(bursts), kept=kept), settings)
    stored = timeline_of(StoredScores(kept), settings)
    assert streamed == growing == reused == stored
    assert {e.name for e in streamed.events} == {"Loud", "Quiet"}


def test_a_wrong_option_is_told_before_any_work(bursts: Path) -> None:
    scorer = LoudnessScorer()
    for settings, message in [
        ({"include": "Laud"}, "did you mean 'Loud'"),
        ({"exclude": ["Loud", "Quiet", "Half"]}, "no class is left"),
        ({"off": 0.7}, "--off: expected at most 0.5, where events of 'Loud' start by default"),
        ({"groups": "basic"}, "the model has none"),
    ]:
        with pytest.raises(UsageError, match=message):
            timeline_of(ScoreStream(scorer, str(bursts)), EventSettings(**settings))
    assert scorer.batches == []


@pytest.fixture
def model(tmp_path: Path) -> Path:
    folder = tmp_path / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


def test_the_public_function_and_the_method_of_a_tagger(bursts: Path, model: Path) -> None:
    options = {"on": 0.2, "off": 0.1, "min_duration": 0, "hop": 2, "channel": 0}
    found = arwkv_core.timeline(bursts, model=model, device="cpu", **options)
    tagger = arwkv_core.load(model, "cpu")
    assert tagger.timeline(bursts, **options) == found
    assert arwkv_core.timeline(bursts, model=tagger, **options) == found
    assert found.start_time is not None
    assert found.start_time.time == datetime(2026, 5, 14, 5, 30)
    told = tagger.timeline(bursts, start="2026-05-14T06:00:00+02:00")
    assert told.start_time is not None
    assert told.start_time.source == "option"


def test_numbers_of_the_models_folder_hold_where_the_user_gives_none(bursts: Path, model: Path) -> None:
    def starts(**options: object) -> dict[str, int]:
        events = arwkv_core.timeline(bursts, model=model, device="cpu", median=0, **options).events
        return {mid: sum(e.mid == mid for e in events) for mid in THREE_LABELS.mids}

    assert starts(on=0.0) == dict.fromkeys(THREE_LABELS.mids, 1)  # always on
    (model / "events.csv").write_text("mid,on,off\n/m/09x0r,1,1\n/m/04rlf,0,0\n", "utf-8")
    own = starts()
    assert (own["/m/09x0r"], own["/m/04rlf"]) == (0, 1)
    assert starts(on=0.0) == dict.fromkeys(THREE_LABELS.mids, 1)
    (model / "events.csv").write_text("mid,on\n/m/09x0r,loud\n", "utf-8")
    with pytest.raises(ConfigError, match=r"events.csv, line 2: on: expected a number, found 'loud'"):
        starts()


def test_kept_scores_know_the_folder_of_their_model_by_its_weights(
    bursts: Path, model: Path, own_arwkv_home: Path, tmp_path: Path
) -> None:
    (model / "events.csv").write_text("mid,on\n/m/09x0r,1\n", "utf-8")
    kept = tmp_path / "kept.scores.parquet"
    tagger = arwkv_core.load(model, "cpu")
    fresh = timeline_of(scored(tagger, str(bursts), kept=kept))
    built_in = timeline_of(StoredScores(kept), defaults=EventDefaults())
    assert EventDefaults.of_source(StoredScores(kept)) == EventDefaults()  # no model of that name in the zoo
    import arwkv_models

    arwkv_models.add(model, "gate")
    assert (arwkv_models.find("gate").folder / "events.csv").read_text() == "mid,on\n/m/09x0r,1\n"
    assert timeline_of(StoredScores(kept)) == fresh
    other = random_model(THREE_CLASSES)
    other.head.weight.data += 1
    gate = arwkv_models.find("gate").folder
    save_model_folder(gate, other, three_class_config(), THREE_LABELS, "card", overwrite=True)
    (gate / "events.csv").write_text("mid,on\n/m/09x0r,0\n", "utf-8")
    assert timeline_of(StoredScores(kept)) == built_in  # other weights


def test_kept_scores_need_no_torch(bursts: Path, tmp_path: Path) -> None:
    kept = tmp_path / "x.scores.parquet"
    list(scored(LoudnessScorer(), str(bursts), kept=kept))
    program = (
        "import sys; from arwkv_core.score_file import StoredScores; import arwkv_core\n"
        f"found = arwkv_core.timeline_of(StoredScores({str(kept)!r}))\n"
        "print(len(found.events), [m for m in ('torch', 'numba', 'soundfile', 'av') if m in sys.modules])"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout.split(maxsplit=1)[1].strip() == "[]"
    assert int(done.stdout.split()[0]) >= 4


def test_a_recording_of_one_frame(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "short.wav", np.full(800, 0.5, np.float32), RATE)
    found = timeline_of(
        ScoreStream(LoudnessScorer(), str(tmp_path / "short.wav")), EventSettings(min_duration=0)
    )
    assert {(e.start, e.end) for e in found.events} == {(0.0, 0.025)}
    none = timeline_of(ScoreStream(LoudnessScorer(), str(tmp_path / "short.wav")))
    assert none.events == []
    assert STEP_SECONDS > 0.025

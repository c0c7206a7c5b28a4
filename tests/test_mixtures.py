"""The long recordings of the standing benchmark: what is written is what is annotated, and seeds repeat them."""

import csv
from itertools import pairwise
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile
from ambient_corpus import RATE, make_ambient_corpus
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.timeline_reader import read_timelines
from arwkv_core.training.corpus import Corpus


@pytest.fixture
def scripts(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> Any:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))
    import mixtures  # type: ignore[import-not-found]  # a script's folder, on the path for this test only

    return mixtures


@pytest.fixture
def corpus(tmp_path: Path) -> Path:
    return make_ambient_corpus(tmp_path / "corpus")


def read(folder: Path) -> Corpus:
    return Corpus.read(folder / "manifest.csv", folder / "labels.csv")


def test_events_lie_where_their_sound_does(scripts: Any, corpus: Path, tmp_path: Path) -> None:
    (mixture,) = scripts.make_mixtures(read(corpus), tmp_path / "mix", minutes=0.5, seed=3)
    samples, rate = soundfile.read(mixture.path)
    assert (len(samples), rate) == (30 * RATE, RATE)
    assert np.abs(samples).max() < 1
    dogs = [event for event in mixture.events if event.column == 1]
    animals = [event for event in mixture.events if event.column == 3]
    speech = [event for event in mixture.events if event.column == 0]
    assert [(event.start, event.end) for event in mixture.events if event.column == 2] == [(0, 30)]
    assert (len(dogs), len(speech)) == (3, 3)
    assert [(each.start, each.stated) for each in animals] == [(each.start, False) for each in dogs]
    assert all(event.end - event.start == pytest.approx(1, abs=0.02) for event in [*dogs, *speech])
    with (tmp_path / "mix/placements.csv").open() as file:
        placements = list(csv.DictReader(file))
    starts = sorted(float(row["seconds"]) + 2 for row in placements)
    assert starts == pytest.approx(sorted(event.start for event in [*dogs, *speech]), abs=0.02)
    assert all(0 <= float(row["snr_db"]) <= 20 for row in placements)
    (timeline,) = read_timelines(tmp_path / "mix/annotations.tsv")
    assert Path(timeline.file) == mixture.path
    assert {event.name for event in timeline.events} == {"Speech", "Dog", "Animal", "Rain"}


def test_a_seed_repeats_the_recordings(scripts: Any, corpus: Path, tmp_path: Path) -> None:
    made = {}
    for name, seed in (("a", 1), ("b", 1), ("c", 2)):
        scripts.make_mixtures(read(corpus), tmp_path / name, minutes=0.5, seed=seed)
        made[name] = [path.read_bytes() for path in sorted((tmp_path / name).iterdir())]
    assert made["a"] == made["b"]
    assert made["a"] != made["c"]


def test_a_split_without_ambience_is_refused(scripts: Any, corpus: Path, tmp_path: Path) -> None:
    with pytest.raises(SystemExit, match="expected ambiences"):
        scripts.make_mixtures(read(corpus), tmp_path / "mix", split="train", minutes=0.5, seed=0)


def test_quiet_parts_and_gaps(scripts: Any) -> None:
    sound = np.zeros(4 * RATE, np.float32)
    assert scripts.audible(sound) == []
    sound[RATE : 2 * RATE] = 0.5
    sound[round(2.4 * RATE) : 3 * RATE] = 0.1  # after a gap of 0.4 s, 14 dB lower
    sound[round(3.8 * RATE) : round(3.85 * RATE)] = 0.1  # 50 ms
    sound[: RATE // 2] = 0.005  # 40 dB lower
    assert scripts.audible(sound) == [(RATE, 3 * RATE)]


@pytest.mark.parametrize("lengths", [[100], [40_000, 20], [300_000], [16_001, 33_000]])
def test_ambience_is_as_long_as_asked_and_never_stops(scripts: Any, lengths: list[int]) -> None:
    rng = np.random.default_rng(0)
    sounds = [rng.standard_normal(length).astype(np.float32) for length in lengths]
    bed = scripts.ambience_of(sounds, 200_003)
    assert bed.shape == (200_003,)
    blocks = np.sqrt(np.square(bed[:200_000]).reshape(-1, 4000).mean(1))
    expected = 10 ** (scripts.AMBIENCE_DB / 20)
    assert blocks.min() > 0.4 * expected
    assert blocks.max() < 2 * expected


@given(
    st.lists(st.tuples(st.floats(0, 9), st.floats(0.01, 3), st.integers(0, 2)), max_size=8),
)
def test_joined_events_cover_the_same_time(spans: list[tuple[float, float, int]]) -> None:
    from arwkv_core.evaluation.annotations import joined

    events = [(start, start + length, column) for start, length, column in spans]
    merged = joined(events)
    times = np.arange(0, 12, 0.0173)
    for column in range(3):
        before, after = (
            np.any([(times >= a) & (times < b) for a, b, k in each if k == column] or [times < 0], axis=0)
            for each in (events, merged)
        )
        assert (before == after).all()
        mine = [(a, b) for a, b, k in merged if k == column]
        assert all(first[1] < second[0] for first, second in pairwise(mine))

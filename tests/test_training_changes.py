"""What is done to training examples beyond cuts and masks: rooms, noise, backgrounds, lengths, bolder targets."""

import dataclasses
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st
from small_corpus import make_corpus, write_recipe

from arwkv_core.errors import ConfigError
from arwkv_core.training.augment import augment
from arwkv_core.training.batches import BatchMaker
from arwkv_core.training.corpus import Corpus
from arwkv_core.training.fingerprint import fingerprint
from arwkv_core.training.mel_store import SILENCE, MelStore, open_mel_store
from arwkv_core.training.recipe import AugmentationTable, DataTable, MixingTable, Recipe, SamplingTable
from arwkv_core.training.targets import tempered

STD = 4.5
STILL = AugmentationTable(time_masks=0, band_masks=0, gain_db=0.0, tilt_db=0.0)
NOISY = dataclasses.replace(STILL, noise_probability=1.0, noise_snr_db=0.0)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return make_corpus(tmp_path_factory.mktemp("corpus"))


@pytest.fixture(scope="module")
def corpus(folder: Path) -> Corpus:
    return Corpus.read(folder / "manifest.csv", folder / "labels.csv", folder / "teacher_frames.npz")


@pytest.fixture(scope="module")
def mels(folder: Path, corpus: Corpus) -> MelStore:
    return open_mel_store([clip.path for clip in corpus.clips], folder / "cache", progress=False)


@pytest.fixture
def recipe(tmp_path: Path) -> Recipe:
    return Recipe.read(write_recipe(tmp_path / "small.toml"))


def changed(fbank: np.ndarray, table: AugmentationTable, seed: int = 0) -> np.ndarray:
    copy = fbank.copy()
    augment(np.random.default_rng(seed), copy, table, STD)
    return copy


@given(st.integers(0, 1000))
def test_a_room_adds_a_tail_that_dies_away(seed: int) -> None:
    click = np.full((1, 300, 128), -10 / STD, np.float32)
    click[0, 40] = 3.0
    table = dataclasses.replace(STILL, reverberation_probability=1.0, reverberation_seconds=1.0)
    heard = changed(click, table, seed)[0]
    np.testing.assert_array_equal(heard[0], click[0, 0])  # nothing is heard before there was a sound
    assert (heard[40:] >= click[0, 40:] - 1e-5).all(), "a room takes no energy away"
    assert heard[40, 0] == pytest.approx(3.0, abs=0.01), "the sound itself stays"
    quiet = changed(np.full_like(click, -10 / STD), table, seed)[
        0
    ]  # what little sounds everywhere has a tail too
    tail = np.exp(heard[41:, 7] * STD) - np.exp(quiet[41:, 7] * STD)
    falls = np.diff(np.log(tail[tail > np.exp(-8.0)]))
    assert len(falls) > 2
    # the same share is kept from frame to frame: 60 dB in 0.1 to 1 second
    np.testing.assert_allclose(falls, falls[0], atol=2e-3)
    assert -6 * 0.01 / 0.1 * np.log(10) - 1e-3 <= falls[0] <= -6 * 0.01 / 1.0 * np.log(10) + 1e-3


@given(st.integers(0, 1000))
def test_a_steady_sound_gets_louder_by_its_tail(seed: int) -> None:
    steady = np.zeros((1, 400, 128), np.float32)
    table = dataclasses.replace(STILL, reverberation_probability=1.0, reverberation_seconds=0.5)
    heard = changed(steady, table, seed)[0, -1]
    gain = 10 * np.log10(np.exp(heard * STD))
    assert gain.max() - gain.min() < 1e-3
    assert 10 * np.log10(1.01) - 0.01 <= gain[0] <= 10 * np.log10(2) + 0.01  # a tail 20 to 0 dB below


@given(st.integers(0, 1000))
def test_noise_is_steady_and_as_loud_as_asked(seed: int) -> None:
    quiet = np.full((1, 2000, 128), -20 / STD, np.float32)
    quiet[0, :200] = 0.0  # so its mean energy is a tenth
    noise = changed(quiet, NOISY, seed)[0, 200:] * STD
    levels = np.log(np.exp(noise.astype(np.float64)).mean(0))
    assert 10 / np.log(10) * levels[63:65].mean() == pytest.approx(-10, abs=0.7)
    steps = np.diff(levels)
    assert np.abs(steps - steps.mean()).max() < 0.6, "its colour is a line"
    first, second = np.exp(noise[:900]).mean(0), np.exp(noise[900:]).mean(0)
    np.testing.assert_allclose(np.log(first), np.log(second), atol=0.5)
    assert noise.std(0).min() > 0.2, "a number that does not change is no noise"


def test_what_sounds_stays_beside_noise() -> None:
    loud = np.full((2, 100, 128), 2.0, np.float32)
    table = dataclasses.replace(NOISY, noise_snr_db=60.0)
    assert (changed(loud, table) >= loud - 1e-6).all()


def test_changes_that_are_off_draw_nothing() -> None:
    some = np.random.default_rng(1).standard_normal((3, 64, 128)).astype(np.float32)
    table = AugmentationTable()
    longer = dataclasses.replace(table, noise_snr_db=3.0, reverberation_seconds=0.2)
    np.testing.assert_array_equal(changed(some, table), changed(some, longer))


def test_silence_stays_finite() -> None:
    silence = np.full((2, 50, 128), SILENCE, np.float32) / STD
    table = dataclasses.replace(NOISY, reverberation_probability=1.0)
    for seed in range(20):
        assert np.isfinite(changed(silence, table, seed)).all()


def test_more_rounds_hold_more_sounds(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    still = dataclasses.replace(recipe, augmentation=STILL)

    def sums(rounds: int) -> float:
        table = MixingTable(probability=1.0, rounds=rounds)
        maker = BatchMaker(dataclasses.replace(still, mixing=table), corpus, mels)
        return float(np.mean([maker(step).steps.sum(-1).mean() for step in range(20)]))

    assert sums(1) < sums(2) < sums(4) <= 3


def test_a_background_is_one_clip_from_end_to_end(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    table = MixingTable(probability=1.0, background=1.0)
    maker = BatchMaker(dataclasses.replace(recipe, mixing=table), corpus, mels)
    for seed in range(30):
        plan = maker._partners(np.random.default_rng(seed), 4, 37)
        for cuts in plan:
            assert len({cut.clip for cut in cuts}) == 1
            assert [cut.at for cut in cuts] == list(np.cumsum([0, *(cut.steps for cut in cuts[:-1])]))
            assert sum(cut.steps for cut in cuts) == 37
            assert all(cut.start == 0 for cut in cuts[1:])
            frames = len(mels[cuts[0].clip])
            assert all(cut.start + 16 * cut.steps <= frames for cut in cuts)
    batch = maker(0)
    assert np.isfinite(batch.fbank).all()
    assert not batch.pure.any()


def test_mixed_stages_come_side_by_side(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    sampling = SamplingTable(seconds=[0.8, 1.6], until=[0.7, 1.0], batch=[6, 3], mixed=True)
    mixed = dataclasses.replace(recipe, sampling=sampling)
    stages = [mixed.stage(step) for step in range(2000)]
    assert np.mean(stages) == pytest.approx(0.3, abs=0.05)
    assert 0 < np.mean(stages[:100]) < 1
    assert stages == [mixed.stage(step) for step in range(2000)]
    assert stages != [dataclasses.replace(mixed, seed=8).stage(step) for step in range(2000)]
    maker = BatchMaker(mixed, corpus, mels)
    shapes = {0: (6, 80, 128), 1: (3, 160, 128)}
    assert all(maker(step).fbank.shape == shapes[stages[step]] for step in range(10))


def test_a_temperature_divides_log_odds() -> None:
    scores = np.float32([0, 0.1, 0.5, 0.9, 1])
    assert tempered(scores, 1.0) is scores
    bolder = tempered(scores, 0.5)
    assert bolder.dtype == np.float32
    np.testing.assert_allclose(bolder, [0, 1 / 82, 0.5, 81 / 82, 1], rtol=1e-5)
    np.testing.assert_allclose(tempered(bolder, 2.0), scores, atol=1e-6)


def test_bolder_targets_leave_what_is_known(recipe: Recipe, corpus: Corpus, mels: MelStore) -> None:
    table = MixingTable(kind="none")
    bold = dataclasses.replace(recipe, mixing=table, data=DataTable(temperature=0.5))
    found = BatchMaker(bold, corpus, mels)(0).steps
    stated = np.append(tempered(np.float32([10 / 255, 230 / 255]), 0.5), 1)
    assert np.isclose(found[..., None], stated).any(-1).all(), np.unique(found)
    assert found.max() == 1


@pytest.mark.parametrize(
    ("table", "entry"),
    [
        ("data", "temperature = 0.0"),
        ("mixing", "rounds = 0"),
        ("mixing", "background = 1.5"),
        ("augmentation", "noise_snr_db = -1.0"),
        ("augmentation", "reverberation_seconds = 0.01"),
    ],
)
def test_a_number_out_of_range_is_named(tmp_path: Path, table: str, entry: str) -> None:
    path = tmp_path / "recipe.toml"
    path.write_text(f'name = "x"\n[{table}]\n{entry}\n')
    with pytest.raises(ConfigError, match=f"{table}.{entry.split()[0]}"):
        Recipe.read(path)


def test_runs_of_older_versions_go_on(recipe: Recipe, corpus: Corpus) -> None:
    mark = fingerprint(recipe, corpus, "")
    assert mark == "0c2399790e3ab09321788b4814a0a2470fbff1f260e7f0f422a8c0eeac338bf4", (
        "as before these entries"
    )
    other = dataclasses.replace(recipe, mixing=dataclasses.replace(recipe.mixing, rounds=2))
    assert fingerprint(other, corpus, "") != mark
    unused = dataclasses.replace(recipe, sampling=dataclasses.replace(recipe.sampling, mixed=True))
    assert fingerprint(unused, corpus, "") != mark

"""A loaded model: log-mels to scores, options checked before work, one result for command and library."""

import dataclasses
import inspect
from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fake_models import PUBLISHED, THREE_CLASSES, THREE_LABELS, random_model, three_class_config

import arwkv_core
from arwkv_cli.tag import tag as tag_command
from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.device import choose_device
from arwkv_core.errors import AudioError, FeatureError, ModelNotFound, UsageError
from arwkv_core.features import log_mel
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import ModelConfig
from arwkv_core.tagger import Tagger, load, tag


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    """Length-free, sigmoid, three classes."""
    return Tagger(random_model(THREE_CLASSES), three_class_config(), THREE_LABELS)


@pytest.fixture(scope="module")
def published() -> Tagger:
    """Absolute positions, softmax, AudioSet's classes."""
    config = ModelConfig(name="published", architecture=PUBLISHED, score_function="softmax")
    return Tagger(random_model(PUBLISHED), config, LabelSet.audioset())


@pytest.fixture(scope="module")
def noise(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """14.3 s of noise that grows louder."""
    path = tmp_path_factory.mktemp("sound") / "noise.wav"
    samples = np.random.default_rng(1).normal(0, 0.05, round(14.3 * SAMPLE_RATE)).astype(np.float32)
    samples *= np.linspace(0.01, 3, len(samples), dtype=np.float32)
    soundfile.write(path, samples, SAMPLE_RATE, subtype="FLOAT")
    return path


def features(frames: int) -> np.ndarray:
    return np.random.default_rng(frames).normal(-5, 3, (frames, 128)).astype(np.float32)


@pytest.mark.parametrize("frames", [1, 15, 16, 17, 300, 992])
@pytest.mark.parametrize("which", ["tagger", "published"])
def test_scores_of_any_length_up_to_the_window(
    which: str, frames: int, request: pytest.FixtureRequest
) -> None:
    model: Tagger = request.getfixturevalue(which)
    scores = model.scores(features(frames))
    assert scores.shape == (1, -(-frames // 16), len(model.labels))
    assert scores.dtype == np.float32
    assert ((scores >= 0) & (scores <= 1)).all()
    if which == "published":
        assert scores.sum(axis=2) == pytest.approx(1, abs=1e-5)
    assert model.embed(features(frames)).shape == (1, -(-frames // 16), 64)


def test_scores_are_those_of_the_normalised_network(tagger: Tagger) -> None:
    batch = np.stack([features(320), features(320) + 1])
    fbank = (torch.from_numpy(batch)[:, None] - tagger.config.mean) / tagger.config.std
    with torch.no_grad():
        expected = torch.sigmoid(tagger.model.step_logits(fbank)).numpy()
    np.testing.assert_allclose(tagger.scores(batch), expected, atol=1e-6)


def test_padding_is_zeros_before_normalisation(published: Tagger) -> None:
    padded = np.concatenate([features(100), np.zeros((892, 128), np.float32)])
    np.testing.assert_allclose(published.scores(features(100)), published.scores(padded)[:, :7], atol=1e-6)


def test_a_length_free_model_hears_its_last_frame_to_the_end_of_the_step(tagger: Tagger) -> None:
    """Zeros, which the published training pads with, are loud: log-mels of silence lie near -16."""
    padded = np.concatenate([features(100), np.repeat(features(100)[-1:], 12, axis=0)])
    np.testing.assert_allclose(tagger.scores(features(100)), tagger.scores(padded), atol=1e-6)


def test_a_length_free_model_takes_more_than_its_window_and_the_other_refuses(
    tagger: Tagger, published: Tagger
) -> None:
    assert tagger.scores(features(1200)).shape == (1, 75, 3)
    with pytest.raises(FeatureError, match="at most 992 frames, the model's window, found 993"):
        published.scores(features(993))


@pytest.mark.parametrize("shape", [(128,), (10, 64), (0, 128), (1, 1, 10, 128)])
def test_features_of_another_shape_are_refused(tagger: Tagger, shape: tuple[int, ...]) -> None:
    with pytest.raises(FeatureError, match=r"expected \(frames, 128\)"):
        tagger.scores(np.zeros(shape, np.float32))


def test_the_result_is_that_of_the_steps(tagger: Tagger, noise: Path) -> None:
    steps = tagger.step_scores(noise)
    result = tagger.tag(noise, top_k=3)
    assert steps.values.shape == (90, 3)
    assert steps.edges[-1] == 14.3
    lengths = np.diff(steps.edges)
    for found in result.tags:
        column = steps.values[:, THREE_LABELS.index(found.mid)]
        assert found.mean == pytest.approx(np.average(column, weights=lengths))
        assert found.max == column.max()
        assert found.active_seconds == pytest.approx(lengths[column >= 0.5].sum())
    assert result.scores == sorted(result.scores, reverse=True)
    assert result.file == str(noise)
    assert result.model == "gate"
    assert (result.coverage.decoded_seconds, result.coverage.steps) == (14.3, 90)
    assert result.coverage.header_seconds == pytest.approx(14.3)


def test_a_recording_of_one_window_is_the_window(tagger: Tagger, tmp_path: Path) -> None:
    samples = np.random.default_rng(2).normal(0, 0.1, 5 * SAMPLE_RATE).astype(np.float32)
    soundfile.write(tmp_path / "short.wav", samples, SAMPLE_RATE, subtype="FLOAT")
    steps = tagger.step_scores(tmp_path / "short.wav")
    np.testing.assert_allclose(steps.values, tagger.scores(log_mel(samples))[0], atol=1e-5)


def test_ways_to_name_the_same_recording(tagger: Tagger, noise: Path) -> None:
    by_path, by_name = tag(noise, model=tagger), tag(str(noise), model=tagger)
    with noise.open("rb") as file:
        by_file = tag(file, model=tagger)
    assert by_path == by_name == by_file


def test_options_reach_their_places(tagger: Tagger, noise: Path) -> None:
    result = tag(noise, model=tagger, top_k=2, include=["Music", "speech"], pool="max", active_threshold=0.0)
    assert set(result.names) == {"Music", "Speech"}
    assert {found.active_seconds for found in result.tags} == {14.3}
    assert (result.pool, result.active_threshold) == ("max", 0.0)
    assert tag(noise, model=tagger, threshold=1.0).tags == []
    whole = tagger.step_scores(noise, hop=9.92).values
    assert not np.allclose(whole, tagger.step_scores(noise, hop=0.96).values, atol=1e-7)


@pytest.mark.parametrize(
    "options",
    [
        {"top_k": 0},
        {"threshold": 2},
        {"pool": "sum"},
        {"hop": 10},
        {"active_threshold": 1.1},
        {"active_threshold": float("nan")},
        {"include": ["Violin"]},
    ],
)
def test_options_are_checked_before_the_recording_is_opened(
    tagger: Tagger, options: dict[str, object]
) -> None:
    with pytest.raises(UsageError):
        tagger.tag("not-there.wav", **({"top_k": 3} | options))


def test_a_missing_recording_is_an_error_that_names_it(tagger: Tagger) -> None:
    with pytest.raises(AudioError, match=r"not-there\.wav"):
        tagger.tag("not-there.wav", top_k=3)


def test_load_takes_a_folder_and_public_names_lead_here(tmp_path: Path, noise: Path) -> None:
    model = random_model(THREE_CLASSES)
    save_model_folder(tmp_path / "gate", model, three_class_config(), THREE_LABELS, "card")
    tagger = arwkv_core.load(tmp_path / "gate", device="cpu")
    assert isinstance(tagger, arwkv_core.Tagger)
    assert (tagger.name, tagger.device.type, tagger.window_frames) == ("gate", "cpu", 992)
    result = arwkv_core.tag(noise, model=tmp_path / "gate", top_k=3)
    assert isinstance(result, arwkv_core.TagResult)
    assert result == tagger.tag(noise, top_k=3)
    with pytest.raises(ModelNotFound):
        load(tmp_path / "none")


def test_another_window_is_obeyed(noise: Path) -> None:
    arch = Architecture(depth=1, width=64, classes=3, position="absolute", frames=320)
    config = dataclasses.replace(three_class_config(), architecture=arch)
    tagger = Tagger(random_model(arch), config, THREE_LABELS)
    assert tagger.step_scores(noise).values.shape == (90, 3)


def test_a_device_that_is_not_there_is_wrong_usage() -> None:
    for device in ("abacus", "cuda:99"):
        with pytest.raises(UsageError, match=f"--device {device}: "):
            choose_device(device)
    assert choose_device("cpu") == torch.device("cpu")
    assert choose_device().type in ("cpu", "cuda")


def test_option_names_are_parameter_names() -> None:
    command = inspect.signature(tag_command).parameters
    library = inspect.signature(tag).parameters
    method = inspect.signature(Tagger.tag).parameters
    assert set(library) - set(command) == {"path"}  # the command takes several files
    assert set(method) - set(library) == {"self", "progress"}
    for name in set(library) - {"path"}:
        assert command[name].default == library[name].default, name
    for name in set(method) & set(library):
        assert method[name].default == library[name].default, name

"""HEAR's API: what its validator checks, and the same vectors as ``arwkv embed``, whatever else is in a batch."""

from pathlib import Path

import numpy as np
import pytest
import soundfile
import torch
from fake_models import THREE_LABELS, published_file, random_model, three_class_config

from arwkv_core import hear
from arwkv_core.constants import SAMPLE_RATE
from arwkv_core.errors import FeatureError, ModelNotFound
from arwkv_core.hear import HearModel, get_scene_embeddings, get_timestamp_embeddings, load_model
from arwkv_core.tagger import Tagger


@pytest.fixture(scope="module")
def model() -> HearModel:
    config = three_class_config()
    return HearModel(Tagger(random_model(config.architecture), config, THREE_LABELS))


def noise(sounds: int, samples: int) -> torch.Tensor:
    generator = torch.Generator().manual_seed(samples)
    return (torch.rand(sounds, samples, generator=generator) * 2 - 1) * 0.5


def test_the_bundled_model_passes_the_checks_of_hear_validator() -> None:
    """Those of hearvalidator 2021.0.2, which itself wants tensorflow, with the rates that HEAR offers since."""
    loaded = hear.load_model()
    assert isinstance(loaded, torch.nn.Module)
    loaded.to("cpu")
    assert loaded.sample_rate in (16_000, 22_050, 32_000, 44_100, 48_000)
    assert isinstance(loaded.scene_embedding_size, int)
    assert isinstance(loaded.timestamp_embedding_size, int)
    audio = torch.rand(16, 2 * loaded.sample_rate) * 2 - 1
    embeddings, timestamps = hear.get_timestamp_embeddings(audio, loaded)
    assert embeddings.dtype == torch.float32
    assert embeddings.shape[0] == 16
    assert embeddings.shape[:2] == timestamps.shape
    assert embeddings.shape[2] == loaded.timestamp_embedding_size
    spacing = torch.diff(timestamps)
    assert (abs(spacing - spacing.mean()) < 1e-3).all()
    scenes = hear.get_scene_embeddings(torch.rand(8, int(3.74 * loaded.sample_rate)) * 2 - 1, loaded)
    assert scenes.dtype == torch.float32
    assert scenes.shape == (8, loaded.scene_embedding_size)


@pytest.mark.parametrize("samples", [800, 5_001, 317_840, 700_001])
def test_equal_to_what_embed_gives(samples: int, model: HearModel, tmp_path: Path) -> None:
    audio = noise(3, samples)
    embeddings, timestamps = get_timestamp_embeddings(audio, model)
    scenes = get_scene_embeddings(audio, model)
    for index, sound in enumerate(audio):
        path = tmp_path / f"{index}.wav"
        soundfile.write(path, sound.numpy(), SAMPLE_RATE, subtype="FLOAT")
        steps = model.tagger.embeddings(path, level="step")
        np.testing.assert_allclose(embeddings[index], steps.vectors, atol=2e-5)
        middles = steps.starts * 1000 + 80
        np.testing.assert_allclose(timestamps[index], middles, rtol=1e-6)
        whole = model.tagger.embeddings(path, level="recording")
        np.testing.assert_allclose(scenes[index], whole.vectors[0], atol=2e-5)


@pytest.mark.parametrize("samples", [0, 799, 40_000, 330_001])
def test_a_sound_does_not_hear_its_neighbours(samples: int, model: HearModel) -> None:
    audio = noise(11, samples)  # more than the model takes at once
    embeddings, timestamps = get_timestamp_embeddings(audio, model)
    scenes = get_scene_embeddings(audio, model)
    assert embeddings.shape[:2] == timestamps.shape
    assert torch.isfinite(embeddings).all()
    for index in (0, 7, 10):
        alone, times = get_timestamp_embeddings(audio[index : index + 1], model)
        torch.testing.assert_close(alone[0], embeddings[index], atol=2e-5, rtol=0)
        assert torch.equal(times[0], timestamps[index])
        scene = get_scene_embeddings(audio[index : index + 1], model)
        torch.testing.assert_close(scene[0], scenes[index], atol=2e-5, rtol=0)


def test_too_little_sound_is_padded_with_silence(model: HearModel) -> None:
    short = noise(2, 500)
    padded = torch.nn.functional.pad(short, (0, 300))
    assert torch.equal(get_scene_embeddings(short, model), get_scene_embeddings(padded, model))
    assert get_timestamp_embeddings(short, model)[1].tolist() == [[80.0], [80.0]]


def test_what_is_no_number_is_silence(model: HearModel) -> None:
    audio = noise(1, 20_000)
    audio[0, 1_000:2_000] = 0
    broken = audio.clone()
    broken[0, 1_000:1_500], broken[0, 1_500:2_000] = torch.nan, torch.inf
    assert torch.equal(get_scene_embeddings(broken, model), get_scene_embeddings(audio, model))


def test_an_empty_batch_is_no_error(model: HearModel) -> None:
    embeddings, timestamps = get_timestamp_embeddings(torch.zeros(0, 32_000), model)
    assert embeddings.shape == (0, 7, 64)
    assert timestamps.shape == (0, 7)
    assert get_scene_embeddings(torch.zeros(0, 32_000), model).shape == (0, 64)


def test_gradients_and_other_types_do_no_harm(model: HearModel) -> None:
    audio = noise(1, 20_000)
    wanted = get_scene_embeddings(audio, model)
    got = get_scene_embeddings(audio.requires_grad_(), model)
    assert torch.equal(got, wanted)
    head = torch.nn.Linear(64, 2)  # what a user trains on top
    head(got).sum().backward()
    assert head.weight.grad is not None
    double = get_scene_embeddings(audio.detach().double(), model)
    torch.testing.assert_close(double, wanted)
    assert torch.equal(model(audio), wanted)
    transposed = noise(20_000, 1).T  # not contiguous
    assert torch.equal(
        get_scene_embeddings(transposed, model), get_scene_embeddings(transposed.contiguous(), model)
    )


@pytest.mark.parametrize(
    "audio",
    [torch.zeros(32_000), torch.zeros(1, 1, 32_000), torch.zeros(1, 32_000, dtype=torch.int16), [0.0]],
)
def test_another_shape_or_type_is_refused(audio: torch.Tensor, model: HearModel) -> None:
    with pytest.raises(FeatureError, match=r"audio: expected a floating tensor \(n_sounds, n_samples\)"):
        get_scene_embeddings(audio, model)
    with pytest.raises(FeatureError, match=r"audio: expected a floating tensor \(n_sounds, n_samples\)"):
        get_timestamp_embeddings(audio, model)


def test_a_model_is_named_or_lies_in_a_file(tmp_path: Path) -> None:
    published = load_model(str(published_file(tmp_path / "published.pth")))
    assert published.scene_embedding_size == 64
    embeddings, _ = get_timestamp_embeddings(
        noise(1, 330_000), published
    )  # longer than its table of positions
    assert embeddings.shape == (1, 65, 64)
    assert load_model("a-rwkv-t-open").scene_embedding_size == load_model().scene_embedding_size
    with pytest.raises(ModelNotFound):
        load_model("no-such-model")


def test_weights_move_with_the_model(model: HearModel) -> None:
    names = {name for name, _ in model.named_parameters()}
    assert names == {f"network.{name}" for name, _ in model.tagger.model.named_parameters()}

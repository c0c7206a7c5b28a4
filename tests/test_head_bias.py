"""A head may have a bias, in model folders only; configs and weights without one are what they were."""

import dataclasses
from pathlib import Path

import pytest
import torch
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from safetensors.torch import load_file

from arwkv_core.checkpoint import load_model, save_model_folder
from arwkv_core.errors import ConfigError
from arwkv_core.model import ARWKV
from arwkv_core.model_config import ModelConfig

BIASED = dataclasses.replace(THREE_CLASSES, head_bias=True)


def test_the_bias_is_kept_and_added(tmp_path: Path) -> None:
    model = random_model(BIASED, torch.float32)
    config = dataclasses.replace(three_class_config(), architecture=BIASED)
    save_model_folder(tmp_path / "biased", model, config, THREE_LABELS, "# Biased\n", dtype=None)
    loaded, read, _ = load_model(tmp_path / "biased")
    assert read.architecture == BIASED
    torch.testing.assert_close(loaded.head.bias, model.head.bias, rtol=0, atol=0)
    fbank = torch.randn(1, 1, 48, 128)
    plain = ARWKV(THREE_CLASSES).eval()
    plain.load_state_dict({key: value for key, value in loaded.state_dict().items() if key != "head.bias"})
    with torch.inference_mode():
        torch.testing.assert_close(loaded.step_logits(fbank), plain.step_logits(fbank) + loaded.head.bias)


def test_an_untrained_bias_is_zero() -> None:
    assert torch.equal(ARWKV(BIASED).head.bias, torch.zeros(3))


def test_a_config_without_it_is_written_and_read_as_before(tmp_path: Path) -> None:
    save_model_folder(
        tmp_path / "plain", random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "# P\n"
    )
    text = (tmp_path / "plain" / "config.toml").read_text()
    assert "head_bias" not in text
    assert not ModelConfig.from_toml(text).architecture.head_bias
    wrong = text.replace('position = "frequency"', 'position = "frequency"\nhead_bias = 1')
    with pytest.raises(ConfigError, match=r"architecture\.head_bias: expected true or false, found 1"):
        ModelConfig.from_toml(wrong)


def test_each_tensor_takes_the_smallest_form_that_holds_it(tmp_path: Path) -> None:
    model = random_model(THREE_CLASSES)  # of bfloat16 numbers
    with torch.no_grad():
        model.head.weight += 1e-6
    save_model_folder(tmp_path / "mixed", model, three_class_config(), THREE_LABELS, "# M\n", dtype=None)
    stored = load_file(tmp_path / "mixed" / "model.safetensors")
    assert stored["head.weight"].dtype == torch.float32
    assert {value.dtype for key, value in stored.items() if key != "head.weight"} == {torch.bfloat16}
    loaded, _, _ = load_model(tmp_path / "mixed")
    for key, value in model.state_dict().items():
        assert torch.equal(loaded.state_dict()[key], value), key

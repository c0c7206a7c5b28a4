"""``config.toml``: read strictly, written back without loss."""

import dataclasses
import sys
from pathlib import Path

import numpy as np
import pytest
from fake_models import three_class_config
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.architecture import Architecture
from arwkv_core.errors import ConfigError
from arwkv_core.model_config import ModelConfig
from arwkv_core.toml_writer import toml_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SAVED = dataclasses.replace(three_class_config(), weights_sha256="0" * 64)

text = st.text(st.characters(exclude_categories=["Cs"]), max_size=12)
numbers = st.integers(-(2**63), 2**63 - 1) | st.floats(allow_nan=False)
scalars = text | numbers | st.booleans()
values = st.recursive(
    scalars,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(text, inner, max_size=3),
    max_leaves=8,
)


@given(st.dictionaries(text, values, max_size=5))
def test_tables_are_written_as_they_are_read(tables: dict[str, object]) -> None:
    assert tomllib.loads(toml_text(tables)) == tables


@given(st.dictionaries(text, values, max_size=4))
def test_a_config_is_written_as_it_is_read(free: dict[str, object]) -> None:
    config = dataclasses.replace(SAVED, training=free, metrics={"test": free})
    assert ModelConfig.from_toml(config.to_toml()) == config


def test_a_hop_is_written_as_it_is_read() -> None:
    config = dataclasses.replace(SAVED, hop_frames=496)
    assert "hop = 496" in config.to_toml()
    assert ModelConfig.from_toml(config.to_toml()) == config
    assert "hop" not in SAVED.to_toml()


def test_numbers_of_numpy_are_written_as_numbers() -> None:
    assert toml_text({"map": np.float64(0.25)}) == "map = 0.25\n"


@pytest.mark.parametrize("value", [None, np.float32(1), {1: 2}, "\ud800", [object()]])
def test_what_toml_cannot_hold_is_refused_with_its_key(value: object) -> None:
    with pytest.raises(ConfigError, match=r"metrics\.a"):
        toml_text({"metrics": {"a": value}})


def test_an_unsaved_config_is_not_written() -> None:
    with pytest.raises(ConfigError, match="never saved"):
        three_class_config().to_toml()


def test_the_window_is_that_of_the_architecture() -> None:
    config = ModelConfig("a", Architecture(1, 64, 2, frames=160), "softmax")
    assert config.window_frames == 160
    assert config.sample_rate == 32_000


@pytest.mark.parametrize(
    ("old", "new", "message"),
    [
        ("schema_version = 1", "", "schema_version: missing, expected 1"),
        ("schema_version = 1", "schema_version = 2", "schema_version: expected 1, found 2"),
        ("schema_version = 1", "schema_version = true", "schema_version: expected 1, found True"),
        ('name = "gate"', "name = 7", "name: expected text, found 7"),
        ('name = "gate"', 'name = ""', "name: expected a name in one line, found ''"),
        ('name = "gate"', "", "name: missing, expected text"),
        ('name = "gate"', 'name = "gate"\ncolour = 1', "colour: unknown key, expected schema_version, name"),
        ("depth = 1", "deep = 1", "architecture.depth: missing, expected a whole number"),
        ("depth = 1", "depth = 1\ndeep = 1", "architecture.deep: unknown key, expected depth, width"),
        ("depth = 1", "depth = 1.0", "architecture.depth: expected a whole number, found 1.0"),
        ("depth = 1", "depth = true", "architecture.depth: expected a whole number, found True"),
        ("depth = 1", "depth = 0", "depth must be at least 1, found 0"),
        ("depth = 1", "depth = 1000000000", "architecture.depth: expected at most 1000, found 1000000000"),
        ("width = 64", "width = 100", "width must be a multiple of 64, found 100"),
        ("classes = 3", "classes = -3", "classes must be at least 1, found -3"),
        ('"frequency"', '"frequencies"', "position must be 'absolute' or 'frequency', found 'frequencies'"),
        ("std = 4.32408", "std = 0", "front_end.std: expected a finite number above 0, found 0.0"),
        ("std = 4.32408", "std = nan", "front_end.std: expected a finite number above 0, found nan"),
        ("std = 4.32408", f"std = 1{'0' * 400}", "front_end.std: expected a number"),
        ("mean = -4.421761", "mean = -inf", "front_end.mean: expected a finite number, found -inf"),
        ("mean = -4.421761", 'mean = "-4"', "front_end.mean: expected a number, found '-4'"),
        ("kaldi-log-mel", "mfcc", "front_end.kind: expected 'kaldi-log-mel', found 'mfcc'"),
        ("sample_rate = 32000", "sample_rate = 16000", "front_end.sample_rate: expected 32000, found 16000"),
        ('"sigmoid"', '"sigmoids"', "scores.function: expected 'sigmoid' or 'softmax', found 'sigmoids'"),
        ("active_threshold = 0.5", "active_threshold = 1.5", "scores.active_threshold: expected 0 < x < 1"),
        ("frames = 992", "frames = 1000", "frames must be a multiple of 16, found 1000"),
        ("frames = 992", "frames = 992\nhop = 1000", "window.hop: expected a multiple of 16 up to 992"),
        ("frames = 992", "frames = 992\nhop = 0.5", "window.hop: expected a whole number, found 0.5"),
        ("[window]\n", "", "scores.frames: unknown key"),
        ("[training]", "[trainings]", "trainings: unknown key"),
        ("clips = 120", "clips = 2026-01-01", "training.clips: expected text, a number"),
        (
            'file = "model.safetensors"',
            'file = "../a.safetensors"',
            "weights.file: expected the name of a file",
        ),
        ("0" * 64, "0" * 63, "weights.sha256: expected 64 hexadecimal digits"),
        ("0" * 64, "", "weights.sha256: expected 64 hexadecimal digits, found ''"),
        ("[architecture]", "[architecture", "not TOML"),
        ("[architecture]", "[[architecture]]", "architecture: expected a table"),
    ],
)
def test_a_wrong_entry_is_refused_with_file_and_key(tmp_path: Path, old: str, new: str, message: str) -> None:
    good = SAVED.to_toml()
    assert good.count(old) == 1
    file = tmp_path / "config.toml"
    file.write_text(good.replace(old, new))
    with pytest.raises(ConfigError) as caught:
        ModelConfig.read(file)
    assert str(caught.value).startswith(f"{file}: ")
    assert message in str(caught.value)


def test_an_unreadable_config_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ConfigError, match=r"none\.toml: can't be read: No such file"):
        ModelConfig.read(tmp_path / "none.toml")
    (tmp_path / "a.toml").write_bytes(b"name = '\xff'")
    with pytest.raises(ConfigError, match=r"a\.toml: expected TOML in UTF-8"):
        ModelConfig.read(tmp_path / "a.toml")


def test_a_whole_number_may_stand_for_a_float() -> None:
    config = ModelConfig.from_toml(SAVED.to_toml().replace("std = 4.32408", "std = 4"))
    assert config.std == 4.0
    assert isinstance(config.std, float)

"""Weight files of every kind: what is read off them, and what is said about those that are no good."""

from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_models import (
    PUBLISHED,
    SAVERS,
    THREE_CLASSES,
    THREE_LABELS,
    State,
    published_file,
    published_state,
    random_model,
    three_class_config,
)

from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import load_model, save_model_folder
from arwkv_core.constants import FBANK_MEAN, FBANK_STD
from arwkv_core.errors import CheckpointError, ConfigError, LabelError
from arwkv_core.labels import LabelSet


@pytest.fixture(scope="module")
def state() -> State:
    return published_state()


def equal_weights(model: torch.nn.Module, state: State) -> bool:
    found = model.state_dict()
    plain = {key.removeprefix("module."): value for key, value in state.items()}
    return found.keys() == plain.keys() and all(torch.equal(found[key], plain[key].float()) for key in plain)


def test_a_published_file_needs_no_flags(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "audio_model.pth")
    model, config, labels = load_model(tmp_path / "audio_model.pth")
    assert model.arch == config.architecture == PUBLISHED
    assert labels == LabelSet.audioset()
    assert (config.name, config.score_function, config.window_frames) == ("audio_model", "softmax", 992)
    assert (config.mean, config.std) == (FBANK_MEAN, FBANK_STD)
    assert equal_weights(model, state)
    assert not model.training
    assert {weight.dtype for weight in model.parameters()} == {torch.float32}
    assert all(weight.requires_grad for weight in model.parameters())


def test_loading_draws_no_random_numbers(tmp_path: Path, state: State) -> None:
    torch.save(state, tmp_path / "a.pth")
    before = torch.get_rng_state()
    load_model(tmp_path / "a.pth")
    assert torch.equal(before, torch.get_rng_state())


@pytest.mark.parametrize("form", SAVERS)
def test_every_container_gives_the_same_weights(tmp_path: Path, state: State, form: str) -> None:
    file = tmp_path / "weights.bin"  # the content decides, not the suffix
    SAVERS[form](state, file)
    assert equal_weights(load_model(file)[0], state)


def test_weights_stay_when_their_file_changes(tmp_path: Path) -> None:
    file = tmp_path / "a.pth"
    torch.save({key: value.float() for key, value in published_state().items()}, file)
    model = load_model(file)[0]
    before = model.head.weight.clone()
    with file.open("r+b") as stream:
        stream.write(bytes(file.stat().st_size))
    assert torch.equal(model.head.weight, before)


@pytest.mark.parametrize(
    "arch",
    [
        Architecture(depth=1, width=64, classes=5),
        Architecture(depth=3, width=128, classes=7, frames=160),
        Architecture(depth=2, width=192, classes=521, position="frequency"),
    ],
    ids=str,
)
def test_shapes_tell_the_architecture(tmp_path: Path, arch: Architecture) -> None:
    labels = LabelSet([f"own:{row}" for row in range(arch.classes)], ["thing"] * arch.classes)
    file = published_file(tmp_path / "a.pth", arch)
    model, config, found = load_model(file, labels=labels, score_function="sigmoid")
    assert model.arch == config.architecture == arch
    assert found is labels
    assert config.score_function == "sigmoid"


def test_a_bare_file_of_other_classes_asks_for_them(tmp_path: Path) -> None:
    file = published_file(tmp_path / "a.pth", THREE_CLASSES)
    with pytest.raises(LabelError, match=r"a\.pth: expected AudioSet's 527 classes, found 3.*--labels"):
        load_model(file)
    with pytest.raises(LabelError, match=r"expected the 3 classes of .*a\.pth, found 527"):
        load_model(file, labels=LabelSet.audioset())
    with pytest.raises(ConfigError, match=r"3 classes and 8 positions.*--score-function"):
        load_model(file, labels=THREE_LABELS)


def test_only_the_published_form_is_taken_for_softmax(tmp_path: Path) -> None:
    file = published_file(tmp_path / "a.pth", Architecture(1, 64, 527, position="frequency"))
    with pytest.raises(ConfigError, match=r"expected the published form.*--score-function"):
        load_model(file)


def edit(change: Callable[[State], object]) -> Callable[[State], State]:
    def edited(state: State) -> State:
        copy = dict(state)
        change(copy)
        return copy

    return edited


def with_nan(state: State) -> None:
    state["module.ln_out.bias"] = torch.full((64,), float("nan"), dtype=torch.bfloat16)


EDITS = {
    "no position": (
        edit(lambda s: s.pop("module.pos_embed")),
        r"pos_embed: missing, expected shape \(1, 496, 64\)",
    ),
    "position off the grid": (
        edit(lambda s: s.update({"module.pos_embed": torch.zeros(1, 497, 64)})),
        r"pos_embed: expected shape \(1, 496, 64\), found \(1, 497, 64\)",
    ),
    "position of another rank": (
        edit(lambda s: s.update({"module.pos_embed": torch.zeros(496, 64)})),
        r"pos_embed: expected shape \(1, 496, 64\), found \(496, 64\)",
    ),
    "embedding of another width": (
        edit(lambda s: s.update({"module.emb.weight": torch.zeros(128, 1, 16, 16)})),
        r"emb.weight: expected shape \(64, 1, 16, 16\), found \(128, 1, 16, 16\)",
    ),
    "another low rank": (
        edit(lambda s: s.update({"module.blocks.1.att.w1": torch.zeros(64, 64)})),
        r"blocks.1.att.w1: expected shape \(64, 32\), found \(64, 64\)",
    ),
    "the first of two wrong keys": (
        edit(lambda s: [s.pop("module.blocks.1.ffn.key.bias"), s.pop("module.blocks.0.ln2.weight")]),
        r"blocks.0.ln2.weight: missing, expected shape \(64,\)",
    ),
    "unused values of block 0 left out": (
        edit(lambda s: s.pop("module.blocks.0.att.v0")),
        r"blocks.0.att.v0: missing, expected shape \(1, 1, 64\)",
    ),
    "a gap in the blocks": (
        edit(
            lambda s: [
                s.update({key.replace("blocks.1.", "blocks.2."): s.pop(key)})
                for key in list(s)
                if "blocks.1." in key
            ]
        ),
        r"blocks.1.ln1.weight: missing",
    ),
    "a key too many": (
        edit(lambda s: s.update({"module.head.bias": torch.zeros(527)})),
        r"head.bias: unexpected",
    ),
    "no head": (edit(lambda s: s.pop("module.head.weight")), r"head.weight: missing"),
    "a scalar head": (
        edit(lambda s: s.update({"module.head.weight": torch.zeros(())})),
        r"head.weight: expected shape \(527, 64\), found \(\)",
    ),
    "NaN": (edit(with_nan), r"ln_out.bias: expected finite numbers, found 64 of 64 NaN or infinite"),
    "whole numbers": (
        edit(lambda s: s.update({"module.emb.bias": torch.zeros(64, dtype=torch.int64)})),
        r"emb.bias: expected a tensor of floating-point numbers, found int64",
    ),
    "no tensor": (
        edit(lambda s: s.update({"module.emb.bias": [0.0] * 64})),
        r"emb.bias: expected a tensor of floating-point numbers, found list",
    ),
    "a key twice": (
        edit(lambda s: s.update({"pos_embed": torch.zeros(1, 496, 64)})),
        r"pos_embed: stands there twice",
    ),
    "a sparse tensor": (
        edit(lambda s: s.update({"module.emb.bias": torch.zeros(64).to_sparse()})),
        r"emb.bias: expected a tensor of floating-point numbers, found a torch.sparse_coo tensor",
    ),
    "an odd width": (
        lambda s: {"pos_embed": torch.zeros(1, 496, 100), "blocks.0.ln1.weight": torch.zeros(100)},
        r"expected a width that is a multiple of 64, found 100",
    ),
    "another network": (
        lambda s: {"conv1.weight": torch.zeros(3, 3), "bn1.bias": torch.zeros(3)},
        r"pos_embed: missing: expected the weights of an A-RWKV model, found conv1.weight, bn1.bias",
    ),
    "no blocks": (
        lambda s: {key: value for key, value in s.items() if "blocks" not in key},
        r"blocks.0.ln1.weight: missing: expected the weights of an A-RWKV",
    ),
    "nothing": (lambda s: {}, r"found no tensors"),
}


@pytest.mark.parametrize("case", EDITS)
def test_the_first_wrong_key_is_named(tmp_path: Path, state: State, case: str) -> None:
    change, message = EDITS[case]
    torch.save(change(state), tmp_path / "a.pth")
    with pytest.raises(CheckpointError, match=rf"a\.pth: .*{message}"):
        load_model(tmp_path / "a.pth")


def test_a_saved_folder_is_read_back_equal(tmp_path: Path) -> None:

    model = random_model(THREE_CLASSES)
    written = save_model_folder(tmp_path / "gate", model, three_class_config(), THREE_LABELS, "# Gate\n")
    found, config, labels = load_model(tmp_path / "gate")
    assert config == written
    assert labels == THREE_LABELS
    assert equal_weights(found, model.state_dict())
    assert sorted(path.name for path in (tmp_path / "gate").iterdir()) == [
        "CARD.md",
        "config.toml",
        "labels.csv",
        "model.safetensors",
    ]
    assert [path.name for path in tmp_path.iterdir()] == ["gate"]  # nothing half-made is left
    assert len({path.stat().st_mode for path in (tmp_path / "gate").iterdir()}) == 1  # readable for all alike


@pytest.mark.skipif(not torch.cuda.is_available(), reason="needs CUDA")
def test_weights_go_to_the_device(tmp_path: Path) -> None:
    model = load_model(published_file(tmp_path / "a.pth"), device="cuda")[0]
    assert {weight.device.type for weight in model.parameters()} == {"cuda"}

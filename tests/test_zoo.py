"""The zoo as a library: listing, finding and adding models."""

import dataclasses
import shutil
import sys
from pathlib import Path

import pytest
import torch
from fake_models import (
    PUBLISHED,
    THREE_CLASSES,
    THREE_LABELS,
    published_file,
    random_model,
    three_class_config,
)

import arwkv_models
from arwkv_core.checkpoint import load_model, save_model_folder
from arwkv_core.errors import CheckpointError, ConfigError, LabelError, ModelNotFound, UsageError
from arwkv_core.labels import LabelSet


@pytest.fixture
def home(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setenv("ARWKV_HOME", str(tmp_path / "home"))
    return tmp_path / "home" / "models"


@pytest.fixture
def gate_folder(tmp_path: Path) -> Path:
    """A model folder outside the zoo."""
    folder = tmp_path / "somewhere" / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "# Gate\n")
    return folder


def names() -> dict[str, str | None]:
    return {model.name: model.problem for model in arwkv_models.list_models() if model.origin == "added"}


def test_a_fresh_zoo_holds_the_bundled_models_only(home: Path) -> None:
    assert not home.exists()
    assert [model.name for model in arwkv_models.list_models()] == ["a-rwkv-t-open"]
    assert not home.exists()  # looking makes no folders


def test_a_published_file_is_added_exactly(tmp_path: Path, home: Path) -> None:
    file = published_file(tmp_path / "audio_model.pth")
    added = arwkv_models.add(file, "published-t")
    assert added.folder == home / "published-t"
    assert names() == {"published-t": None}
    added.verify()

    model, config, labels = load_model("published-t")
    bare, bare_config, _ = load_model(file)
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), bare.parameters(), strict=True))
    assert config.name == "published-t"
    assert config.architecture == PUBLISHED
    assert (config.score_function, config.mean, config.std) == ("softmax", bare_config.mean, bare_config.std)
    assert labels == LabelSet.audioset()
    assert "audio_model.pth" in added.card.read_text()
    # bfloat16 on disk: two bytes a weight
    assert added.weights.stat().st_size < 2.2 * sum(weight.numel() for weight in model.parameters())


def test_weights_that_bfloat16_would_round_stay_float32(tmp_path: Path, home: Path) -> None:
    model = random_model(PUBLISHED, torch.float32)
    torch.save(model.state_dict(), tmp_path / "a.pth")
    arwkv_models.add(tmp_path / "a.pth", "fine")
    found = load_model("fine")[0]
    assert all(torch.equal(a, b) for a, b in zip(model.parameters(), found.parameters(), strict=True))


def test_a_folder_is_added_byte_for_byte(gate_folder: Path, home: Path) -> None:
    added = arwkv_models.add(gate_folder, "my-gate")
    for name in ("model.safetensors", "labels.csv", "CARD.md"):
        assert (added.folder / name).read_bytes() == (gate_folder / name).read_bytes()
    _, config, labels = load_model("MY-GATE")
    assert config == dataclasses.replace(load_model(gate_folder)[1], name="my-gate")
    assert labels == THREE_LABELS
    assert [path.name for path in home.iterdir()] == ["my-gate"]


def test_a_bare_file_of_own_classes_is_added_with_its_labels(tmp_path: Path, home: Path) -> None:
    file = published_file(tmp_path / "a.pth", THREE_CLASSES)
    with pytest.raises(LabelError, match="--labels"):
        arwkv_models.add(file, "gate")
    with pytest.raises(ConfigError, match="--score-function"):
        arwkv_models.add(file, "gate", labels=THREE_LABELS)
    assert names() == {}
    arwkv_models.add(file, "gate", labels=THREE_LABELS, score_function="sigmoid")
    _, config, labels = load_model("gate")
    assert labels == THREE_LABELS
    assert config.score_function == "sigmoid"


def test_a_folder_brings_its_own_labels(gate_folder: Path, home: Path) -> None:
    with pytest.raises(LabelError, match="brings its own labels"):
        arwkv_models.add(gate_folder, "gate", labels=THREE_LABELS)
    with pytest.raises(ConfigError, match="brings its own"):
        load_model(gate_folder, score_function="softmax")


@pytest.mark.parametrize(
    "name",
    [
        "",
        ".",
        "..",
        "../up",
        "a/b",
        "a\\b",
        ".hidden",
        "-dash",
        "a b",
        "ä",
        "a\n",
        "con",
        "nul.txt",
        "x" * 65,
        "a.",
    ],
)
def test_a_name_must_be_a_plain_name(gate_folder: Path, home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="--name: expected up to 64 letters"):
        arwkv_models.add(gate_folder, name)
    assert not home.exists()


def test_a_name_must_not_look_like_a_file(gate_folder: Path, home: Path) -> None:
    with pytest.raises(UsageError, match=r"would be taken for a file: leave out \.pth"):
        arwkv_models.add(gate_folder, "gate.pth")


@pytest.mark.parametrize("name", ["a-rwkv-t-open", "A-RWKV-T-Open"])
def test_a_bundled_model_is_never_replaced(gate_folder: Path, home: Path, name: str) -> None:
    with pytest.raises(UsageError, match="comes with arwkv"):
        arwkv_models.add(gate_folder, name, overwrite=True)


def test_a_taken_name_is_replaced_on_request_only(tmp_path: Path, gate_folder: Path, home: Path) -> None:
    arwkv_models.add(gate_folder, "gate")
    with pytest.raises(UsageError, match="already: pass --overwrite"):
        arwkv_models.add(gate_folder, "gate")
    with pytest.raises(UsageError, match="in case only"):
        arwkv_models.add(gate_folder, "Gate", overwrite=True)
    arwkv_models.add(published_file(tmp_path / "a.pth"), "gate", overwrite=True)
    assert len(load_model("gate")[2]) == 527
    assert [path.name for path in home.iterdir()] == ["gate"]


@pytest.mark.parametrize("overwrite", [True, False])
def test_a_failed_addition_leaves_all_as_it_was(
    tmp_path: Path, gate_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch, overwrite: bool
) -> None:
    if overwrite:
        arwkv_models.add(gate_folder, "gate")
    before = {path: path.read_bytes() for path in home.rglob("*") if path.is_file()}

    def fail(self: LabelSet, path: Path) -> None:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(LabelSet, "write", fail)
    with pytest.raises(OSError, match="No space"):
        arwkv_models.add(published_file(tmp_path / "a.pth"), "gate", overwrite=overwrite)
    assert {path: path.read_bytes() for path in home.rglob("*") if path.is_file()} == before
    assert [path.name for path in home.glob("*")] == (["gate"] if overwrite else [])


def test_a_file_that_cannot_be_loaded_is_not_added(tmp_path: Path, home: Path) -> None:
    (tmp_path / "a.pth").write_text("<html>")
    with pytest.raises(CheckpointError, match="a web page"):
        arwkv_models.add(tmp_path / "a.pth", "gate")
    with pytest.raises(ModelNotFound, match="there is no such file"):
        arwkv_models.add(tmp_path / "b.pth", "gate")
    assert names() == {}


def break_config(folder: Path) -> None:
    config = folder / "config.toml"
    config.write_text(config.read_text().replace("depth = 1", "depth = 0"))


BREAKS = {
    "config.toml: architecture: depth must be at least 1": break_config,
    "config.toml: can't be read": lambda folder: (folder / "config.toml").unlink(),
    "labels.csv: expected 3 classes, found 527": lambda folder: LabelSet.audioset().write(
        folder / "labels.csv"
    ),
    "model.safetensors: there is no such file": lambda folder: (folder / "model.safetensors").unlink(),
}


@pytest.mark.parametrize("problem", BREAKS)
def test_a_broken_folder_is_listed_with_its_reason(gate_folder: Path, home: Path, problem: str) -> None:
    arwkv_models.add(gate_folder, "sound")
    folder = arwkv_models.add(gate_folder, "broken").folder
    BREAKS[problem](folder)
    found = names()
    assert found["sound"] is None
    assert problem in str(found["broken"])
    with pytest.raises(CheckpointError, match="'broken' is broken"):
        arwkv_models.find("broken").verify()
    with pytest.raises((ConfigError, LabelError, CheckpointError)):
        load_model("broken")


def test_stray_files_and_half_made_folders_are_not_models(gate_folder: Path, home: Path) -> None:
    arwkv_models.add(gate_folder, "gate")
    (home / ".gate.1234.new").mkdir()
    (home / "notes.txt").write_text("hello")
    assert names() == {"gate": None}


def test_a_folder_that_bears_a_bundled_name_is_out_of_reach(gate_folder: Path, home: Path) -> None:
    shutil.copytree(gate_folder, home / "a-rwkv-t-open")
    assert names() == {"a-rwkv-t-open": "a bundled model has this name: rename it"}
    assert arwkv_models.find("a-rwkv-t-open").origin == "bundled"


def test_replaced_weights_are_noticed(gate_folder: Path, home: Path) -> None:
    weights = gate_folder / "model.safetensors"
    damaged = bytearray(weights.read_bytes())
    damaged[-1] ^= 1
    weights.write_bytes(damaged)
    with pytest.raises(
        CheckpointError, match=r"model\.safetensors: expected the SHA-256 [0-9a-f]{64} .* found"
    ):
        load_model(gate_folder)


def test_config_and_weights_must_agree(gate_folder: Path) -> None:
    config = gate_folder / "config.toml"
    config.write_text(config.read_text().replace("depth = 1", "depth = 2"))
    message = r"model\.safetensors: blocks\.1\.ln1\.weight: missing, .*depth 2.* as config\.toml has it"
    with pytest.raises(CheckpointError, match=message):
        load_model(gate_folder)


def test_a_name_that_is_not_there_brings_up_near_ones(gate_folder: Path, home: Path) -> None:
    arwkv_models.add(gate_folder, "garden-gate")
    for ask in (arwkv_models.find, load_model):
        with pytest.raises(ModelNotFound, match=r"'garden-gte'.*did you mean garden-gate\?.*models list"):
            ask("garden-gte")
    with pytest.raises(ModelNotFound, match=r"none\.pth: there is no such file"):
        load_model("none.pth")
    with pytest.raises(ModelNotFound, match="there is no such file"):
        load_model(Path("garden-gate"))  # a path is never a name


def test_a_name_comes_before_a_folder_of_that_name(
    tmp_path: Path, gate_folder: Path, home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    arwkv_models.add(published_file(tmp_path / "a.pth"), "gate")
    monkeypatch.chdir(gate_folder.parent)
    assert len(load_model("gate")[2]) == 527
    assert len(load_model("./gate")[2]) == 3
    assert len(load_model(Path("gate"))[2]) == 3


@pytest.mark.skipif(sys.platform == "win32" or sys.platform == "darwin", reason="Linux's places")
def test_without_a_home_the_platforms_place_is_used(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("ARWKV_HOME")
    monkeypatch.setenv("XDG_DATA_HOME", str(tmp_path))
    assert arwkv_models.user_folder() == tmp_path / "arwkv" / "models"
    monkeypatch.setenv("XDG_DATA_HOME", "relative")
    monkeypatch.setenv("HOME", str(tmp_path))
    assert arwkv_models.user_folder() == tmp_path / ".local" / "share" / "arwkv" / "models"


def test_bundled_models_are_found_where_the_users_folder_cannot_be_read(home: Path) -> None:
    home.parent.mkdir()
    home.write_text("not a folder")
    assert arwkv_models.find("a-rwkv-t-open").origin == "bundled"
    with pytest.raises(ModelNotFound, match="can't be read"):
        arwkv_models.list_models()


def test_saving_refuses_what_does_not_fit_together(tmp_path: Path) -> None:
    model, config = random_model(THREE_CLASSES), three_class_config()
    with pytest.raises(LabelError, match="expected 3 labels, found 527"):
        save_model_folder(tmp_path / "a", model, config, LabelSet.audioset(), "")
    with pytest.raises(ConfigError, match="expected a config of Architecture"):
        save_model_folder(tmp_path / "a", random_model(PUBLISHED), config, THREE_LABELS, "")
    with torch.no_grad():
        model.head.weight[0, 0] = float("inf")
    with pytest.raises(CheckpointError, match=r"head\.weight: expected finite numbers, found 1 of 192"):
        save_model_folder(tmp_path / "a", model, config, THREE_LABELS, "")
    assert list(tmp_path.iterdir()) == []


def test_an_existing_folder_is_replaced_on_request_only(gate_folder: Path) -> None:
    model, config = random_model(THREE_CLASSES), three_class_config("second")
    with pytest.raises(UsageError, match="exists already"):
        save_model_folder(gate_folder, model, config, THREE_LABELS, "")
    save_model_folder(gate_folder, model, config, THREE_LABELS, "", overwrite=True)
    assert load_model(gate_folder)[1].name == "second"
    assert [path.name for path in gate_folder.parent.iterdir()] == ["gate"]

"""Files that are no checkpoints, or no longer: foreign, truncated, damaged, malicious."""

import argparse
import pickle
import random
import zipfile
from collections.abc import Callable
from pathlib import Path

import pytest
import torch
from fake_models import SAVERS, State, published_state

from arwkv_core.checkpoint import load_model
from arwkv_core.errors import ArwkvError, CheckpointError, ModelNotFound


@pytest.fixture(scope="module")
def state() -> State:
    return published_state()


def save_zip(path: Path) -> None:
    with zipfile.ZipFile(path, "w") as archive:
        archive.writestr("a/notes.txt", "hello")


class Evil:
    """Unpickled by a careless loader, it writes a file."""

    def __init__(self, target: Path) -> None:
        self.target = target

    def __reduce__(self) -> tuple[Callable[..., object], tuple[object, ...]]:
        return Path.touch, (self.target,)


FOREIGN: dict[str, tuple[Callable[[Path], object], str]] = {
    "empty": (lambda path: path.write_bytes(b""), "an empty file"),
    "web page": (
        lambda path: path.write_text("\n<!DOCTYPE html><html>Google Drive can't scan"),
        "a web page",
    ),
    "git lfs": (lambda path: path.write_text("version https://git-lfs.github.com/spec/v1\n"), "git lfs pull"),
    "text": (lambda path: path.write_text("index,mid,display_name\n"), "a text file"),
    "pickle": (
        lambda path: path.write_bytes(pickle.dumps({"a": [1, 2]})),
        "a pickle that torch did not write",
    ),
    "gzip": (lambda path: path.write_bytes(b"\x1f\x8b\x08" + bytes(99)), "a compressed archive"),
    "bytes": (lambda path: path.write_bytes(random.Random(0).randbytes(5000)), "a file of another kind"),
    "zip": (save_zip, "a zip archive that torch did not write"),
    "list": (lambda path: torch.save([1, 2], path), "found a list"),
    "tensor": (lambda path: torch.save(torch.zeros(3), path), "found a Tensor"),
    "arguments": (
        lambda path: torch.save({"state_dict": published_state(), "args": argparse.Namespace(lr=1)}, path),
        r"found Python objects \(argparse.Namespace\).*save the state_dict alone",
    ),
    "module": (
        lambda path: torch.save(torch.nn.Linear(2, 2), path),
        r"found Python objects \(torch.nn.*Linear\)",
    ),
    "not there": (lambda path: None, "there is no such file"),
}


@pytest.mark.parametrize("case", FOREIGN)
def test_a_foreign_file_is_named_for_what_it_is(tmp_path: Path, case: str) -> None:
    make, message = FOREIGN[case]
    make(tmp_path / "a.pth")
    with pytest.raises(
        CheckpointError if case != "not there" else ModelNotFound, match=rf"a\.pth: .*{message}"
    ):
        load_model(tmp_path / "a.pth")


@pytest.mark.parametrize("zipped", [True, False])
def test_nothing_in_a_file_is_executed(tmp_path: Path, zipped: bool) -> None:
    target = tmp_path / "executed"
    torch.save({"a": Evil(target)}, tmp_path / "a.pth", _use_new_zipfile_serialization=zipped)
    with pytest.raises(CheckpointError, match="Python objects"):
        load_model(tmp_path / "a.pth")
    assert not target.exists()


@pytest.mark.parametrize("form", ["zip", "first_format", "safetensors", "packed_again"])
def test_a_truncated_file_is_refused_wherever_it_ends(tmp_path: Path, state: State, form: str) -> None:
    file = tmp_path / "a.pth"
    SAVERS[form](state, file)
    whole = file.read_bytes()
    generator = random.Random(form)
    ends = [
        *range(40),
        *(generator.randrange(len(whole)) for _ in range(120)),
        *range(len(whole) - 40, len(whole)),
    ]
    for end in ends:
        file.write_bytes(whole[:end])
        with pytest.raises(CheckpointError, match=r"a\.pth: "):
            load_model(file)


@pytest.mark.parametrize("form", ["zip", "packed_again", "in_state_dict"])
def test_one_wrong_byte_in_the_weights_is_noticed(tmp_path: Path, state: State, form: str) -> None:
    file = tmp_path / "a.pth"
    SAVERS[form](state, file)
    damaged = bytearray(file.read_bytes())
    damaged[len(damaged) // 2] ^= 1
    file.write_bytes(damaged)
    with pytest.raises(CheckpointError, match="truncated or damaged"):
        load_model(file)


def test_flipped_bytes_raise_nothing_of_another_kind(tmp_path: Path, state: State) -> None:
    file = tmp_path / "a.pth"
    torch.save(state, file)
    whole = file.read_bytes()
    generator = random.Random(3)
    for _ in range(60):
        damaged = bytearray(whole)
        for _ in range(20):  # most of it near the beginning, where the pickle lies
            damaged[generator.randrange(4096)] = generator.randrange(256)
        file.write_bytes(damaged)
        try:
            load_model(file)
        except ArwkvError as error:
            assert "a.pth" in str(error)  # noqa: PT017 - damage in unused bytes may pass

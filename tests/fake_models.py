"""Small models with random weights, in the forms in which models come."""

import zipfile
from collections.abc import Callable
from pathlib import Path

import torch
from safetensors.torch import save_file
from torch import Tensor

from arwkv_core.architecture import Architecture
from arwkv_core.labels import LabelSet
from arwkv_core.model import ARWKV
from arwkv_core.model_config import ModelConfig

State = dict[str, Tensor]

PUBLISHED = Architecture(depth=2, width=64, classes=527)
THREE_CLASSES = Architecture(depth=1, width=64, classes=3, position="frequency")
THREE_LABELS = LabelSet(["/m/09x0r", "/m/04rlf", "own:gate"], ["Speech", "Music", "Garden gate, squeaking"])


def random_model(arch: Architecture, dtype: torch.dtype = torch.bfloat16) -> ARWKV:
    """A network whose weights all matter, unlike fresh ones, and which ``dtype`` holds exactly."""
    seed = arch.width + arch.classes
    generator = torch.Generator().manual_seed(seed)
    with torch.random.fork_rng(devices=[]):  # else it would depend on the tests before
        torch.manual_seed(seed)
        model = ARWKV(arch)
    with torch.no_grad():
        for weight in model.parameters():
            weight += 0.05 * torch.randn(weight.shape, generator=generator)
            weight.copy_(weight.to(dtype))
    return model.eval()


def published_state(arch: Architecture = PUBLISHED) -> State:
    """What ``torch.save`` got from the authors' ``DataParallel`` model."""
    return {f"module.{key}": value.bfloat16() for key, value in random_model(arch).state_dict().items()}


def published_file(path: Path, arch: Architecture = PUBLISHED) -> Path:
    torch.save(published_state(arch), path)
    return path


def three_class_config(name: str = "gate") -> ModelConfig:
    return ModelConfig(
        name=name,
        architecture=THREE_CLASSES,
        score_function="sigmoid",
        training={"data": 'a "garden", 3 h', "clips": 120},
        metrics={"test": {"mAP": 0.5}},
        licence={"weights": "CC0-1.0"},
    )


def save_plain(state: State, path: Path) -> None:
    torch.save({key.removeprefix("module."): value for key, value in state.items()}, path)


def save_packed(state: State, path: Path) -> None:
    torch.save(state, path)
    with zipfile.ZipFile(path) as archive:
        members = {name: archive.read(name) for name in archive.namelist()}
    with zipfile.ZipFile(path, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, data in members.items():
            archive.writestr(name, data)


SAVERS: dict[str, Callable[[State, Path], None]] = {
    "zip": torch.save,
    "first_format": lambda state, path: torch.save(state, path, _use_new_zipfile_serialization=False),
    "packed_again": save_packed,
    "without_module": save_plain,
    "in_state_dict": lambda state, path: torch.save({"epoch": 25, "state_dict": state}, path),
    "in_model": lambda state, path: torch.save({"model": state, "optimizer": {"lr": 1e-3}}, path),
    "safetensors": lambda state, path: save_file(state, path),
    "float32": lambda state, path: torch.save({key: value.float() for key, value in state.items()}, path),
    "float64": lambda state, path: torch.save({key: value.double() for key, value in state.items()}, path),
}

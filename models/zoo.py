"""Which models there are, read from their folders without torch."""

from __future__ import annotations

import difflib
import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from arwkv_core.calibration import check_calibration
from arwkv_core.errors import ArwkvError, CheckpointError, ModelNotFound
from arwkv_core.event_defaults import EventDefaults
from arwkv_core.labels import LabelSet
from arwkv_core.model_config import CARD_FILE, CONFIG_FILE, LABELS_FILE, ModelConfig, verify_weights

from .places import BUNDLED_FOLDER, user_folder

Origin = Literal["bundled", "added"]


@dataclass(frozen=True)
class ZooModel:
    """One model of the zoo, which may be broken.

    Parameters
    ----------
    name : str
        Name of its folder.
    folder : Path
    origin : {"bundled", "added"}
        Whether it came with arwkv or was added by the user.
    config : ModelConfig or None
        None if it can't be read.
    problem : str or None
        Why the model can't be loaded, as far as can be told without reading its weights.
    """

    name: str
    folder: Path
    origin: Origin
    config: ModelConfig | None
    problem: str | None

    @classmethod
    def read(cls, folder: Path, origin: Origin) -> ZooModel:
        """Look into a folder; what is wrong with it becomes its ``problem``."""
        config = None
        try:
            config = ModelConfig.read(folder / CONFIG_FILE)
            LabelSet.read(folder / LABELS_FILE, count=config.architecture.classes)
            weights = folder / config.weights_file
            if not weights.is_file():
                raise CheckpointError(f"{weights}: there is no such file")
        except ArwkvError as error:
            return cls(folder.name, folder, origin, config, str(error))
        return cls(folder.name, folder, origin, config, None)

    @property
    def usable_config(self) -> ModelConfig:
        """The config of a model that is not broken.

        Raises
        ------
        CheckpointError
            If it is broken.
        """
        if self.config is None or self.problem is not None:
            raise CheckpointError(f"model {self.name!r} is broken: {self.problem}")
        return self.config

    @property
    def weights(self) -> Path:
        """The weight file; raises `CheckpointError` if the model is broken."""
        return self.folder / self.usable_config.weights_file

    @property
    def labels(self) -> LabelSet:
        """The classes; raises `CheckpointError` if the model is broken."""
        return LabelSet.read(self.folder / LABELS_FILE, count=self.usable_config.architecture.classes)

    @property
    def card(self) -> Path:
        """``CARD.md``, which may be missing."""
        return self.folder / CARD_FILE

    def verify(self) -> None:
        """Compare the weights with their hash in the config, and read what can be left out of a folder.

        Raises
        ------
        CheckpointError
            If the model is broken, or its weights are damaged or replaced.
        ConfigError
            If its ``events.csv`` or ``calibration.csv`` is damaged, or the latter lacks a class.
        """
        check_calibration(self.folder, self.labels)
        EventDefaults.of_folder(self.folder)
        verify_weights(self.weights, self.usable_config.weights_sha256)


def list_models() -> list[ZooModel]:
    """List all models, the bundled ones first, each kind by name.

    Returns
    -------
    list of ZooModel
        A broken folder is listed with its problem. A user's folder that bears the name of a bundled model is
        broken too, since nothing could reach it.
    """
    bundled = [ZooModel.read(folder, "bundled") for folder in _folders(BUNDLED_FOLDER)]
    taken = {model.name.casefold() for model in bundled}
    added = []
    for folder in _folders(user_folder()):
        model = ZooModel.read(folder, "added")
        if folder.name.casefold() in taken:
            model = ZooModel(
                model.name, folder, "added", model.config, "a bundled model has this name: rename it"
            )
        added.append(model)
    return bundled + added


def find(name: str) -> ZooModel:
    """Find a model by its name, in any case. It may be broken.

    Raises
    ------
    ModelNotFound
        If there is none, with similar names.
    """
    if model := _lookup(name):
        return model
    raise ModelNotFound(f"no model {name!r}{_hint(name)}")


def locate(name_or_path: str | os.PathLike[str]) -> Path:
    """Turn what a user calls a model into a folder or a weight file.

    Parameters
    ----------
    name_or_path : str or path-like
        Text may be a name in the zoo, which comes first; a path-like object is always a path.

    Raises
    ------
    ModelNotFound
        If there is neither such a name nor such a path.
    """
    if isinstance(name_or_path, str) and (model := _lookup(name_or_path)):
        return model.folder
    path = Path(name_or_path).expanduser()
    if path.exists():
        return path
    if not isinstance(name_or_path, str) or path.name != name_or_path or path.suffix in WEIGHT_SUFFIXES:
        raise ModelNotFound(f"{path}: there is no such file or folder")
    raise ModelNotFound(f"no model {name_or_path!r}, and no file or folder of that name{_hint(name_or_path)}")


WEIGHT_SUFFIXES = (".pth", ".pt", ".safetensors", ".bin", ".ckpt")
"""What a name with such an end can only mean is a file."""


def _lookup(name: str) -> ZooModel | None:
    # the bundled models first: they must load even where the user's folder can't be read
    for root, origin in _roots():
        for folder in _folders(root):
            if folder.name.casefold() == name.casefold():
                return ZooModel.read(folder, origin)
    return None


def _roots() -> Iterator[tuple[Path, Origin]]:
    yield BUNDLED_FOLDER, "bundled"
    yield user_folder(), "added"


def _folders(root: Path) -> list[Path]:
    """Folders that may be models: hidden ones are half-made, and ``__pycache__`` is Python's."""
    try:
        return sorted(path for path in root.iterdir() if path.is_dir() and path.name[0] not in "._")
    except FileNotFoundError:
        return []
    except OSError as error:
        raise ModelNotFound(f"{root}: can't be read: {error.strerror}") from error


def _hint(name: str) -> str:
    names = {folder.name.casefold(): folder.name for root, _ in _roots() for folder in _folders(root)}
    close = difflib.get_close_matches(name.casefold(), names)
    meant = f"; did you mean {' or '.join(names[folded] for folded in close)}?" if close else ";"
    return f"{meant} `arwkv models list` shows all"

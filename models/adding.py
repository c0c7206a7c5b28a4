"""Take a weight file or a model folder into the user's zoo."""

from __future__ import annotations

import dataclasses
import os
import re
import shutil
from pathlib import Path
from typing import TYPE_CHECKING

from arwkv_core.calibration import CALIBRATION_FILE, PICTURE_FILE, check_calibration
from arwkv_core.errors import LabelError, ModelNotFound, UsageError
from arwkv_core.event_defaults import EVENTS_FILE, EventDefaults
from arwkv_core.model_config import (
    CARD_FILE,
    CONFIG_FILE,
    LABELS_FILE,
    WEIGHTS_FILE,
    ModelConfig,
    ScoreFunction,
)
from arwkv_core.staging import staged_folder

from .places import user_folder
from .zoo import WEIGHT_SUFFIXES, ZooModel, list_models

if TYPE_CHECKING:
    from arwkv_core.labels import LabelSet

NAME_LENGTH = 64
# no dot or dash at its beginning, where they'd hide a folder or look like an option
_NAME = re.compile(rf"[A-Za-z0-9][A-Za-z0-9._-]{{0,{NAME_LENGTH - 1}}}")
_WINDOWS_DEVICES = re.compile(r"(con|prn|aux|nul|com\d|lpt\d)(\..*)?", re.IGNORECASE)


def add(
    file: str | os.PathLike[str],
    name: str,
    *,
    labels: LabelSet | None = None,
    score_function: ScoreFunction | None = None,
    overwrite: bool = False,
) -> ZooModel:
    """Add a model to the user's zoo, whole or not at all.

    Weights are kept exactly: in bfloat16 where it holds each of them, as in the published files, else in
    float32, which is what the model computes in.

    Parameters
    ----------
    file : str or path-like
        A published ``.pth``, a ``.safetensors`` or a model folder.
    name : str
        Letters, digits, dots, dashes and underscores.
    labels, score_function
        Of a bare weight file, see `arwkv_core.checkpoint.load_model`.
    overwrite : bool
        Replace a model that was added under this name.

    Returns
    -------
    ZooModel

    Raises
    ------
    UsageError
        If the name is no name, belongs to a bundled model, or is taken and ``overwrite`` is not set.
    ModelNotFound, CheckpointError, ConfigError, LabelError
        If there is no such file, or if it can't be loaded.
    """
    check_name(name, overwrite)
    source = Path(file).expanduser()
    if not source.exists():
        raise ModelNotFound(f"{source}: there is no such file or folder")
    if labels is not None and source.is_dir():
        raise LabelError(f"{source}: a model folder brings its own labels: leave out --labels")

    from arwkv_core.checkpoint import load_model, lossless_dtype, save_model_folder

    model, config, labels = load_model(source, labels=labels, score_function=score_function)
    target = user_folder() / name
    renamed = dataclasses.replace(config, name=name)
    if source.is_dir():
        EventDefaults.of_folder(source)  # refused now if it is damaged, not at the first timeline
        check_calibration(source, labels)
        _copy_folder(source, target, renamed, overwrite)
    else:
        card = bare_card(source, renamed, labels)
        save_model_folder(
            target, model, renamed, labels, card, dtype=lossless_dtype(model), overwrite=overwrite
        )
    return ZooModel.read(target, "added")


def check_name(name: str, overwrite: bool) -> None:
    """Refuse a name that no model of the user's zoo can have.

    Raises
    ------
    UsageError
        If the name is no name, belongs to a bundled model, or is taken and ``overwrite`` is not set.
    """
    check_form(name)
    for model in list_models():
        if model.name.casefold() != name.casefold():
            continue
        if model.origin == "bundled":
            raise UsageError(
                f"--name: {model.name!r} comes with arwkv and can't be replaced: choose another name"
            )
        if model.name != name:
            raise UsageError(
                f"--name: {name!r} differs from {model.name!r} in case only: choose another name"
            )
        if not overwrite:
            raise UsageError(f"--name: there is a model {name!r} already: pass --overwrite to replace it")


def check_form(name: str) -> None:
    """Refuse what is no name of a model, wherever it is kept: folders bear it, and commands take it.

    Raises
    ------
    UsageError
        Saying what a name may be.
    """
    if not _NAME.fullmatch(name) or name.endswith(".") or _WINDOWS_DEVICES.fullmatch(name):
        raise UsageError(
            f"--name: expected up to {NAME_LENGTH} letters, digits, dots, dashes, underscores, found {name!r}"
        )
    if name.endswith(WEIGHT_SUFFIXES):
        raise UsageError(f"--name: {name!r} would be taken for a file: leave out {Path(name).suffix}")


def _copy_folder(source: Path, target: Path, config: ModelConfig, overwrite: bool) -> None:
    """Copy a model folder that was loaded just now: its weights byte for byte, so that their hash stays."""
    with staged_folder(target, overwrite=overwrite) as filling:
        shutil.copyfile(source / config.weights_file, filling / config.weights_file)
        shutil.copyfile(source / LABELS_FILE, filling / LABELS_FILE)
        for optional in (CARD_FILE, EVENTS_FILE, CALIBRATION_FILE, PICTURE_FILE):
            if (source / optional).is_file():
                shutil.copyfile(source / optional, filling / optional)
        (filling / CONFIG_FILE).write_text(config.to_toml(), encoding="utf-8")


def bare_card(source: Path, config: ModelConfig, labels: LabelSet) -> str:
    """Return what a card can say of a model that came as a weight file alone."""
    arch, function = config.architecture, config.score_function
    return f"""# {config.name}

Added from the bare weight file `{source.name}` (SHA-256 `{config.weights_sha256}`).

A-RWKV of {arch.depth} blocks, width {arch.width}, {arch.position} positions, {len(labels)} classes, as the
shapes of its weights tell. Scores are the {function} of the logits: {_WHY[function]}.

The file does not say on what it was trained, how good it is, or under which licence: write it here and into
`{CONFIG_FILE}` if you know. Weights are in `{WEIGHTS_FILE}`, exactly as in the file.
"""


_WHY = {
    "softmax": "they rank classes, but share a sum of one among all that sounds",
    "sigmoid": "each class is scored by itself",
}

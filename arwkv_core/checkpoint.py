"""From a model's name, folder or bare weight file to a network that is ready to run, and back to a folder."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Mapping
from os import PathLike
from pathlib import Path

import torch
from torch import Tensor

from .architecture import HEAD_SIZE, Architecture, Position
from .constants import BANDS, FRAMES_PER_STEP, MODEL_FRAMES
from .errors import CheckpointError, ConfigError, LabelError
from .labels import AUDIOSET_CLASSES, LabelSet
from .model import ARWKV
from .model_config import (
    CARD_FILE,
    CONFIG_FILE,
    LABELS_FILE,
    WEIGHTS_FILE,
    ModelConfig,
    ScoreFunction,
    file_sha256,
    verify_weights,
)
from .staging import staged_folder
from .weight_file import read_weights

ACTIVE_THRESHOLDS: dict[ScoreFunction, float] = {"sigmoid": 0.5, "softmax": 0.1}
"""A softmax shares a sum of one among all that sounds: 0.5 is rarely reached."""

KEYS_SHOWN = 3
"""How many keys of a foreign file an error names."""


def load_model(
    name_or_path: str | PathLike[str],
    device: str | torch.device = "cpu",
    *,
    labels: LabelSet | None = None,
    score_function: ScoreFunction | None = None,
) -> tuple[ARWKV, ModelConfig, LabelSet]:
    """Load a network with all that is known about it.

    Parameters
    ----------
    name_or_path : str or path-like
        A name in the zoo, a model folder, or a bare weight file (``.pth`` or ``.safetensors``) as the authors
        of A-RWKV publish them. A name in the zoo comes first: write ``./NAME`` for a folder of the same name.
    device : str or torch.device
    labels : LabelSet, optional
        Classes of a bare weight file. By default AudioSet's, if it has 527.
    score_function : {"sigmoid", "softmax"}, optional
        How the logits of a bare weight file become scores. By default softmax, if the file has the published
        form: AudioSet's 527 classes and a table of 496 positions.

    Returns
    -------
    model : ARWKV
        In evaluation mode, float32.
    config : ModelConfig
    labels : LabelSet

    Raises
    ------
    ModelNotFound
        If there is neither such a name nor such a path.
    CheckpointError
        If the weights are truncated, foreign, damaged or of other shapes than expected; it names the first
        wrong key in the model's order.
    ConfigError, LabelError
        If ``config.toml`` or ``labels.csv`` of the folder is unusable, or if a bare file leaves open what its
        classes or scores are.
    """
    import arwkv_models  # here, since the zoo imports this package

    path = arwkv_models.locate(name_or_path)
    if path.is_dir():
        if labels is not None or score_function is not None:
            raise ConfigError(
                f"{path}: a model folder brings its own labels and score function: leave yours out"
            )
        return _load_folder(path, torch.device(device))
    return _load_bare(path, torch.device(device), labels, score_function)


def _load_folder(folder: Path, device: torch.device) -> tuple[ARWKV, ModelConfig, LabelSet]:
    config = ModelConfig.read(folder / CONFIG_FILE)
    labels = LabelSet.read(folder / LABELS_FILE, count=config.architecture.classes)
    weights = folder / config.weights_file
    verify_weights(weights, config.weights_sha256)
    tensors = read_weights(weights)
    check_weights(weights, tensors, config.architecture, said_by=CONFIG_FILE)
    return _build(weights, tensors, config.architecture, device), config, labels


def _load_bare(
    path: Path, device: torch.device, labels: LabelSet | None, score_function: ScoreFunction | None
) -> tuple[ARWKV, ModelConfig, LabelSet]:
    tensors = read_weights(path)
    arch = infer_architecture(path, tensors)
    check_weights(path, tensors, arch, said_by="most of its shapes")

    if labels is None:
        if arch.classes != AUDIOSET_CLASSES:
            raise LabelError(
                f"{path}: expected AudioSet's {AUDIOSET_CLASSES} classes, found {arch.classes}: say what "
                f"they are with `arwkv models add {path} --name NAME --labels labels.csv`"
            )
        labels = LabelSet.audioset()
    if len(labels) != arch.classes:
        raise LabelError(
            f"{labels.source}: expected the {arch.classes} classes of {path}, found {len(labels)}"
        )
    published = Architecture(arch.depth, arch.width, AUDIOSET_CLASSES)
    if score_function is None:
        if arch != published:
            raise ConfigError(
                f"{path}: expected the published form ({published.classes} classes, {published.positions} "
                f"positions), found {arch.classes} classes and {arch.positions} positions: say how logits "
                f"become scores with `arwkv models add {path} --name NAME --score-function sigmoid`"
            )
        score_function = "softmax"
    config = ModelConfig(
        name=path.stem,
        architecture=arch,
        score_function=score_function,
        active_threshold=ACTIVE_THRESHOLDS[score_function],
        weights_file=path.name,
        weights_sha256=file_sha256(path),
    )
    return _build(path, tensors, arch, device), config, labels


def infer_architecture(path: Path, tensors: Mapping[str, Tensor]) -> Architecture:
    """Read depth, width, classes and positions off the shapes.

    Where a tensor is missing or has an impossible shape, its share is assumed as published, so that
    `check_weights` can point at it.

    Raises
    ------
    CheckpointError
        If the tensors are those of another network.
    """
    shapes = {key: tuple(tensor.shape) for key, tensor in tensors.items()}
    blocks = {
        parts[1] for key in shapes if (parts := key.split(".")) and parts[0] == "blocks" and len(parts) > 2
    }
    # several tensors vote for the width, so that one wrong tensor is blamed itself
    voters = {"pos_embed": (3, 2), "emb.weight": (4, 0), "ln_out.weight": (1, 0), "head.weight": (2, 1)}
    votes = Counter(
        shapes[key][axis]
        for key, (rank, axis) in voters.items()
        if key in shapes and len(shapes[key]) == rank
    )
    if not votes or not blocks:
        some = ", ".join(list(shapes)[:KEYS_SHOWN])
        first = "blocks.0.ln1.weight" if votes else "pos_embed"
        raise CheckpointError(
            f"{path}: {first}: missing: expected the weights of an A-RWKV model, found {some} ..."
        )
    width = votes.most_common(1)[0][0]
    if width < HEAD_SIZE or width % HEAD_SIZE:
        raise CheckpointError(f"{path}: expected a width that is a multiple of {HEAD_SIZE}, found {width}")

    head = shapes.get("head.weight", ())
    classes = head[0] if len(head) == 2 and head[0] > 0 else AUDIOSET_CLASSES
    table = shapes.get("pos_embed", ())
    rows = table[1] if len(table) == 3 else 0
    position: Position = "frequency" if rows == BANDS else "absolute"
    frames = MODEL_FRAMES if rows in (0, BANDS) or rows % BANDS else rows // BANDS * FRAMES_PER_STEP
    return Architecture(len(blocks), width, classes, position, frames)


def check_weights(path: Path, tensors: Mapping[str, Tensor], arch: Architecture, said_by: str) -> None:
    """Compare tensors with what an architecture needs.

    Parameters
    ----------
    path : Path
        Named in errors.
    tensors : mapping of str to Tensor
    arch : Architecture
    said_by : str
        Where the architecture comes from, for errors.

    Raises
    ------
    CheckpointError
        For the first missing or mis-shaped key in the model's order, else for the first key too many, else
        for the first that holds NaN or infinity.
    """
    about = (
        f"for depth {arch.depth}, width {arch.width}, {arch.classes} classes and {arch.position} positions, "
        f"as {said_by} has it"
    )
    expected = {key: tuple(tensor.shape) for key, tensor in _skeleton(arch).state_dict().items()}
    for key, shape in expected.items():
        if key not in tensors:
            raise CheckpointError(f"{path}: {key}: missing, expected shape {shape} ({about})")
        if (found := tuple(tensors[key].shape)) != shape:
            raise CheckpointError(f"{path}: {key}: expected shape {shape}, found {found} ({about})")
    for key in tensors:
        if key not in expected:
            raise CheckpointError(f"{path}: {key}: unexpected, an A-RWKV has no such tensor ({about})")
    for key in expected:
        finite = torch.isfinite(tensors[key])
        if not finite.all():
            bad = finite.numel() - int(finite.sum())
            raise CheckpointError(
                f"{path}: {key}: expected finite numbers, found {bad} of {finite.numel()} NaN or infinite: "
                "training diverged, or the file is damaged"
            )


def _skeleton(arch: Architecture) -> ARWKV:
    """A network without memory for its weights."""
    with torch.device("meta"):
        return ARWKV(arch)


def _build(path: Path, tensors: Mapping[str, Tensor], arch: Architecture, device: torch.device) -> ARWKV:
    model = _skeleton(arch)
    # copied even where the type fits: a mapped file must be free to change
    weights = {key: tensor.to(device, torch.float32, copy=True) for key, tensor in tensors.items()}
    model.load_state_dict(weights, assign=True)
    return model.eval()


def lossless_dtype(model: ARWKV) -> torch.dtype:
    """The smaller of bfloat16 and float32 that holds a model's weights exactly."""
    exact = all(_lossless(weight) is torch.bfloat16 for weight in model.state_dict().values())
    return torch.bfloat16 if exact else torch.float32


def _lossless(weight: Tensor) -> torch.dtype:
    return torch.bfloat16 if torch.equal(weight.bfloat16().float(), weight.float()) else torch.float32


def save_model_folder(
    folder: str | Path,
    model: ARWKV,
    config: ModelConfig,
    labels: LabelSet,
    card: str,
    *,
    dtype: torch.dtype | None = torch.bfloat16,
    overwrite: bool = False,
) -> ModelConfig:
    """Write a model folder: config, weights, labels and card. It appears whole or not at all.

    Parameters
    ----------
    folder : str or Path
    model : ARWKV
    config : ModelConfig
        Its entries about the weight file are filled in.
    labels : LabelSet
    card : str
        Text of ``CARD.md``.
    dtype : torch.dtype or None
        Precision on disk. bfloat16 rounds weights that were trained in float32: measure what you save. None keeps
        all exactly, each tensor in the smaller of bfloat16 and float32 that holds it.
    overwrite : bool
        Replace an existing folder.

    Returns
    -------
    ModelConfig
        As written, with the weights' hash.

    Raises
    ------
    UsageError
        If the folder exists and ``overwrite`` is not set.
    ConfigError, LabelError
        If config or labels don't fit the model.
    CheckpointError
        If a weight is not finite.
    """
    from safetensors.torch import save

    folder = Path(folder)
    if config.architecture != model.arch:
        raise ConfigError(f"{folder}: expected a config of {model.arch}, found {config.architecture}")
    if len(labels) != model.arch.classes:
        raise LabelError(f"{folder}: expected {model.arch.classes} labels, found {len(labels)}")
    weights = {
        key: tensor.detach().to("cpu", dtype or _lossless(tensor)).contiguous()
        for key, tensor in model.state_dict().items()
    }
    check_weights(folder / WEIGHTS_FILE, weights, model.arch, said_by="the model")
    with staged_folder(folder, overwrite=overwrite) as filling:
        # not save_file, whose files nobody else may read: a wheel would install them so
        (filling / WEIGHTS_FILE).write_bytes(save(weights, metadata={"format": "pt"}))
        labels.write(filling / LABELS_FILE)
        (filling / CARD_FILE).write_text(card, encoding="utf-8")
        written = dataclasses.replace(
            config, weights_file=WEIGHTS_FILE, weights_sha256=file_sha256(filling / WEIGHTS_FILE)
        )
        (filling / CONFIG_FILE).write_text(written.to_toml(), encoding="utf-8")
    return written

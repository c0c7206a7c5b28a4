"""A training recipe: what ``arwkv train RECIPE.toml`` reads, with a default wherever there is a good one."""

from __future__ import annotations

import dataclasses
import sys
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args, get_origin, get_type_hints

import numpy as np

from arwkv_core.architecture import Position
from arwkv_core.constants import FBANK_MEAN, FBANK_STD, MODEL_FRAMES, STEP_SECONDS
from arwkv_core.errors import ConfigError

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SHORTEST_REVERBERATION = 0.1
"""Seconds of the shortest tail."""

_STAGES = 0x57A6E5  # keeps what draws the stage of a step apart from what draws its batch


@dataclass(frozen=True)
class NetworkTable:
    """``[network]``: the shape of the network, and the probability that its last block is skipped."""

    depth: int = 12
    width: int = 192
    position: Position = "frequency"
    frames: int = MODEL_FRAMES
    drop_path: float = 0.0
    whiten: bool = True
    """Start the patch embedding from the principal components of the training data."""
    start: str = ""
    """Name or folder of a model of this shape to go on from, instead of from noise."""
    head: Literal["same", "extended", "new"] = "same"
    """With ``start``: the corpus has its classes; or those first and then others; or others."""
    head_bias: bool = False
    """Whether the head adds a number for each class."""


@dataclass(frozen=True)
class DataTable:
    """``[data]``: files; relative paths count from the folder of the recipe, or from ``--data``."""

    manifest: str = "manifest.csv"
    teacher: str = "teacher_frames.npz"
    labels: str = "labels.csv"
    embeddings: str = ""  # float16 (teacher frames, width) .npy: a second target; none if empty
    temperature: float = 1.0
    """The teacher's log-odds are divided by this: below 1, its scores as targets get bolder."""
    mean: float = FBANK_MEAN
    std: float = FBANK_STD


@dataclass(frozen=True)
class SamplingTable:
    """``[sampling]``: how a training example is cut from clips."""

    seconds: list[float] = field(default_factory=lambda: [9.92])
    """Length of an example in each stage of the training."""
    until: list[float] = field(default_factory=lambda: [1.0])
    """Share of all steps at which each stage ends; rises to 1."""
    mixed: bool = False
    """Draw the stage of each step at random, with these shares, instead of going from one to the next."""
    batch: list[int] = field(default_factory=lambda: [16])
    """Examples a step in each stage."""
    balance: float = 0.5
    """0: every clip alike; 1: every known class alike; between: frequency to the power ``-balance``."""
    join: bool = True
    """Fill an example with further clips; otherwise short ones are padded."""


@dataclass(frozen=True)
class MixingTable:
    """``[mixing]``: two examples heard at once.

    ``power`` adds their energies, the second at a random level, and unites the targets. ``beta`` interpolates
    log-mels and targets (mixup), or pastes a rectangle (cutmix), as the published recipe does.
    """

    kind: Literal["power", "beta", "none"] = "power"
    probability: float = 0.5
    level_db: float = 12.0
    """The second example's level is uniform in ± this."""
    rounds: int = 1
    """So often in turn, each with ``probability``: an example holds up to so many others."""
    background: float = 0.0
    """Share of the partners that are one clip, over and over, as ambience is; the others are examples."""
    mixup_alpha: float = 0.8
    cutmix_share: float = 0.5
    """With ``beta``: share of the mixed batches that take a rectangle (alpha 1) instead."""


@dataclass(frozen=True)
class AugmentationTable:
    """``[augmentation]``: SpecAugment and others, on log-mels."""

    time_masks: int = 2
    time_mask_seconds: float = 0.32
    band_masks: int = 2
    band_mask_bins: int = 16
    gain_db: float = 10.0
    """Level uniform in ± this."""
    tilt_db: float = 6.0
    """A slope over the mel bins, ± this at the ends: other microphones and rooms."""
    low_pass_probability: float = 0.0
    """Share of the examples whose upper bins are emptied, as a phone or a 16 kHz recorder does."""
    erase_probability: float = 0.0
    erase_area: float = 0.2
    """Random erasing: share of the examples, and the largest share of one that is replaced by noise."""
    noise_probability: float = 0.0
    """Share of the examples to which steady noise of a random colour is added."""
    noise_snr_db: float = 30.0
    """The noise lies up to so much below the example's mean energy."""
    reverberation_probability: float = 0.0
    """Share of the examples that get a decaying tail, as a room gives."""
    reverberation_seconds: float = 1.0
    """Longest time in which the tail falls by 60 dB."""


@dataclass(frozen=True)
class LossTable:
    """``[loss]``: ``sigmoid`` is binary cross-entropy; ``softmax`` scales the targets to sum 1."""

    kind: Literal["sigmoid", "softmax"] = "sigmoid"
    step: float = 1.0
    clip: float = 1.0
    embedding: float = 0.0
    label_smoothing: float = 0.0
    class_weights: Literal["none", "balanced"] = "none"
    """``balanced``: a rare class's positive targets count for more, a frequent one's for less."""


@dataclass(frozen=True)
class OptimiserTable:
    """``[optimiser]``: linear warm-up, then half a cosine down to ``final``."""

    name: Literal["adamw", "muon"] = "adamw"
    steps: int = 10_000
    warm_up: int = 300
    rate: float = 1e-3
    final: float = 1e-5
    matrix_rate: float = 0.02
    """Muon's rate for the square matrices; everything else takes ``rate``."""
    betas: list[float] = field(default_factory=lambda: [0.9, 0.95])
    weight_decay: float = 1e-4
    clip_norm: float = 1.0
    accumulate: int = 1
    ema: float = 0.999
    """Decay of the running mean of the weights that is validated and kept; 0 keeps the weights themselves."""
    precision: Literal["auto", "float32", "bfloat16"] = "auto"


@dataclass(frozen=True)
class ValidationTable:
    """``[validation]``: how often, and on which number the best weights are chosen."""

    every_steps: int = 500
    metric: Literal["known_map", "teacher_map", "esc10_accuracy", "known_likelihood"] = "known_map"
    """``known_likelihood`` is minus the loss of the clips' scores, and exists for any number of clips."""
    clips: int = 0
    """At most so many clips of the split, evenly spread; 0 takes all."""
    patience: int = 0
    """Stop after so many validations in a row that were not the best; 0 never stops."""


@dataclass(frozen=True)
class Recipe:
    """All tables of a recipe.

    Raises
    ------
    ConfigError
        If a number is out of range or lists of one table disagree.
    """

    name: str
    seed: int = 0
    network: NetworkTable = field(default_factory=NetworkTable)
    data: DataTable = field(default_factory=DataTable)
    sampling: SamplingTable = field(default_factory=SamplingTable)
    mixing: MixingTable = field(default_factory=MixingTable)
    augmentation: AugmentationTable = field(default_factory=AugmentationTable)
    loss: LossTable = field(default_factory=LossTable)
    optimiser: OptimiserTable = field(default_factory=OptimiserTable)
    validation: ValidationTable = field(default_factory=ValidationTable)
    licence: dict[str, Any] = field(default_factory=dict)
    """Copied into the model's folder."""

    def __post_init__(self) -> None:
        sampling, augmentation, optimiser = self.sampling, self.augmentation, self.optimiser
        stages = {len(sampling.seconds), len(sampling.until), len(sampling.batch)}
        rising = all(a < b for a, b in zip([0.0, *sampling.until], sampling.until, strict=False))
        window = self.network.frames // 16 * STEP_SECONDS
        checks = [
            (len(stages) == 1 and stages != {0}, "sampling: seconds, until and batch need one entry a stage"),
            (rising and sampling.until[-1:] == [1.0], "sampling.until: must rise to 1.0"),
            (all(s >= STEP_SECONDS for s in sampling.seconds), "sampling.seconds: at least 0.16 each"),
            (all(b >= 1 for b in sampling.batch), "sampling.batch: at least 1 each"),
            (
                self.network.position == "frequency"
                or all(abs(s - window) < STEP_SECONDS / 2 for s in sampling.seconds),
                f"sampling.seconds: absolute positions need {window:.2f}",
            ),
            (0 <= sampling.balance <= 1, "sampling.balance: between 0 and 1"),
            (0 <= self.mixing.probability <= 1, "mixing.probability: between 0 and 1"),
            (self.data.temperature > 0, "data.temperature: above 0"),
            (0 <= self.mixing.background <= 1, "mixing.background: between 0 and 1"),
            (self.mixing.rounds >= 1, "mixing.rounds: at least 1"),
            (augmentation.noise_snr_db >= 0, "augmentation.noise_snr_db: at least 0"),
            (
                augmentation.reverberation_seconds >= SHORTEST_REVERBERATION,
                f"augmentation.reverberation_seconds: at least {SHORTEST_REVERBERATION}",
            ),
            (0 <= self.loss.label_smoothing < 1, "loss.label_smoothing: from 0, below 1"),
            (0 <= self.network.drop_path < 1, "network.drop_path: from 0, below 1"),
            (optimiser.steps >= 1, "optimiser.steps: at least 1"),
            (0 <= optimiser.warm_up < optimiser.steps, "optimiser.warm_up: from 0, below optimiser.steps"),
            (0 <= optimiser.ema < 1, "optimiser.ema: from 0, below 1"),
            (optimiser.accumulate >= 1, "optimiser.accumulate: at least 1"),
            (len(optimiser.betas) == 2, "optimiser.betas: two numbers"),
            (self.validation.every_steps >= 1, "validation.every_steps: at least 1"),
            (self.validation.patience >= 0, "validation.patience: at least 0"),
            (self.network.head == "same" or bool(self.network.start), "network.head: needs network.start"),
            (self.loss.embedding == 0 or bool(self.data.embeddings), "loss.embedding: needs data.embeddings"),
        ]
        for holds, message in checks:
            if not holds:
                raise ConfigError(message)

    @classmethod
    def read(cls, path: str | Path) -> Recipe:
        """Read a recipe; an unknown key or a wrong type is an error that names file and key."""
        try:
            document = tomllib.loads(Path(path).read_text(encoding="utf-8"))
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
        except ValueError as error:
            raise ConfigError(f"{path}: not TOML: {error}") from error
        try:
            return _fill(cls, document, "")
        except ConfigError as error:
            raise ConfigError(f"{path}: {error}") from error

    def stage(self, step: int) -> int:
        """Index of the sampling stage that optimiser step ``step`` (from 0) belongs to."""
        done = step / self.optimiser.steps
        if self.sampling.mixed:
            done = float(np.random.default_rng([self.seed, step, _STAGES]).random())
        return sum(done >= until for until in self.sampling.until[:-1])


def _fill(kind: type, table: dict[str, Any], prefix: str) -> Any:
    hints = get_type_hints(kind)
    values = {}
    for key, value in table.items():
        if key not in hints:
            raise ConfigError(f"{prefix}{key}: unknown; known here: {', '.join(hints)}")
        values[key] = _cast(hints[key], value, f"{prefix}{key}")
    for entry in dataclasses.fields(kind):
        required = entry.default is dataclasses.MISSING and entry.default_factory is dataclasses.MISSING
        if required and entry.name not in values:
            raise ConfigError(f"{prefix}{entry.name}: missing")
    return kind(**values)


def _cast(hint: Any, value: Any, key: str) -> Any:
    if dataclasses.is_dataclass(hint) and isinstance(value, dict):
        return _fill(hint, value, f"{key}.")  # type: ignore[arg-type]  # hint is the class itself
    origin = get_origin(hint)
    if origin is Literal:
        if value not in get_args(hint):
            raise ConfigError(f"{key}: expected one of {', '.join(get_args(hint))}, found {value!r}")
        return value
    if origin is list and isinstance(value, list):
        return [_cast(get_args(hint)[0], item, key) for item in value]
    if origin is dict and isinstance(value, dict):
        return value
    if hint is float and isinstance(value, int) and not isinstance(value, bool):
        return float(value)
    if isinstance(hint, type) and isinstance(value, hint) and (hint is bool or not isinstance(value, bool)):
        return value
    raise ConfigError(f"{key}: expected {getattr(origin or hint, '__name__', hint)}, found {value!r}")

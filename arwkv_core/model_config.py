"""``config.toml`` of a model folder: what must be known besides the weights, readable without torch."""

from __future__ import annotations

import hashlib
import math
import re
import sys
from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Literal, get_args

from .architecture import Architecture
from .constants import FBANK_MEAN, FBANK_STD, FRAMES_PER_STEP, SAMPLE_RATE
from .errors import CheckpointError, ConfigError
from .toml_writer import TomlValue, toml_text

if sys.version_info >= (3, 11):
    import tomllib
else:
    import tomli as tomllib

SCHEMA_VERSION = 1
CONFIG_FILE = "config.toml"
LABELS_FILE = "labels.csv"
CARD_FILE = "CARD.md"
WEIGHTS_FILE = "model.safetensors"
FRONT_END = "kaldi-log-mel"

ScoreFunction = Literal["sigmoid", "softmax"]
"""How logits become scores: each class by itself, or all sharing a sum of one."""

# Table -> key -> type. An integer may stand for a float. The three free tables take whatever TOML takes.
_TABLES: dict[str, dict[str, type]] = {
    "architecture": {"depth": int, "width": int, "classes": int, "position": str},
    "front_end": {"kind": str, "sample_rate": int, "mean": float, "std": float},
    "scores": {"function": str, "active_threshold": float},
    "window": {"frames": int},
    "weights": {"file": str, "sha256": str},
}
_OPTIONAL: dict[str, dict[str, type]] = {"architecture": {"head_bias": bool}, "window": {"hop": int}}
"""Keys of these tables that may be missing."""

_FREE_TABLES = ("training", "metrics", "licence")
_TYPE_NAMES = {bool: "true or false", int: "a whole number", float: "a number", str: "text"}

# Far above any real model: a slip of the pen must not ask for terabytes.
_LIMITS = {"depth": 1_000, "width": 65_536, "classes": 1_000_000, "frames": 1_000_000}


@dataclass(frozen=True)
class ModelConfig:
    """All about a model but its weights and labels.

    Parameters
    ----------
    name : str
        Name in the zoo, or the stem of a bare weight file.
    architecture : Architecture
        Its ``frames`` are the window's.
    score_function : {"sigmoid", "softmax"}
        How logits become scores.
    mean, std : float
        Normalisation of the log-mels: ``(fbank - mean) / std``.
    active_threshold : float
        A step whose score reaches it counts as active; between 0 and 1.
    hop_frames : int, optional
        Frames between windows that serves its scores best, a multiple of 16 up to its window; None for half of it.
    training, metrics, licence : mapping
        Free tables for people: text, numbers, lists and tables of them.
    weights_file : str
        Name of the weight file in the model's folder.
    weights_sha256 : str
        Its SHA-256 in hexadecimal; empty for a model that was never saved.

    Raises
    ------
    ConfigError
        If a value is out of range.
    """

    name: str
    architecture: Architecture
    score_function: ScoreFunction
    mean: float = FBANK_MEAN
    std: float = FBANK_STD
    active_threshold: float = 0.5
    hop_frames: int | None = None
    training: Mapping[str, TomlValue] = field(default_factory=dict)
    metrics: Mapping[str, TomlValue] = field(default_factory=dict)
    licence: Mapping[str, TomlValue] = field(default_factory=dict)
    weights_file: str = WEIGHTS_FILE
    weights_sha256: str = ""

    def __post_init__(self) -> None:
        def require(holds: bool, key: str, expected: str, found: object) -> None:
            if not holds:
                raise ConfigError(f"{key}: expected {expected}, found {found!r}")

        require(bool(self.name) and self.name.isprintable(), "name", "a name in one line", self.name)
        for key, limit in _LIMITS.items():
            value = getattr(self.architecture, key)
            require(value <= limit, f"architecture.{key}", f"at most {limit}", value)
        choices = get_args(ScoreFunction)
        function = self.score_function
        require(function in choices, "scores.function", " or ".join(map(repr, choices)), function)
        require(0 < self.active_threshold < 1, "scores.active_threshold", "0 < x < 1", self.active_threshold)
        hop, window = self.hop_frames, self.architecture.frames
        fits = hop is None or (0 < hop <= window and hop % FRAMES_PER_STEP == 0)
        require(fits, "window.hop", f"a multiple of {FRAMES_PER_STEP} up to {window} (frames)", hop)
        require(math.isfinite(self.mean), "front_end.mean", "a finite number", self.mean)
        require(0 < self.std < math.inf, "front_end.std", "a finite number above 0", self.std)
        file = self.weights_file
        plain = (
            bool(file) and file.isprintable() and not re.search(r"[/\\:]", file) and file not in (".", "..")
        )
        require(plain, "weights.file", "the name of a file in the model's folder", file)
        known = re.fullmatch(r"[0-9a-f]{64}", self.weights_sha256)
        require(
            bool(known) or not self.weights_sha256,
            "weights.sha256",
            "64 hexadecimal digits",
            self.weights_sha256,
        )

    @property
    def window_frames(self) -> int:
        """Length of the model's window in log-mel frames (10 ms each)."""
        return self.architecture.frames

    @property
    def sample_rate(self) -> int:
        """Samples a second that the front end takes (Hz)."""
        return SAMPLE_RATE

    @classmethod
    def read(cls, path: str | Path) -> ModelConfig:
        """Read a ``config.toml``.

        Raises
        ------
        ConfigError
            Naming file, key, what was expected and what was found: unreadable, no TOML, an unknown or a
            missing key, another type, a number out of range.
        """
        try:
            text = Path(path).read_bytes().decode("utf-8")
        except OSError as error:
            raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
        except UnicodeDecodeError as error:
            raise ConfigError(f"{path}: expected TOML in UTF-8, found other bytes") from error
        return cls.from_toml(text, source=str(path))

    @classmethod
    def from_toml(cls, text: str, source: str = CONFIG_FILE) -> ModelConfig:
        """Read the text of a ``config.toml``; ``source`` is named in errors, which are those of `read`."""
        try:
            document = tomllib.loads(text)
        except (ValueError, RecursionError) as error:  # TOMLDecodeError, or a number of 5,000 digits
            raise ConfigError(f"{source}: not TOML: {error}") from error
        try:
            return cls._from_document(document)
        except ConfigError as error:
            raise ConfigError(f"{source}: {error}") from error

    @classmethod
    def _from_document(cls, document: dict[str, Any]) -> ModelConfig:
        version = document.pop("schema_version", None)
        if version is None:
            raise ConfigError(f"schema_version: missing, expected {SCHEMA_VERSION}")
        if version != SCHEMA_VERSION or isinstance(version, bool):
            raise ConfigError(
                f"schema_version: expected {SCHEMA_VERSION}, found {version!r}: made for another arwkv"
            )
        name = _take(document, "name", str)
        free = {key: document.pop(key, {}) for key in _FREE_TABLES}
        for key, table in free.items():
            if not isinstance(table, dict):
                raise ConfigError(f"{key}: expected a table, found {table!r}")
            toml_text({key: table})  # refuses what could not be written back, dates above all
        values: dict[str, dict[str, Any]] = {}
        for key, types in _TABLES.items():
            table = _take(document, key, dict)
            optional = {inner: kind for inner, kind in _OPTIONAL.get(key, {}).items() if inner in table}
            values[key] = {
                inner: _take(table, inner, kind, key) for inner, kind in {**types, **optional}.items()
            }
            _require_empty(table, key)
        _require_empty(document)

        for key, only in (("kind", FRONT_END), ("sample_rate", SAMPLE_RATE)):
            if values["front_end"][key] != only:
                raise ConfigError(f"front_end.{key}: expected {only!r}, found {values['front_end'][key]!r}")
        if not values["weights"]["sha256"]:
            raise ConfigError("weights.sha256: expected 64 hexadecimal digits, found ''")
        return cls(
            name=name,
            architecture=Architecture(**values["architecture"], frames=values["window"]["frames"]),
            score_function=values["scores"]["function"],
            mean=values["front_end"]["mean"],
            std=values["front_end"]["std"],
            active_threshold=values["scores"]["active_threshold"],
            hop_frames=values["window"].get("hop"),
            weights_file=values["weights"]["file"],
            weights_sha256=values["weights"]["sha256"],
            **free,
        )

    def to_toml(self) -> str:
        """Text that `from_toml` reads back to an equal config.

        Raises
        ------
        ConfigError
            If the hash of the weights is not known yet, or if a free table holds what TOML can't.
        """
        if not self.weights_sha256:
            raise ConfigError("weights.sha256: the model was never saved: write it with save_model_folder")
        arch = self.architecture
        return toml_text(
            {
                "schema_version": SCHEMA_VERSION,
                "name": self.name,
                "architecture": {
                    "depth": arch.depth,
                    "width": arch.width,
                    "classes": arch.classes,
                    "position": arch.position,
                }
                | ({"head_bias": True} if arch.head_bias else {}),
                "front_end": {
                    "kind": FRONT_END,
                    "sample_rate": SAMPLE_RATE,
                    "mean": float(self.mean),
                    "std": float(self.std),
                },
                "scores": {"function": self.score_function, "active_threshold": float(self.active_threshold)},
                "window": {"frames": arch.frames} | ({"hop": self.hop_frames} if self.hop_frames else {}),
                "training": self.training,
                "metrics": self.metrics,
                "licence": self.licence,
                "weights": {"file": self.weights_file, "sha256": self.weights_sha256},
            }
        )


def file_sha256(path: str | Path) -> str:
    """SHA-256 of a file in hexadecimal, read in blocks.

    Raises
    ------
    CheckpointError
        If the file can't be read.
    """
    digest = hashlib.sha256()
    try:
        with Path(path).open("rb") as file:
            while block := file.read(1 << 20):
                digest.update(block)
    except OSError as error:
        raise CheckpointError(f"{path}: can't be read: {error.strerror}") from error
    return digest.hexdigest()


def verify_weights(path: str | Path, sha256: str) -> None:
    """Compare a weight file with the hash in its config.

    Raises
    ------
    CheckpointError
        If the file can't be read or has another hash.
    """
    found = file_sha256(path)
    if found != sha256:
        raise CheckpointError(
            f"{path}: expected the SHA-256 {sha256} of {CONFIG_FILE}, found {found}: the file is damaged or "
            "was replaced; fetch or add the model again"
        )


def _take(table: dict[str, Any], key: str, kind: type, parent: str = "") -> Any:
    """Remove a key from a table and return its value, or raise `ConfigError`."""
    path = f"{parent}.{key}" if parent else key
    expected = _TYPE_NAMES.get(kind, "a table")
    if key not in table:
        raise ConfigError(f"{path}: missing, expected {expected}")
    value = table.pop(key)
    if kind is float and type(value) is int and abs(value) <= sys.float_info.max:
        return float(value)
    if type(value) is not kind:  # exactly: True is an int for isinstance
        raise ConfigError(f"{path}: expected {expected}, found {value!r}")
    return value


def _require_empty(table: dict[str, Any], parent: str = "") -> None:
    for key in table:
        known = (
            [*_TABLES[parent], *_OPTIONAL.get(parent, {})]
            if parent
            else ["schema_version", "name", *_TABLES, *_FREE_TABLES]
        )
        path = f"{parent}.{key}" if parent else key
        raise ConfigError(f"{path}: unknown key, expected {', '.join(known)}")

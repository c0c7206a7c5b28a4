"""How the scores of one model become probabilities: ``calibration.csv`` in its folder, read without numpy.

Of a class with the score ``s``, the probability ``p`` is (Platt's scaling)::

    logit(p) = slope * logit(s) + offset

With 1 and 0 that is the score itself. It rises with the score, so no two steps of a class ever change their order. A
softmax needs no other formula: the logit of its share is the class's logit less the log of the sum of all others' exp.
`score_curves` computes it.
"""

from __future__ import annotations

import csv
import hashlib
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path
from typing import TYPE_CHECKING

from .class_rows import class_rows
from .errors import ConfigError
from .model_config import CONFIG_FILE, ModelConfig

if TYPE_CHECKING:
    from .labels import LabelSet

CALIBRATION_FILE = "calibration.csv"
"""Name of the file in a model's folder; a model may have none."""

PICTURE_FILE = "reliability.svg"
"""Name of the picture beside it, for the card: how often what was scored so and so was there."""

SCHEMA_VERSION = 1
COLUMNS = ("mid", "display_name", "slope", "offset", "clips", "fitted", "weights", "schema_version")

OWN, SHARED = "own", "shared"
"""Whether a class was fitted itself, or has what was fitted to all classes together."""

WEIGHTS_DIGITS = 16
"""Of the SHA-256 of the weights, that stand in the file: a calibration is about the scores of these weights."""

LARGEST = 100.0
"""Slope and, either side of 0, offset: what goes beyond is a slip of the pen."""


@dataclass(frozen=True)
class ClassCurve:
    """From the score of one class to its probability.

    Parameters
    ----------
    slope : float
        Of logits; above 0.
    offset : float
        Logits.
    clips : int
        Clips in which the class sounded, of those that it was fitted to.
    fitted : {"own", "shared"}
        Whether that was enough for a curve of its own.
    """

    slope: float = 1.0
    offset: float = 0.0
    clips: int = 0
    fitted: str = SHARED


@dataclass(frozen=True)
class Calibration:
    """Curves of all classes of a model.

    Parameters
    ----------
    curves : mapping of str to ClassCurve
        By mid.
    names : mapping of str to str
        Display names by mid, for people who read the file.
    weights : str
        First digits of the SHA-256 of the weights that it was fitted to; empty if they aren't known.
    source : str
        Where it comes from, for messages.
    """

    curves: Mapping[str, ClassCurve]
    names: Mapping[str, str] = field(default_factory=dict, compare=False)
    weights: str = ""
    source: str = field(default=CALIBRATION_FILE, compare=False)

    def __hash__(self) -> int:
        return hash(self.digest)

    @cached_property
    def digest(self) -> str:
        """16 hexadecimal digits that tell calibrations apart: of classes and numbers, not of names or line ends."""
        rows = sorted((mid, curve.slope, curve.offset) for mid, curve in self.curves.items())
        return hashlib.sha256(repr(rows).encode()).hexdigest()[:16]

    @classmethod
    def of_folder(cls, folder: Path | None) -> Calibration | None:
        """That of a model's folder; None if it has none, or if there is no folder.

        Raises
        ------
        ConfigError
            If the file is damaged, see `read`, or was fitted to other weights than those of the folder.
        """
        path = None if folder is None else folder / CALIBRATION_FILE
        if path is None or not path.exists():
            return None
        status = path.stat()
        found = _cached(path, status.st_mtime_ns, status.st_size)
        config = path.with_name(CONFIG_FILE)
        if found.weights and config.exists():
            weights = ModelConfig.read(config).weights_sha256[:WEIGHTS_DIGITS]
            if weights != found.weights:
                raise ConfigError(
                    f"{path}: expected a calibration of the weights {weights}… of {CONFIG_FILE}, found one of "
                    f"{found.weights}…: `arwkv calibrate --overwrite` makes it anew"
                )
        return found

    @classmethod
    def read(cls, path: str | Path) -> Calibration:
        """Read a ``calibration.csv``: the columns of `COLUMNS`, in any order; further ones are ignored.

        Raises
        ------
        ConfigError
            Naming file, line and column: no such file, no UTF-8, a missing or repeated column, a row of too few or
            many fields, an empty or repeated mid, no number, a number out of range, another version, rows for
            several sets of weights, no class.
        """
        path = Path(path)
        curves: dict[str, ClassCurve] = {}
        names: dict[str, str] = {}
        weights: set[str] = set()
        for where, fields in class_rows(path, COLUMNS):
            mid = fields["mid"]
            curves[mid], names[mid] = _curve(fields, where), fields["display_name"]
            weights.add(fields["weights"])
            if len(weights) > 1:
                found = " and ".join(map(repr, sorted(weights)))
                raise ConfigError(f"{where}: weights: expected the same in every row, found {found}")
        if not curves:
            raise ConfigError(f"{path}: expected a row for each class, found none")
        return cls(curves, names, weights.pop(), str(path))

    def of_classes(self, labels: LabelSet) -> list[ClassCurve]:
        """Return the curves of a model's classes, in the order of its scores.

        Raises
        ------
        ConfigError
            If there is none for a class: some of its scores would be probabilities and others not.
        """
        for mid, name in labels:
            if mid not in self.curves:
                raise ConfigError(
                    f"{self.source}: expected a row for each of the {len(labels)} classes of the model, found none for "
                    f"{mid} ({name}); `arwkv calibrate` makes it anew, --raw-scores does without"
                )
        return [self.curves[mid] for mid in labels.mids]

    def text(self) -> str:
        """Return the text of a file that `read` takes for an equal calibration."""
        stream = io.StringIO()
        writer = csv.writer(stream, lineterminator="\n")
        writer.writerow(COLUMNS)
        for mid, curve in self.curves.items():
            numbers = (repr(curve.slope), repr(curve.offset))
            name = self.names.get(mid, "")
            writer.writerow([mid, name, *numbers, curve.clips, curve.fitted, self.weights, SCHEMA_VERSION])
        return stream.getvalue()


def check_calibration(folder: Path, labels: LabelSet) -> None:
    """Refuse a model's folder whose calibration is damaged or is not about the model's classes.

    Raises
    ------
    ConfigError
        See `Calibration.read` and `Calibration.of_classes`.
    """
    if (calibration := Calibration.of_folder(folder)) is not None:
        calibration.of_classes(labels)


@lru_cache(maxsize=16)
def _cached(path: Path, _modified: int, _size: int) -> Calibration:
    return Calibration.read(path)


def _curve(fields: Mapping[str, str], where: str) -> ClassCurve:
    def number(key: str) -> float:
        try:
            return float(fields[key])
        except ValueError:
            raise ConfigError(f"{where}: {key}: expected a number, found {fields[key]!r}") from None

    if fields["schema_version"].strip() != str(SCHEMA_VERSION):
        found = fields["schema_version"]
        raise ConfigError(
            f"{where}: schema_version: expected {SCHEMA_VERSION}, found {found!r}: made for another arwkv"
        )
    slope, offset = number("slope"), number("offset")
    if not 0 < slope <= LARGEST:  # NaN fails too
        raise ConfigError(f"{where}: slope: expected a number above 0, up to {LARGEST:g}, found {slope:g}")
    if not abs(offset) <= LARGEST:
        raise ConfigError(f"{where}: offset: expected -{LARGEST:g} to {LARGEST:g} logits, found {offset:g}")
    clips = number("clips")
    if not (clips >= 0 and math.isfinite(clips) and clips == int(clips)):
        raise ConfigError(f"{where}: clips: expected a whole number from 0, found {clips:g}")
    if fields["fitted"] not in (OWN, SHARED):
        raise ConfigError(f"{where}: fitted: expected {OWN!r} or {SHARED!r}, found {fields['fitted']!r}")
    return ClassCurve(slope, offset, int(clips), fields["fitted"])

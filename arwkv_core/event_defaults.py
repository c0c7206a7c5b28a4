"""How the events of each class are best found by one model: ``events.csv`` in its folder."""

from __future__ import annotations

import csv
import io
import math
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from .calibration import Calibration
from .class_rows import class_rows
from .errors import ConfigError, ScoreFileError

if TYPE_CHECKING:
    from .score_file import StoredScores

EVENTS_FILE = "events.csv"
"""Name of the file in a model's folder; a model may have none."""

NUMBERS = ("on", "off", "median", "min_duration", "merge_gap")
"""What may be set for a class, as columns of the file and as options."""

ACTIVE_THRESHOLD = 0.5
"""Score at which events start where neither the user nor the model says otherwise; of a calibrated model, more likely
than not."""

ALL_CLASSES = "*"
"""Stands in the file for all classes that have no `on` of their own."""

OFF_SHARE = 0.6
"""An event lasts until its score falls below this share of the score that starts one."""

MEDIAN_SECONDS = 0.48
MIN_DURATION_SECONDS = 0.32
MERGE_GAP_SECONDS = 0.64
"""Three, two and four steps of 0.16 s: a score that jumps for one step alone is no event."""

LONGEST_MEDIAN_SECONDS = 60.0


def number_problem(key: str, value: float) -> str | None:
    """Say what is wrong with a value of one of `NUMBERS`, as "expected …, found …"; None if it is in range."""
    if key in ("on", "off"):
        expected, holds = "a score from 0 to 1", 0 <= value <= 1
    elif key == "median":
        expected = f"0 to {LONGEST_MEDIAN_SECONDS:g} seconds"
        holds = 0 <= value <= LONGEST_MEDIAN_SECONDS
    else:
        expected, holds = "0 or more seconds", 0 <= value < math.inf
    return None if holds else f"expected {expected}, found {value:g}"  # NaN fails too


@dataclass(frozen=True)
class ClassDefaults:
    """What a model's folder says about one class; None leaves a number to arwkv.

    Parameters
    ----------
    on, off : float or None
        Scores, ``off <= on``.
    median, min_duration, merge_gap : float or None
        Seconds.
    """

    on: float | None = None
    off: float | None = None
    median: float | None = None
    min_duration: float | None = None
    merge_gap: float | None = None


@dataclass(frozen=True)
class EventDefaults:
    """What makes events of a model's scores where the user does not say.

    Parameters
    ----------
    active_threshold : float
        Score from which the model's steps count as active: events of all other classes start there.
    classes : mapping of str to ClassDefaults
        By mid.
    calibration : Calibration, optional
        What makes probabilities of scores; the other numbers are probabilities then.
    raw_threshold : float
        With a calibration: the active threshold of scores that it was not applied to.
    """

    active_threshold: float = ACTIVE_THRESHOLD
    classes: Mapping[str, ClassDefaults] = field(default_factory=dict)
    calibration: Calibration | None = None
    raw_threshold: float = ACTIVE_THRESHOLD

    def __hash__(self) -> int:
        return hash((self.active_threshold, frozenset(self.classes.items()), self.calibration))

    def without_calibration(self) -> EventDefaults:
        """What holds for scores as the network gives them.

        The thresholds of a class are turned back, so that its events are those of the calibrated scores.
        """
        calibration = self.calibration
        if calibration is None:
            return self
        from .score_curves import score_of  # here, since it needs numpy

        classes = {}
        for mid, own in self.classes.items():
            if own.on is not None and mid in calibration.curves:
                curve = calibration.curves[mid]
                off = OFF_SHARE * own.on if own.off is None else own.off
                own = replace(own, on=score_of(curve, own.on), off=score_of(curve, off))
            classes[mid] = own
        return EventDefaults(self.raw_threshold, classes)

    @classmethod
    def of_folder(cls, folder: Path | None, active_threshold: float = ACTIVE_THRESHOLD) -> EventDefaults:
        """Those of a model's folder, without torch.

        Parameters
        ----------
        folder : Path or None
            None for a model that has none.
        active_threshold : float
            From the model's ``config.toml``. Of a calibrated model `ACTIVE_THRESHOLD` holds instead, and of any
            model what its ``events.csv`` says of `ALL_CLASSES`.

        Raises
        ------
        ConfigError
            If its ``events.csv`` or ``calibration.csv`` is damaged; see `read_class_defaults` and
            `Calibration.read`.
        """
        calibration = Calibration.of_folder(folder)
        classes: Mapping[str, ClassDefaults] = {}
        path = None if folder is None else folder / EVENTS_FILE
        if path is not None and path.exists():
            status = path.stat()
            classes = _cached(path, status.st_mtime_ns, status.st_size)
        own = {mid: numbers for mid, numbers in classes.items() if mid != ALL_CLASSES}
        threshold = active_threshold if calibration is None else ACTIVE_THRESHOLD
        if ALL_CLASSES in classes and (on := classes[ALL_CLASSES].on) is not None:
            threshold = on
        if calibration is None:
            return cls(threshold, own)
        return cls(threshold, own, calibration, active_threshold)

    @classmethod
    def of_source(cls, source: Any, *, raw_scores: bool = False) -> EventDefaults:
        """Those of the model that gave the scores of a `recording.ScoreSource`.

        Of kept scores, the model is known by its name and the hash of its weights. Where it is not in the zoo
        any more, or has other weights now, its threshold is known from the scores, and nothing else.

        Raises
        ------
        ScoreFileError
            If these are kept scores of a calibrated model that can't be found, unless ``raw_scores`` are wanted.
        ConfigError
            If the model's ``events.csv`` or ``calibration.csv`` is damaged.
        """
        # a stream of scores has its scorer, scores that are kept while they come have a stream
        scorer = getattr(getattr(source, "stream", source), "scorer", None)
        model: dict[str, Any] = scorer.provenance["model"] if scorer is not None else source.meta["model"]
        folder = getattr(scorer, "folder", None) or _folder_in_zoo(model["name"], model["weights_sha256"])
        if folder is None and scorer is None and source.meta.get("calibrated") and not raw_scores:
            raise ScoreFileError(
                f"{source.path}: expected the calibrated model {model['name']} in `arwkv models list`, found none with "
                "these weights: --model FOLDER says where it is, --raw-scores does without"
            )
        return cls.of_folder(folder, model["active_threshold"])


class DefaultsOfScores:
    """Finds the defaults of kept scores, those of each model once: to look one up takes milliseconds.

    Parameters
    ----------
    model : str, optional
        Take them from the folder of this model, whatever the scores say.
    raw_scores : bool
        Do without a calibration.
    """

    def __init__(self, model: str | None = None, *, raw_scores: bool = False) -> None:
        self.model, self.raw_scores = model, raw_scores
        self._known: dict[tuple[str, str], EventDefaults] = {}  # by name and weights

    def __call__(self, scores: StoredScores) -> EventDefaults:
        """Return those that hold for the scores of a recording; see `EventDefaults.of_source`."""
        key = (scores.model_name, str(scores.meta["model"]["weights_sha256"]))
        if key not in self._known:
            self._known[key] = self._find(scores)
        return self._known[key]

    def _find(self, scores: StoredScores) -> EventDefaults:
        if self.model is None:
            return EventDefaults.of_source(scores, raw_scores=self.raw_scores)
        import arwkv_models  # here, since the zoo imports this package

        place = arwkv_models.locate(self.model)
        return EventDefaults.of_folder(place if place.is_dir() else None, scores.active_threshold)


def read_class_defaults(path: str | Path) -> dict[str, ClassDefaults]:
    """Read an ``events.csv``: the column ``mid`` and any of `NUMBERS`; further columns are ignored.

    An empty field leaves the number to arwkv. A mid that the model lacks does no harm. `ALL_CLASSES` has only ``on``.

    Returns
    -------
    dict of str to ClassDefaults
        By mid.

    Raises
    ------
    ConfigError
        Naming file, line and column: no such file, no UTF-8, a missing or repeated column, a row of too few or
        many fields, an empty or repeated mid, no number, a number out of range, ``off`` above ``on``.
    """
    found: dict[str, ClassDefaults] = {}
    for where, fields in class_rows(Path(path), ("mid",), NUMBERS):
        mid = fields["mid"]
        found[mid] = _class_defaults(fields, where)
        for key in NUMBERS[1:]:
            if mid == ALL_CLASSES and getattr(found[mid], key) is not None:
                raise ConfigError(f"{where}: {key}: expected none for {ALL_CLASSES}, only on holds for all")
    return found


def class_defaults_text(classes: Mapping[str, ClassDefaults], names: Mapping[str, str]) -> str:
    """Return the text of an ``events.csv`` that `read_class_defaults` takes for equal numbers; names are by mid."""
    stream = io.StringIO()
    writer = csv.writer(stream, lineterminator="\n")
    writer.writerow(["mid", "display_name", *NUMBERS])
    for mid, own in classes.items():
        numbers = [getattr(own, key) for key in NUMBERS]
        writer.writerow(
            [mid, names.get(mid, ""), *("" if value is None else repr(value) for value in numbers)]
        )
    return stream.getvalue()


@lru_cache(maxsize=16)
def _cached(path: Path, _modified: int, _size: int) -> Mapping[str, ClassDefaults]:
    return read_class_defaults(path)


def _class_defaults(fields: Mapping[str, str], where: str) -> ClassDefaults:
    numbers: dict[str, float] = {}
    for key in NUMBERS:
        text = fields.get(key, "").strip()
        if not text:
            continue
        try:
            value = float(text)
        except ValueError:
            raise ConfigError(f"{where}: {key}: expected a number, found {text!r}") from None
        if problem := number_problem(key, value):
            raise ConfigError(f"{where}: {key}: {problem}")
        numbers[key] = value
    if "off" in numbers and "on" not in numbers:
        raise ConfigError(f"{where}: off: expected a number in the column on as well")
    if "off" in numbers and numbers["off"] > numbers["on"]:
        raise ConfigError(
            f"{where}: off: expected at most {numbers['on']:g}, which is on, found {numbers['off']:g}"
        )
    return ClassDefaults(**numbers)


def _folder_in_zoo(name: str, weights_sha256: str) -> Path | None:
    """The folder of the model that bears the name and has those weights."""
    import arwkv_models  # here, since the zoo imports this package

    from .errors import ModelNotFound

    try:
        model = arwkv_models.find(name)
    except ModelNotFound:
        return None
    same = model.config is not None and model.config.weights_sha256 == weights_sha256
    return model.folder if same else None

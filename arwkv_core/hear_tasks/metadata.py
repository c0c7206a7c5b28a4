"""What ``task_metadata.json`` says of a task; entries that arwkv has no use for are left alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import product
from pathlib import Path
from typing import Any

from arwkv_core.labelled.problems import Problems

from .json_file import number, read_object, shown
from .post_processing import DEFAULT_GRID, PostProcessing
from .task import SPLITS, EmbeddingType, PredictionType

FOLD_MODES = ("new_split_kfold", "presplit_kfold")
SPLIT_MODES = ("trainvaltest", *FOLD_MODES)
GRID_KEYS = ("median_filter_ms", "min_duration")

FEWEST_FOLDS = 3
"""One is tested, one chooses, and from the others is learnt."""

MOST_FOLDS = 1000


@dataclass(frozen=True)
class Metadata:
    """See `HearTask`, whose attributes these are; ``splits`` are names."""

    name: str
    version: str
    embedding_type: EmbeddingType
    prediction_type: PredictionType
    measures: tuple[str, ...]
    splits: tuple[str, ...]
    grid: tuple[PostProcessing, ...]
    chosen_by_loss: bool


def read_metadata(path: Path, problems: Problems) -> Metadata | None:
    """Read the file; None, with what is wrong noted, where that can't be done."""
    entries = read_object(path, problems)
    if entries is None:
        return None
    before = len(problems.found)
    reader = _Entries(entries, path, problems)
    embedding_type: EmbeddingType = reader.one_of("embedding_type", ("scene", "event"))
    prediction_type: PredictionType = reader.one_of("prediction_type", ("multiclass", "multilabel"))
    if (embedding_type, prediction_type) == ("event", "multiclass"):
        problems.add(f"{path}: prediction_type", "multilabel, since events may overlap", prediction_type)
    by_scores = entries.get("use_scoring_for_early_stopping", True)
    if not isinstance(by_scores, bool):
        problems.add(f"{path}: use_scoring_for_early_stopping", "true or false", shown(by_scores))
    metadata = Metadata(
        name=reader.text("task_name"),
        version=reader.text("version", ""),
        embedding_type=embedding_type,
        prediction_type=prediction_type,
        measures=reader.texts("evaluation"),
        splits=reader.splits(),
        grid=reader.grid(),
        chosen_by_loss=not by_scores,
    )
    return metadata if len(problems.found) == before else None


class _Entries:
    """Takes entries out of the file's object, noting what is wrong with them."""

    def __init__(self, entries: dict[str, Any], path: Path, problems: Problems) -> None:
        self.entries, self.path, self.problems = entries, path, problems

    def add(self, key: str, expected: str) -> None:
        found = shown(self.entries[key]) if key in self.entries else "none"
        self.problems.add(f"{self.path}: {key}", expected, found)

    def text(self, key: str, default: str | None = None) -> str:
        value = self.entries.get(key, default)
        if not isinstance(value, str) or (default is None and not value):
            self.add(key, "text")
            return ""
        return value

    def one_of(self, key: str, choices: Sequence[str], default: str | None = None) -> Any:
        value = self.entries.get(key, default)
        if value not in choices:
            self.add(key, " or ".join(choices))
        return value

    def texts(self, key: str) -> tuple[str, ...]:
        value = self.entries.get(key)
        if not isinstance(value, list) or not value or not all(isinstance(each, str) for each in value):
            self.add(key, "a list of names")
            return ()
        return tuple(value)

    def splits(self) -> tuple[str, ...]:
        """Names of the splits; older folders state neither mode nor splits."""
        mode = self.one_of("split_mode", SPLIT_MODES, SPLIT_MODES[0])
        if mode not in FOLD_MODES:
            if "splits" in self.entries and set(self.texts("splits")) != set(SPLITS):
                self.add("splits", ", ".join(SPLITS))
            return SPLITS
        if "splits" in self.entries:
            folds = self.texts("splits")
            if folds and (
                len(folds) < FEWEST_FOLDS or len(set(folds)) < len(folds) or not all(map(_plain, folds))
            ):
                self.add("splits", f"at least {FEWEST_FOLDS} different folds")
            return folds
        count = self.entries.get("nfolds")
        if isinstance(count, bool) or not isinstance(count, int) or not FEWEST_FOLDS <= count <= MOST_FOLDS:
            self.add("nfolds", f"{FEWEST_FOLDS} to {MOST_FOLDS}")
            return ()
        return tuple(f"fold{index:02}" for index in range(count))

    def grid(self) -> tuple[PostProcessing, ...]:
        """All pairs of what is to be tried."""
        parameters = self.entries.get("evaluation_params", {})
        grid = parameters.get("event_postprocessing_grid") if isinstance(parameters, dict) else None
        if grid is None:
            return DEFAULT_GRID
        place = f"{self.path}: event_postprocessing_grid"
        if not isinstance(grid, dict) or set(grid) != set(GRID_KEYS):
            self.problems.add(place, f"lists named {' and '.join(GRID_KEYS)}", shown(grid))
            return DEFAULT_GRID
        lists = []
        for key in GRID_KEYS:
            values = grid[key] if isinstance(grid[key], list) else []
            numbers = [each for each in map(number, values) if each is not None and each >= 0]
            if not numbers or len(numbers) < len(values):
                self.problems.add(f"{place}: {key}", "a list of milliseconds", shown(grid[key]))
            lists.append(numbers)
        return tuple(PostProcessing(*pair) for pair in product(*lists))


def _plain(name: str) -> bool:
    """Whether a name is that of a file or folder, not a way to another place."""
    return bool(name) and Path(name).name == name

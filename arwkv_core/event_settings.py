"""What makes events of scores: what the user says, then the model's folder, then what is built in."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from .constants import STEP_SECONDS
from .errors import UsageError
from .event_defaults import (
    MEDIAN_SECONDS,
    MERGE_GAP_SECONDS,
    MIN_DURATION_SECONDS,
    NUMBERS,
    OFF_SHARE,
    ClassDefaults,
    EventDefaults,
    number_problem,
)

if TYPE_CHECKING:
    from .groups import Groups

Floats = NDArray[np.float32]

SLACK = 1e-6
"""Steps that a number of seconds may be off by through rounding, and still be that many steps."""

MANY_STEPS = 2**40
"""More steps than any recording has: what larger numbers of seconds become."""


@dataclass(frozen=True)
class EventSettings:
    """How scores become events. A number that is None is the class's default.

    Parameters
    ----------
    on : float, optional
        An event starts where the smoothed score reaches this.
    off : float, optional
        It ends where the smoothed score falls below this; 0.6 × ``on`` by default, if ``on`` is given.
    median : float, optional
        Seconds over which scores are smoothed by their running median, rounded to an odd number of steps of
        0.16 s; 0 smooths nothing.
    min_duration : float, optional
        Leave out events shorter than this, in seconds.
    merge_gap : float, optional
        Join events of a class if not more than so many seconds lie between them.
    include, exclude : str or sequence of str, optional
        Report only, or never, these classes (display names or mids); with ``groups``, these groups.
    roll_up : bool
        Report a class only where no reported class below it in AudioSet's ontology explains it.
    groups : Groups, str or Path, optional
        Report groups of classes instead of classes: ``"basic"`` or a TOML file, see `groups.Groups.read`.
    raw_scores : bool
        Take scores as the network gives them, though the model's folder has a calibration.

    Raises
    ------
    UsageError
        If a number is out of range, or the groups can't be read.
    """

    on: float | None = None
    off: float | None = None
    median: float | None = None
    min_duration: float | None = None
    merge_gap: float | None = None
    include: str | Sequence[str] | None = None
    exclude: str | Sequence[str] | None = None
    roll_up: bool = True
    groups: Groups | str | Path | None = field(default=None)
    raw_scores: bool = False

    def __post_init__(self) -> None:
        for key in NUMBERS:
            value = getattr(self, key)
            if value is not None and (problem := number_problem(key, value)):
                raise UsageError(f"{_option(key)}: {problem}")
        if self.on is not None and self.off is not None and self.off > self.on:
            raise UsageError(f"--off: expected at most {self.on:g}, which is --on, found {self.off:g}")
        for key in ("include", "exclude"):
            names = getattr(self, key)
            if names is not None:  # one name alone is meant as a list of one, not as a list of letters
                object.__setattr__(self, key, (names,) if isinstance(names, str) else tuple(names))
        if isinstance(self.groups, str | Path):
            from .groups import Groups

            object.__setattr__(self, "groups", Groups.read(self.groups))

    def numbers(self, name: str, own: ClassDefaults, defaults: EventDefaults) -> ClassDefaults:
        """Return the numbers of one class, none of them None.

        Parameters
        ----------
        name : str
            For errors.
        own : ClassDefaults
            What the model's folder says of it.
        defaults : EventDefaults
            What holds for all of the model's classes.

        Raises
        ------
        UsageError
            If only ``off`` is given, and lies above the class's ``on``.
        """

        def first(*values: float | None) -> float:
            return next(value for value in values if value is not None)

        on = first(self.on, own.on, defaults.active_threshold)
        # the model's off belongs to its on
        off = first(self.off, own.off if self.on is None else None, OFF_SHARE * on)
        if off > on:
            raise UsageError(
                f"--off: expected at most {on:g}, where events of {name!r} start by default, found {off:g}; "
                "--on sets where they start"
            )
        return ClassDefaults(
            on=on,
            off=off,
            median=first(self.median, own.median, MEDIAN_SECONDS),
            min_duration=first(self.min_duration, own.min_duration, MIN_DURATION_SECONDS),
            merge_gap=first(self.merge_gap, own.merge_gap, MERGE_GAP_SECONDS),
        )

    def to_dict(self) -> dict[str, Any]:
        """Plain values by option name, as JSON has them; None is a class's default."""
        groups = self.groups if self.groups is None or isinstance(self.groups, str) else str(self.groups)
        return {
            **{key: getattr(self, key) for key in NUMBERS},
            "include": None if self.include is None else list(self.include),
            "exclude": None if self.exclude is None else list(self.exclude),
            "roll_up": self.roll_up,
            "groups": groups,
            "raw_scores": self.raw_scores,
        }


@dataclass(frozen=True)
class Thresholds:
    """The numbers of several classes side by side, in steps.

    Attributes
    ----------
    on, off : ndarray of float32
        ``(classes,)`` scores; a score that is equal in float32 reaches them.
    median_steps : ndarray of int64
        ``(classes,)``, odd.
    min_duration : ndarray of float64
        ``(classes,)`` seconds.
    merge_steps : ndarray of int64
        ``(classes,)``: gaps of so many steps are closed.
    """

    on: Floats
    off: Floats
    median_steps: NDArray[np.int64]
    min_duration: NDArray[np.float64]
    merge_steps: NDArray[np.int64]

    @classmethod
    def of(cls, numbers: Sequence[ClassDefaults]) -> Thresholds:
        """Put together complete numbers, as `EventSettings.numbers` gives them."""
        on, off, median, min_duration, merge_gap = (
            np.array([getattr(entry, key) for entry in numbers], np.float64) for key in NUMBERS
        )
        merge_steps = np.minimum(np.floor(merge_gap / STEP_SECONDS + SLACK), MANY_STEPS)
        # the nearest odd number of steps
        half = np.maximum(np.rint((median / STEP_SECONDS - 1) / 2 + SLACK), 0)
        return cls(
            on.astype(np.float32),
            off.astype(np.float32),
            2 * half.astype(np.int64) + 1,
            min_duration,
            merge_steps.astype(np.int64),
        )

    def __len__(self) -> int:
        return len(self.on)

    @property
    def min_steps(self) -> NDArray[np.int64]:
        """Whole steps that last at least the minimum duration ``(classes,)``."""
        steps = np.ceil(np.minimum(self.min_duration / STEP_SECONDS, MANY_STEPS) - SLACK)
        return steps.astype(np.int64)


def _option(key: str) -> str:
    return f"--{key.replace('_', '-')}"

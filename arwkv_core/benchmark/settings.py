"""What ``arwkv bench`` is asked for."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from arwkv_core.errors import UsageError

from .targets import TOKENS

PARTS = ("kernel", "model", "features", "pipeline", "start", "training", "memory")
SHAPES = ("T", "S", "B")
PRECISIONS = ("auto", "fp32", "bf16", "int8")

LEAST_TOKENS = 64
"""Of the shortest sequence; the linearity goes from a sixteenth of it to sixteen times as much."""

DEFAULT_REPEATS = 5
DEFAULT_MINUTES = 2.0
"""Of the recording for the pipeline: the whole benchmark stays at a few minutes. The targets' is an hour."""


@dataclass(frozen=True)
class Settings:
    """The options of ``arwkv bench``, checked.

    Attributes
    ----------
    part : tuple of str
        Some of `PARTS`, in their order.
    tokens : int
        Length of the kernel's sequences; 8 tokens are 160 ms of sound.
    model : tuple of str
        Some of `SHAPES`.
    precision : tuple of str
        Some of `PRECISIONS`.
    repeats : int
        Runs of each measurement, after one that is not counted; those of short ones are a few times as many.
    threads : int or None
        Of torch, the kernels and the processes that are started; None leaves it to them.
    minutes : float
        Length of the recording for pipeline and memory.
    """

    part: tuple[str, ...] = PARTS
    tokens: int = TOKENS
    model: tuple[str, ...] = SHAPES
    precision: tuple[str, ...] = ("auto", "fp32")
    repeats: int = DEFAULT_REPEATS
    threads: int | None = None
    minutes: float = DEFAULT_MINUTES

    def __post_init__(self) -> None:
        for option, values, choices in (
            ("part", self.part, PARTS),
            ("model", self.model, SHAPES),
            ("precision", self.precision, PRECISIONS),
        ):
            for value in values:
                if value not in choices:
                    raise UsageError(f"--{option}: expected one of {', '.join(choices)}, found {value!r}")
        for option, number, least in (
            ("tokens", self.tokens, LEAST_TOKENS),
            ("repeats", self.repeats, 1),
            ("threads", 1 if self.threads is None else self.threads, 1),
            ("minutes", self.minutes, 0.25),
        ):
            if not number >= least:
                raise UsageError(f"--{option}: expected at least {least}, found {number}")

    @classmethod
    def of(
        cls,
        part: Sequence[str] = (),
        model: Sequence[str] = (),
        precision: Sequence[str] = (),
        **numbers: int | float | None,
    ) -> Settings:
        """Make settings of options as they are given; what is not given (or None) is the default's."""
        chosen = {
            "part": tuple(name for name in PARTS if name in part) if set(part) <= set(PARTS) else tuple(part),
            "model": tuple(dict.fromkeys(model)),
            "precision": tuple(dict.fromkeys(precision)),
        }
        given = {name: values for name, values in chosen.items() if values}
        return cls(**given, **{name: value for name, value in numbers.items() if value is not None})  # type: ignore[arg-type]  # checked in __post_init__

"""All parts of the benchmark, one after the other, and their report."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import Any

from arwkv_core.errors import ArwkvError

from .outcome import Failure, NotRun, Outcome, Row
from .settings import DEFAULT_MINUTES, DEFAULT_REPEATS, Settings
from .targets import TOKENS

SCHEMA_VERSION = 1

Progress = Callable[[str], None]
"""Called with what is measured next."""


@dataclass(frozen=True)
class Report:
    """What was measured, on which machine.

    Attributes
    ----------
    machine : dict
        See `machine.describe_machine`.
    settings : Settings
    outcomes : tuple of Row, Failure or NotRun
        In the order in which they came.
    lengths : tuple of dict
        Points of the curve over the recording's length, where it was asked for; see `length_curve.Point`.
    """

    machine: dict[str, Any]
    settings: Settings
    outcomes: tuple[Outcome, ...]
    lengths: tuple[dict[str, Any], ...] = ()

    @property
    def rows(self) -> list[Row]:
        """The measurements."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Row)]

    @property
    def failures(self) -> list[Failure]:
        """What is off or broke."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, Failure)]

    @property
    def not_run(self) -> list[NotRun]:
        """What can't be measured here."""
        return [outcome for outcome in self.outcomes if isinstance(outcome, NotRun)]

    def to_dict(self) -> dict[str, Any]:
        """As JSON has it."""
        return {
            "schema_version": SCHEMA_VERSION,
            "machine": self.machine,
            "settings": asdict(self.settings),
            "rows": [row.to_dict() for row in self.rows],
            "failures": [asdict(failure) for failure in self.failures],
            "not_run": [asdict(absent) for absent in self.not_run],
            "lengths": list(self.lengths),
        }


def bench(
    *,
    part: Sequence[str] = (),
    tokens: int = TOKENS,
    model: Sequence[str] = (),
    precision: Sequence[str] = (),
    repeats: int = DEFAULT_REPEATS,
    threads: int | None = None,
    minutes: float = DEFAULT_MINUTES,
    plot: str | Path | None = None,
    progress: Progress | None = None,
) -> Report:
    """Measure how fast arwkv is on this machine's processor; the options are those of ``arwkv bench``.

    Parameters
    ----------
    part : sequence of str
        Of kernel, model, features, pipeline, start, training, memory; all of them if empty.
    tokens, model, precision, repeats, threads, minutes
        See `Settings`.
    plot : str or Path, optional
        Also measure time and memory over the length of a recording, and draw them into this PNG.
    progress : callable, optional
        Called with what is measured next.

    Returns
    -------
    Report
        Its ``failures`` are what gave a wrong result, and therefore no number.

    Raises
    ------
    UsageError
        If an option is out of range, or ``plot`` is given and matplotlib is not installed.
    """
    settings = Settings.of(
        part, model, precision, tokens=tokens, repeats=repeats, threads=threads, minutes=minutes
    )
    if plot is not None:
        from .length_plot import require_matplotlib

        require_matplotlib()
    import torch

    from .machine import describe_machine

    threads_before = torch.get_num_threads()
    if threads is not None:
        torch.set_num_threads(threads)
    try:
        machine = describe_machine()
        outcomes = tuple(_outcomes(settings, progress or _silent))
        lengths = _lengths(settings, Path(plot), progress or _silent) if plot is not None else ()
    finally:
        torch.set_num_threads(threads_before)
    return Report(machine, settings, outcomes, lengths)


def _silent(what: str) -> None:
    pass


def _outcomes(settings: Settings, progress: Progress) -> Iterator[Outcome]:
    from .workplace import Workplace

    with Workplace(settings) as place:
        for name in settings.part:
            progress(name)
            try:
                yield from _part(name, settings, place)
            except ArwkvError as error:
                yield Failure(name, name, str(error))


def _part(name: str, settings: Settings, place: Any) -> Iterator[Outcome]:
    if name == "kernel":
        from .kernel_part import measure_kernel

        return measure_kernel(settings)
    if name == "model":
        from .model_part import measure_models

        return measure_models(settings, place)
    if name == "features":
        from .features_part import measure_features

        return measure_features(settings, place)
    if name == "pipeline":
        from .pipeline_part import measure_pipeline

        return measure_pipeline(settings, place)
    if name == "start":
        from .start_part import measure_start

        return measure_start(settings, place)
    if name == "training":
        from .training_part import measure_training

        return measure_training(settings)
    from .memory_part import measure_memory

    return measure_memory(settings, place)


def _lengths(settings: Settings, path: Path, progress: Progress) -> tuple[dict[str, Any], ...]:
    from .length_curve import measure_curves
    from .length_plot import draw

    points = list(measure_curves(settings, progress))
    draw(points, path)
    return tuple(asdict(point) for point in points)

"""What a model's card says of its calibration, between two markers: a program writes it, people write the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from arwkv_core.calibration import PICTURE_FILE
from arwkv_core.errors import ConfigError

if TYPE_CHECKING:
    from .calibrate import CalibrationReport

BEGIN = "<!-- calibration: `arwkv calibrate` writes what stands from here -->"
END = "<!-- calibration: to here -->"


def with_section(card: str, report: CalibrationReport, source: str) -> str:
    """Return a card with the section in its place, or at its end if it has none.

    Parameters
    ----------
    card : str
        Text of ``CARD.md``.
    report : CalibrationReport
    source : str
        Of the card, for messages.

    Raises
    ------
    ConfigError
        If there is one of the markers alone, or more of them than two.
    """
    section = f"{BEGIN}\n{section_text(report)}{END}\n"
    if BEGIN not in card and END not in card:
        return f"{card.rstrip()}\n\n{section}" if card.strip() else section
    before, found, rest = card.partition(BEGIN)
    _, closed, after = rest.partition(END)
    if not (found and closed) or any(marker in before + after for marker in (BEGIN, END)):
        raise ConfigError(
            f"{source}: expected the line {BEGIN!r} and below it {END!r}, each once, found something else"
        )
    return before + section + after.removeprefix("\n")


def section_text(report: CalibrationReport) -> str:
    """Return the section without its markers, in Markdown."""
    before, after = report.before, report.after
    said = (
        "the teacher, corrected by what the clips' sources state," if report.by_teacher else "a clip's source"
    )
    rows = [
        ("expected calibration error, probabilities from 0.1 on", before.ece, after.ece),
        (
            f"the same class by class ({after.classes} with at least 5 clips)",
            before.class_ece,
            after.class_ece,
        ),
        ("log loss of a clip", before.log_loss, after.log_loss),
    ]
    place = f"of the split `{report.split}` " if report.split else ""
    slope, offset = report.shared
    lines = [
        "## Calibration",
        "",
        f"Scores are probabilities that {said} would say that the class sounds, fitted to {report.clips} clips",
        f"{place}by `arwkv calibrate`. {report.own} classes have a curve of their own, drawn",
        f"towards that of all (slope {slope:.2f}, offset {offset:.2f}), which the other {report.shared_classes} have.",
        "Each half of the recordings was measured with what was fitted to the other:",
        "",
        "| measure | scores of the network | calibrated |",
        "|---|---|---|",
        *(f"| {what} | {_number(there)} | {_number(here)} |" for what, there, here in rows),
        "",
        f"![How often what was said to be so probable was there]({PICTURE_FILE})",
        "",
        f"Events start at {report.on:g}, where the F1 of all classes together is highest, and those of",
        f"{len(report.thresholds)} classes elsewhere.",
    ]
    return "\n".join(lines) + "\n"


def _number(value: float) -> str:
    return "–" if value != value else f"{value:.3f}"

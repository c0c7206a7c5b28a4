"""Measure a bundled model anew: every number of its card and of the metrics in its config.

    python benchmarks/card_numbers.py CORPUS [--model NAME] [--write]

CORPUS is a folder as docs/training.md describes it. The model's folder is made anew beside it: clips of the splits
test and valid are heard, the calibration is fitted, and the numbers are put into their places. What differs is printed,
and the exit code is 1 then; another processor may move a number by as much as `TOLERANCE`. With `--write` the model's
folder gets what was measured.
"""

from __future__ import annotations

import argparse
import re
import shutil
import sys
import tempfile
from pathlib import Path

from marked_text import with_text

import arwkv_models
from arwkv_core import calibrate
from arwkv_core.calibration import CALIBRATION_FILE, PICTURE_FILE
from arwkv_core.evaluate import Evaluation, evaluate
from arwkv_core.event_defaults import EVENTS_FILE
from arwkv_core.model_config import CARD_FILE, CONFIG_FILE

BEGIN = "<!-- metrics: `benchmarks/card_numbers.py` writes what stands from here -->\n"
END = "<!-- metrics: to here -->\n"

TOLERANCE = 0.005
"""Of numbers with decimals; products of other precision or in another order change no more."""

MEASURES = (
    ("mAP, known labels ({known_classes} classes with at least 5 clips)", "known_map", 3),
    ("AUC, the same", "known_auc", 3),
    ("d', the same", "known_d_prime", 2),
    ("mAP against YAMNet's decisions ({teacher_classes} classes)", "teacher_map", 3),
    ("correlation with the scores of YAMNet", "teacher_correlation", 3),
    ("ESC-10 fold 5, zero-shot among the ten classes ({esc10_clips} clips)", "esc10_accuracy", 3),
)
NUMBERS = (
    "clips",
    "known_classes",
    "known_map",
    "known_auc",
    "known_d_prime",
    "teacher_classes",
    "teacher_map",
    "teacher_correlation",
    "esc10_clips",
    "esc10_accuracy",
)
Pair = tuple[Evaluation, Evaluation]
"""The model's, and the teacher's on the same clips."""


def section_text(test: Pair, valid: Pair) -> str:
    """What stands between the markers of the card."""
    ours, teacher = test
    counts = ours.to_dict()
    rows = [
        f"| {title.format(**counts)} | {getattr(ours, key):.{digits}f} | {getattr(teacher, key):.{digits}f} |"
        for title, key, digits in MEASURES
    ]
    classes = [
        f"| {one.name} | {one.positives} | {one.ap:.2f} | {other.ap:.2f} |"
        for one, other in zip(ours.classes, teacher.classes, strict=True)
    ]
    here, there = valid
    known, auc, esc10 = (
        f"{getattr(here, key):.3f} ({{}}{getattr(there, key):.3f})"
        for key in ("known_map", "known_auc", "esc10_accuracy")
    )
    return "\n".join(
        [
            f"{ours.clips} clips of the test split:",
            "",
            f"| measure | {ours.model} | YAMNet |",
            "|---|---|---|",
            *rows,
            "",
            f"On the {here.clips} of the validation split known-label mAP is {known.format('YAMNet ')},",
            f"AUC {auc.format('')}, ESC-10 fold 4 {esc10.format('')}.",
            "",
            "| class | clips | average precision | YAMNet's |",
            "|---|---|---|---|",
            *classes,
            "",
        ]
    )


def with_metrics(config: str, name: str, found: Evaluation) -> str:
    """A config with other numbers in the table ``[metrics.NAME]``."""
    rows = "".join(f"{key} = {round(getattr(found, key), 4)}\n" for key in NUMBERS)
    return re.sub(
        rf"(\[metrics\.{name}\]\n).*?(?=\n\[|\Z)", lambda match: match[1] + rows, config, flags=re.DOTALL
    )


def differences(before: str, after: str) -> list[str]:
    """Lines that differ by more than the last digits of numbers, as ``-`` and ``+``."""
    old, new = before.splitlines(), after.splitlines()
    if len(old) != len(new):
        return [f"- {len(old)} lines", f"+ {len(new)} lines"]
    return [
        line
        for pair in zip(old, new, strict=True)
        if not _alike(*pair)
        for line in (f"- {pair[0]}", f"+ {pair[1]}")
    ]


def _alike(one: str, other: str) -> bool:
    pattern = r"-?\d+\.\d+"
    if re.sub(pattern, "0.0", one) != re.sub(pattern, "0.0", other):
        return False
    numbers = zip(re.findall(pattern, one), re.findall(pattern, other), strict=True)
    return all(abs(float(a) - float(b)) <= TOLERANCE for a, b in numbers)


def measured(model: str, corpus: Path, target: Path) -> None:
    """Make the model's folder anew."""
    manifest = corpus / "manifest.csv"
    pairs = {}
    for split in ("test", "valid"):
        ours, teacher = evaluate(model, manifest, split=split)
        if teacher is None:
            raise SystemExit(f"{corpus}: teacher_frames.npz is missing, with which the card compares")
        pairs[split] = (ours, teacher)
    calibrate(model, manifest, output=target)
    card, config = target / CARD_FILE, target / CONFIG_FILE
    text = section_text(pairs["test"], pairs["valid"])
    card.write_text(with_text(card.read_text("utf-8"), BEGIN, END, text, card), "utf-8")
    text = config.read_text("utf-8")
    for name, found in (
        ("test", pairs["test"][0]),
        ("test_teacher", pairs["test"][1]),
        ("valid", pairs["valid"][0]),
    ):
        text = with_metrics(text, name, found)
    config.write_text(text, "utf-8")


def main() -> None:
    """Measure, and compare or write."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    parser.add_argument("--model", default="a-rwkv-t-open", help="a bundled model, or a model folder")
    parser.add_argument(
        "--write", action="store_true", help="write what was measured into the model's folder"
    )
    options = parser.parse_args()
    folder = arwkv_models.locate(options.model)
    with tempfile.TemporaryDirectory() as temporary:
        target = Path(temporary) / folder.name
        measured(options.model, options.corpus, target)
        found = False
        for name in (CARD_FILE, CONFIG_FILE):
            lines = differences((folder / name).read_text("utf-8"), (target / name).read_text("utf-8"))
            if lines:
                found = True
                print("\n".join([f"{folder / name}:", *lines]))
        if options.write:
            for name in (CARD_FILE, CONFIG_FILE, CALIBRATION_FILE, EVENTS_FILE, PICTURE_FILE):
                shutil.copyfile(target / name, folder / name)
        elif found:
            sys.exit(1)
        else:
            print(f"{options.model}: every number of {CARD_FILE} and {CONFIG_FILE} was measured again")


if __name__ == "__main__":
    main()

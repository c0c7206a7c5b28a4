"""Columns of Raven's selection tables: which there are, and which of them holds the class."""

from __future__ import annotations

import re
from collections.abc import Sequence

RAVEN_TIMES = ("Begin Time (s)", "End Time (s)")
RAVEN_LABELS = ("Annotation", "Label", "Class", "Species", "Common Name")
"""Columns of a selection table that may hold the class, the first that there is; users name their own."""

RAVEN_OFFSET = "File Offset (s)"
RAVEN_FILES = ("Begin Path", "Begin File")
"""The recording that a selection begins in, where a table is about several."""

_OWN = re.compile(
    r"Selection|View|Channel|Confidence|Score|Rating|(Begin|End) (File|Path|Date|Hour|Clip)"
    r"|(Begin|End) ((Clock|Date) Time|.*Sample.*)|.*\(.*\).*|.*(Notes|Comments)",
    re.IGNORECASE,
)
"""Raven's own columns, measurements with their units, and what people write down besides the class."""


def is_selection_table(header: Sequence[str]) -> bool:
    """Whether a first line is that of a selection table, in whatever order its columns stand."""
    return RAVEN_TIMES[0] in header


def label_column(header: Sequence[str], rows: Sequence[Sequence[str]]) -> str | None:
    """Name of the column that holds the class.

    One of `RAVEN_LABELS`, in any case; else the only column that is not Raven's own and holds words.

    Parameters
    ----------
    header : sequence of str
    rows : sequence of sequence of str
        The cells of the lines below it.

    Returns
    -------
    str or None
        None where there is no such column, or several.
    """
    by_name = {name.strip().casefold(): name for name in reversed(header)}
    for name in RAVEN_LABELS:
        if name.casefold() in by_name:
            return by_name[name.casefold()]
    others = [
        name
        for place, name in enumerate(header)
        if name.strip() and not _OWN.fullmatch(name.strip()) and any(_is_word(row, place) for row in rows)
    ]
    return others[0] if len(others) == 1 else None


def _is_word(row: Sequence[str], place: int) -> bool:
    if place >= len(row) or not row[place].strip():
        return False
    try:
        float(row[place].replace(",", "."))
    except ValueError:
        return True
    return False

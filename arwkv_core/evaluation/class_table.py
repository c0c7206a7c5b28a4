"""Numbers class by class as a table for other programs."""

from __future__ import annotations

import csv
import io
from collections.abc import Mapping, Sequence
from typing import Any


def class_csv(results: Sequence[Mapping[str, Any]]) -> str:
    """Write the classes of results as CSV: the model and the class's numbers; one that does not exist is empty.

    Parameters
    ----------
    results : sequence of mapping
        As ``to_dict()`` gives them; all of one kind.

    Returns
    -------
    str
        With a header, in the order of the results.
    """
    text = io.StringIO()
    rows = csv.writer(text, lineterminator="\n")
    keys = next((list(result["classes"][0]) for result in results if result["classes"]), [])
    rows.writerow(["model", *keys])
    for result in results:
        rows.writerows([result["model"], *(each[key] for key in keys)] for each in result["classes"])
    return text.getvalue()

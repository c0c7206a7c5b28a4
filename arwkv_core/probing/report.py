"""What was measured of a probe."""

from __future__ import annotations

from dataclasses import asdict, dataclass
from typing import Any

from arwkv_core.labelled.result import Result, plain

SCHEMA_VERSION = 1


@dataclass(frozen=True)
class ProbeReport:
    """A probe and what was measured of it.

    Attributes
    ----------
    name, folder : str
        Of the model that was made.
    model : str
        Name of the model whose embeddings it takes.
    score_function : {"sigmoid", "softmax"}
    strength : float
        scikit-learn's ``C``.
    folds : dict of str to Result
        Each fold, by a regression that was fitted to the others.
    cross_validation : Result
        All folds together.
    test : Result or None
        The split ``test``, by the probe itself.
    remarks : tuple of str
        What is not wrong with the sounds, but should be known.
    """

    name: str
    folder: str
    model: str
    score_function: str
    strength: float
    folds: dict[str, Result]
    cross_validation: Result
    test: Result | None
    remarks: tuple[str, ...] = ()

    def to_dict(self) -> dict[str, Any]:
        """Plain values for JSON; numbers that don't exist are None."""
        document: dict[str, Any] = plain({"schema_version": SCHEMA_VERSION, **asdict(self)})
        return document

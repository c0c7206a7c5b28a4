"""Where the outputs of a run lie: a tree that mirrors that of the recordings, with their full names."""

# ruff: noqa: PTH118, PTH120 - a run may have 100,000 of these paths: they stay text as long as they can

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from .errors import ArwkvError
from .finder import STDIN, absolute

STDIN_PLACE = "stdin"
"""Stands for the name of a recording that comes from stdin."""

LONGEST_NAME = 255
"""Bytes of a name in nearly every file system."""


class PlaceError(ArwkvError):
    """A recording for whose outputs there is no place."""


@dataclass(frozen=True)
class OutputTree:
    """The outputs below a folder: ``sub/a.wav`` → ``FOLDER/sub/a.wav.csv``.

    Parameters
    ----------
    folder : str
        Where the outputs lie.
    root : str
        The folder, absolute, whose tree is mirrored.
    strip : str
        What the names of the inputs end with besides the recordings' names: those of kept scores do.
    """

    folder: str
    root: str
    strip: str = ""

    def place(self, file: str) -> str:
        """Return a recording's path below the root, which is that of its outputs below the folder.

        Raises
        ------
        PlaceError
            If it lies elsewhere.
        """
        if file == STDIN:
            return STDIN_PLACE
        path = absolute(file)
        above = os.path.join(self.root, "")
        if not path.startswith(above):
            raise PlaceError(f"{file}: lies outside {self.root}, whose tree the outputs mirror")
        return path[len(above) :].removesuffix(self.strip)

    def path(self, file: str, suffix: str) -> Path:
        """Return the path of one of a recording's outputs.

        Raises
        ------
        PlaceError
            If the recording lies outside the root.
        """
        return Path(os.path.join(self.folder, self.place(file) + suffix))


def conflicts(
    tree: OutputTree,
    files: Iterable[str],
    suffixes: Iterable[str],
    *,
    reserved: Iterable[str] = (),
    folds_case: bool = False,
) -> dict[str, str]:
    """Find the recordings that can't have outputs, since those would be others' or have impossible names.

    Parameters
    ----------
    tree : OutputTree
    files : iterable of str
        Each once. Of two with one output, the first has it.
    suffixes : iterable of str
        Of all outputs of a recording.
    reserved : iterable of str
        Names in the folder itself that are no recording's.
    folds_case : bool
        The folder's file system takes ``A`` and ``a``, or two spellings of ``é``, for the same.

    Returns
    -------
    dict
        Recording → reason.
    """
    suffixes = list(suffixes)
    key = folded if folds_case else str
    found: dict[str, str] = {}
    places: dict[str, str] = {}  # key of a place -> the recording that has it
    folders: set[str] = set()  # keys
    for file in files:
        try:
            place = tree.place(file)
        except PlaceError as error:
            found[file] = str(error).removeprefix(f"{file}: ")
            continue
        if (too_long := max(_longest(place, suffix) for suffix in suffixes)) > LONGEST_NAME:
            found[file] = f"its output's name would be {too_long} bytes long, and {LONGEST_NAME} are possible"
        elif (first := places.setdefault(key(place), file)) != file:
            found[file] = f"its outputs would be those of {first}: rename one of the two"
        folder = os.path.dirname(key(place))
        while folder and folder not in folders:
            folders.add(folder)
            folder = os.path.dirname(folder)
    longer = [a.removesuffix(b) for a in suffixes for b in suffixes if a != b and a.endswith(b)]
    taken = {key(name) for name in reserved}
    for place, file in places.items():
        outputs = [place + key(suffix) for suffix in suffixes]
        if file in found:
            continue
        if clash := next((name for name in outputs if name in folders), None):
            found[file] = (
                f"its output would be called {clash}, as a folder of recordings is: rename one of the two"
            )
        elif clash := next((name for name in outputs if name in taken), None):
            found[file] = f"its output would be called {clash}, which describes the run: rename it"
        elif other := next((places[place + end] for end in map(key, longer) if place + end in places), None):
            found.setdefault(other, f"one of its outputs would be that of {file}: rename one of the two")
    return found


def folded(text: str) -> str:
    """Return what names have in common that a file system without capitals takes for the same."""
    return unicodedata.normalize("NFD", unicodedata.normalize("NFD", text).casefold())


def _longest(place: str, suffix: str) -> int:
    """Bytes of the longest part of an output's path."""
    return max(len(part) for part in os.fsencode(place + suffix).split(os.fsencode(os.sep)))

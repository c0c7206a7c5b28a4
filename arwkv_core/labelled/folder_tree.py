"""Folders below a folder, with the names of what is in them: no hidden ones, and none twice where links lead back."""

from __future__ import annotations

import os
import unicodedata
from collections.abc import Iterator
from pathlib import Path


def walk(folder: Path) -> Iterator[tuple[Path, list[str]]]:
    """Go through a folder and those below it.

    Yields
    ------
    place : Path
    names : list of str
        Of the files there, sorted.
    """
    seen = set()
    for place, folders, names in os.walk(folder, followlinks=True):
        status = Path(place).stat()
        if (status.st_dev, status.st_ino) in seen:
            folders.clear()
            continue
        seen.add((status.st_dev, status.st_ino))
        folders[:] = sorted(name for name in folders if not name.startswith("."))
        yield Path(place), sorted(name for name in names if not name.startswith("."))


class Neighbours:
    """Finds files whose names are almost those of missing ones. Each folder is looked through once."""

    def __init__(self) -> None:
        self._names: dict[Path, dict[str, list[str]]] = {}

    def alike(self, path: Path) -> Path | None:
        """A file whose name differs in case, or in how accents are encoded, only; None if not just one does."""
        folder = path.parent
        if folder not in self._names:
            names: dict[str, list[str]] = {}
            self._names[folder] = names
            if folder.is_dir():
                for each in folder.iterdir():
                    names.setdefault(_plain(each.name), []).append(each.name)
        found = self._names[folder].get(_plain(path.name), [])
        return path.with_name(found[0]) if len(found) == 1 and found[0] != path.name else None


def _plain(name: str) -> str:
    return unicodedata.normalize("NFC", name).casefold()

"""Folders that appear whole or not at all."""

from __future__ import annotations

import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError


@contextmanager
def staged_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a hidden folder beside the wanted one, and give it its name when all is there.

    Parameters
    ----------
    folder : Path
        What shall appear. Folders above it are made.
    overwrite : bool
        Replace an existing folder; if anything fails, it stays as it was.

    Yields
    ------
    Path
        The hidden folder. It is removed if the block raises.

    Raises
    ------
    UsageError
        If the folder exists and must not be replaced.
    """
    folder = folder.resolve()  # "." has no name to hide
    _refuse_existing(folder, overwrite)
    folder.parent.mkdir(parents=True, exist_ok=True)
    token = secrets.token_hex(4)
    filling = folder.parent / f".{folder.name}.{token}.new"
    replaced = folder.parent / f".{folder.name}.{token}.old"
    filling.mkdir()
    try:
        yield filling
        _refuse_existing(folder, overwrite)  # it may have come up meanwhile
        if folder.exists():
            folder.replace(replaced)
        try:
            filling.replace(folder)
        except OSError:
            if replaced.exists():
                replaced.replace(folder)
            raise
    finally:
        for leftover in (filling, replaced):
            shutil.rmtree(leftover, ignore_errors=True)


def _refuse_existing(folder: Path, overwrite: bool) -> None:
    if folder.exists() and not overwrite:
        raise UsageError(f"{folder}: exists already: pass --overwrite to replace it")
    if folder.exists() and not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file")

"""Folders of models, which appear whole or not at all, and never in place of something else."""

from __future__ import annotations

import os
import secrets
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from .errors import UsageError
from .model_config import CONFIG_FILE, LABELS_FILE


@contextmanager
def staged_folder(folder: Path, *, overwrite: bool = False) -> Iterator[Path]:
    """Fill a hidden folder beside the wanted one, and give it its name when all is there.

    Parameters
    ----------
    folder : Path
        What shall appear. Folders above it are made.
    overwrite : bool
        Replace an existing folder that holds a model, or nothing; if anything fails, it stays as it was.

    Yields
    ------
    Path
        The hidden folder. It is removed if the block raises.

    Raises
    ------
    UsageError
        If the folder exists and must not be replaced, or can't be made.
    """
    folder = folder.resolve()  # "." has no name to hide
    refuse_existing(folder, overwrite)
    token = secrets.token_hex(4)
    filling = folder.parent / f".{folder.name}.{token}.new"
    replaced = folder.parent / f".{folder.name}.{token}.old"
    try:
        folder.parent.mkdir(parents=True, exist_ok=True)
        filling.mkdir()
    except OSError as error:
        raise UsageError(f"{folder}: can't be written: {error.strerror}") from error
    try:
        yield filling
        refuse_existing(folder, overwrite)  # it may have come up meanwhile
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


def refuse_existing(folder: Path, overwrite: bool) -> None:
    """Refuse a place that is taken.

    Raises
    ------
    UsageError
        If there is something, unless it is a model, or nothing at all, and may be replaced.
    """
    if not folder.exists():
        return
    if not overwrite:
        raise UsageError(f"{folder}: exists already: pass --overwrite to replace it")
    if not folder.is_dir():
        raise UsageError(f"{folder}: expected a folder, found a file")
    names = {each.name for each in folder.iterdir()}
    if names and not names >= {CONFIG_FILE, LABELS_FILE}:
        raise UsageError(
            f"{folder}: expected a model's folder to replace, with {CONFIG_FILE} and {LABELS_FILE}, found other "
            "files: name another folder"
        )


def refuse_unwritable(folder: Path, option: str) -> None:
    """Refuse a folder that can't be made or written into, before the work whose result it shall hold.

    Parameters
    ----------
    folder : Path
        It, and those above it, need not be there.
    option : str
        What named it, for the message.

    Raises
    ------
    UsageError
        If the folder, or the deepest above it that is there, is none or can't be written.
    """
    there = folder.absolute()
    while not there.exists() and there != there.parent:
        there = there.parent
    if not there.is_dir():
        raise UsageError(f"{option} {folder}: expected a place for a folder, but {there} is a file")
    if not os.access(there, os.W_OK):
        raise UsageError(f"{option} {folder}: can't be written: {there} is read-only")

"""Where the scores of a run's recordings are kept: ``--scores DIR`` and ``--from DIR``."""

from __future__ import annotations

import json
from contextlib import suppress
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

from .errors import ArwkvError, UsageError
from .finder import STDIN
from .output_tree import OutputTree
from .whole_file import WholeFile

if TYPE_CHECKING:
    from .score_file import StoredScores

SUFFIX = ".scores.parquet"
"""What the name of a recording is followed by in the name of its scores."""

ROOT_FILE = "tree.json"
"""Tells, in a folder of scores, which folder's tree it mirrors."""


@dataclass(frozen=True)
class KeptScores:
    """The kept scores of a run, as plain data that processes pass on.

    Parameters
    ----------
    tree : OutputTree or None
        Where they lie; None if the inputs of the run are the kept scores themselves.
    read_only : bool
        Only read them (``--from``): what isn't there is a failure of its recording.
    """

    tree: OutputTree | None
    read_only: bool

    def path(self, file: str) -> Path:
        """Return where the scores of an input of the run are kept, or shall be."""
        return Path(file) if self.tree is None else self.tree.path(file, SUFFIX)

    def stored(self, file: str) -> StoredScores:
        """Read the scores of an input of the run.

        Raises
        ------
        ArwkvError
            If there are none, if they can't be read, or if the recording is there and is another by now.
        """
        from .score_file import StoredScores

        path = self.path(file)
        if not path.exists():
            raise ArwkvError(f"no scores of it are kept as {path}: --scores keeps them")
        stored = StoredScores(path)
        if self.tree is not None and not _still_of(stored, file):
            raise ArwkvError(f"has changed since its scores were kept as {path}: --scores makes them anew")
        return stored


def _still_of(stored: StoredScores, file: str) -> bool:
    from .source_identity import SourceIdentity

    source = stored.meta["source"]
    if source is None or file == STDIN:
        return True
    with suppress(OSError):
        return SourceIdentity(**source).still(file)
    return True  # it is gone, or can't be read: its scores are what is left of it


def settle_root(folder: Path, root: str, option: str, *, write: bool) -> str:
    """Return the folder whose tree a folder of scores mirrors, and write it down where that is new.

    Parameters
    ----------
    folder : Path
        Of scores.
    root : str
        The deepest folder, absolute, that holds all recordings of this run.
    option : str
        That names the folder, for messages.
    write : bool
        False leaves the folder as it is.

    Raises
    ------
    UsageError
        If the tree is another.
    """
    path = folder / ROOT_FILE
    if (
        path.exists() and len(list(folder.iterdir())) > 1
    ):  # more than what a run that came to nothing has left
        try:
            known = json.loads(path.read_text("utf-8"))["root"]
        except (OSError, ValueError, KeyError, TypeError) as error:
            raise UsageError(f"{path}: expected what arwkv wrote there, found something else") from error
        if is_within(root, known):
            return str(known)
        raise UsageError(
            f"{option} {folder}: expected recordings below {known}, whose tree is mirrored there, found some below "
            f"{root}: name another folder"
        )
    if write:
        try:
            folder.mkdir(parents=True, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"{option} {folder}: expected a folder, found a file") from error
        file = WholeFile(path, overwrite=True)
        json.dump({"schema_version": 1, "root": root}, file.stream)
        file.stream.write("\n")
        file.commit()
    return root


def is_within(path: str, folder: str) -> bool:
    """Whether an absolute path is a folder or lies below it."""
    return path == folder or path.startswith(folder.rstrip("/\\") + ("\\" if "\\" in folder else "/"))

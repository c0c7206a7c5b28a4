"""A folder of outputs at work: one run at a time, nothing half-done left behind, nothing outside it touched."""

# ruff: noqa: PTH103, PTH108, PTH116, PTH118, PTH120, PTH123 - 100,000 paths: text is quicker

from __future__ import annotations

import os
import re
import secrets
import stat
import time
from collections.abc import Iterable
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from .errors import ArwkvError, UsageError
from .finder import STDIN
from .output_tree import OutputTree

try:
    import fcntl
except ImportError:  # Windows
    fcntl = None  # type: ignore[assignment]

_LEFTOVER = re.compile(r"\.(?:.*\.)?(?:[0-9a-f]{8}|[0-9a-f]{16})\.partial", re.DOTALL)
"""Names of files that are being written; after a kill they stay."""


class OutputFolder:
    """The folder of an `OutputTree`, held by this run as long as the block lasts.

    Parameters
    ----------
    tree : OutputTree

    Raises
    ------
    UsageError
        On entering, if it can't be a folder of outputs, or another run is at work there.
    """

    def __init__(self, tree: OutputTree) -> None:
        self.tree = tree
        self._lock: int | None = None
        self._prepared: set[str] = set()
        self._real = ""
        self.folds_case = False
        self.now = 0

    def __enter__(self) -> OutputFolder:
        folder = self.tree.folder
        try:
            os.makedirs(folder, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise UsageError(f"--output-dir {folder}: expected a folder, found a file") from error
        self._real = os.path.realpath(folder)
        self._take_lock()
        self._probe()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if self._lock is not None:
            os.close(self._lock)
            self._lock = None

    def prepare(self, path: str | Path) -> None:
        """Make the folders above an output, and remove what a killed run has left half-written there.

        Raises
        ------
        ArwkvError
            If a link would lead out of the folder, or a file is where a folder must be.
        OSError
            If a folder can't be made.
        """
        above = os.path.dirname(path)
        if above in self._prepared:
            return
        try:
            os.makedirs(above, exist_ok=True)
        except (FileExistsError, NotADirectoryError) as error:
            raise ArwkvError(f"its output needs a folder {above}, where a file lies") from error
        real = os.path.realpath(above)
        if os.path.commonpath([self._real, real]) != self._real:
            raise ArwkvError(f"its output would lie in {real}, since {above} leads out of {self.tree.folder}")
        with os.scandir(above) as entries:
            leftovers = [entry.path for entry in entries if _LEFTOVER.fullmatch(entry.name)]
        for leftover in leftovers:
            with suppress(OSError):
                os.unlink(leftover)
        self._prepared.add(above)

    def has(self, file: str, suffixes: Iterable[str], since: int, source: str | Path) -> bool:
        """Whether all outputs of a recording are there and still hold.

        Parameters
        ----------
        file : str
        suffixes : iterable of str
        since : int
            In nanoseconds by the clock of `now`: older ones don't hold. Nor do those that are older than the
            source, which was changed then.
        source : str or Path
            What the outputs are made of: the recording, or its kept scores.
        """
        base = os.path.join(self.tree.folder, self.tree.place(file))
        try:
            found = [os.stat(base + suffix) for suffix in suffixes]
        except (FileNotFoundError, NotADirectoryError):
            return False
        oldest = min(status.st_mtime_ns for status in found)
        if oldest <= since or not all(stat.S_ISREG(status.st_mode) for status in found):
            return False
        if file == STDIN:
            raise ArwkvError(f"{base}{min(suffixes)} exists already; --overwrite replaces it")
        with suppress(OSError):  # it isn't there any more, but was heard
            changed = os.stat(source).st_mtime_ns
            return (
                changed <= oldest or changed > time.time_ns()
            )  # a clock was wrong: it must not be done forever
        return True

    def _take_lock(self) -> None:
        if fcntl is None:
            return
        self._lock = os.open(self.tree.folder, os.O_RDONLY)
        try:
            fcntl.flock(self._lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError as error:
            os.close(self._lock)
            self._lock = None
            raise UsageError(
                f"--output-dir {self.tree.folder}: another run is at work there: wait for it, or name another folder"
            ) from error
        except OSError:  # some network file systems know no locks
            pass

    def _probe(self) -> None:
        """Learn the folder's time, and whether it tells capital letters from small ones."""
        name = f".{secrets.token_hex(4)}.partial"
        path = os.path.join(self.tree.folder, name)
        with open(path, "x"):
            pass
        try:
            self.now = os.stat(path).st_mtime_ns
            self.folds_case = os.path.lexists(os.path.join(self.tree.folder, name.upper()))
        finally:
            os.unlink(path)

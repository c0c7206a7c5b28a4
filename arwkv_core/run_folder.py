"""A run into a folder: what is there already, what is still to be done, and the record of it."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Callable, Sequence
from datetime import datetime, timezone
from pathlib import Path
from types import TracebackType

from .batch import reason as why
from .errors import ArwkvError, ModelNotFound, UsageError
from .failures import FAILURES_FILE, FailureList
from .kept_scores import is_within
from .output_folder import OutputFolder
from .output_tree import OutputTree, PlaceError, conflicts
from .results import Failure
from .run_record import RUN_FILE, RunRecord, library_versions, refuse_difference


class RunFolder:
    """The folder of a run, from its opening to its record at the end.

    Parameters
    ----------
    folder : Path
    record : RunRecord
        Of this run, as far as it is known before it.
    overwrite : bool
        Do all again.
    strip : str
        See `OutputTree`.
    table : Path, optional
        A file that will hold the outputs of all recordings; it may lie in the folder.

    Raises
    ------
    UsageError
        On entering: if what is there was made otherwise, or the folder can't be used.
    """

    def __init__(
        self,
        folder: Path,
        record: RunRecord,
        *,
        overwrite: bool,
        strip: str = "",
        table: Path | None = None,
    ) -> None:
        self.path, self.record, self.overwrite = folder, record, overwrite
        self._strip, self._table = strip, table
        self._before: RunRecord | None = None
        self.counts = {"found": 0, "done": 0, "kept": 0, "failed": 0, "audio_seconds": 0.0}

    def __enter__(self) -> RunFolder:
        path = self.path / RUN_FILE
        if path.exists():
            self._before = RunRecord.read(path)
            within = is_within(self.record.root, self._before.root)
            if within and not self.overwrite and self._has_outputs():
                self.record = dataclasses.replace(self.record, root=self._before.root)
        self.tree = OutputTree(str(self.path), self.record.root, self._strip)
        self.folder = OutputFolder(self.tree)
        if self._before is not None and not self.overwrite and self._has_outputs():
            refuse_difference(self.path, self._before, self.record)
        self.folder.__enter__()
        try:
            self._begin()
        except BaseException:
            self.folder.__exit__(None, None, None)
            raise
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if (
                isinstance(error, UsageError | ModelNotFound)
                and self._before is None
                and not self.counts["done"]
            ):
                (self.path / RUN_FILE).unlink(missing_ok=True)  # nothing was done in this way, nor will be
                return
            self.failures.__exit__(kind, error, traceback)
            finished = None if error is not None else _now()
            self.record = dataclasses.replace(self.record, finished=finished, counts=self.counts)
            self.record.write(self.path / RUN_FILE)
        finally:
            self.folder.__exit__(kind, error, traceback)

    def to_do(
        self, files: Sequence[str], suffixes: Sequence[str], source: Callable[[str], Path] = Path
    ) -> tuple[list[str], list[Failure]]:
        """Part the recordings: into those still to be done, and those done before or impossible.

        Parameters
        ----------
        files : sequence of str
        suffixes : sequence of str
            Of the outputs of each.
        source : callable
            Gives of each the file that its outputs are made of: they are made again where it is newer.

        Returns
        -------
        list of str
            Files to do.
        list of Failure
            Those that can't have outputs.
        """
        self.counts["found"] = len(files)
        reserved = [RUN_FILE, FAILURES_FILE]
        if self._table is not None and is_within(str(self._table.absolute()), str(self.path.absolute())):
            reserved.append(os.path.relpath(self._table, self.path))
        refused = conflicts(self.tree, files, suffixes, reserved=reserved, folds_case=self.folder.folds_case)
        waiting = []
        for file in files:
            if file in refused:
                continue
            try:
                kept = not self.overwrite and self._has(file, suffixes, source)
            except (ArwkvError, OSError) as error:
                refused[file] = why(error, file)
                continue
            if kept:
                self.counts["kept"] += 1
                self.failures.remove(file, self.tree.place(file))
            else:
                waiting.append(file)
        return waiting, [Failure(file, reason) for file, reason in refused.items()]

    def prepare(self, files: Sequence[str], suffixes: Sequence[str]) -> tuple[list[str], list[Failure]]:
        """Make the folders above the outputs of all files; return those that have them, and what failed."""
        ready, failures = [], []
        for file in files:
            try:
                self.folder.prepare(self.tree.path(file, suffixes[0]))
            except (ArwkvError, OSError) as error:
                failures.append(Failure(file, why(error, file)))
            else:
                ready.append(file)
        return ready, failures

    def done(self, file: str, seconds: float) -> None:
        """Take note of a recording whose outputs were written."""
        self.counts["done"] += 1
        self.counts["audio_seconds"] = round(self.counts["audio_seconds"] + seconds, 3)
        self.failures.remove(file, self.tree.place(file))

    def failed(self, failure: Failure, *, recording: bool = True) -> None:
        """Take note of a recording, or of a folder or pattern, that could not be done."""
        self.counts["failed"] += 1
        try:
            place = self.tree.place(failure.file) if recording else ""
        except PlaceError:
            place = ""
        self.failures.add(failure, place)

    @property
    def made_table(self) -> bool:
        """Whether the table of all recordings is where an earlier run into this folder has put one."""
        before = self._before.output if self._before is not None else None
        return self._table is not None and before == str(self._table.absolute())

    def _has(self, file: str, suffixes: Sequence[str], source: Callable[[str], Path]) -> bool:
        since = self.record.valid_since
        return self.folder.has(file, suffixes, since, file if source is Path else source(file))

    def _has_outputs(self) -> bool:
        """Whether there is anything but the record of a run that came to nothing."""
        return not {path.name for path in self.path.iterdir()} <= {RUN_FILE, FAILURES_FILE}

    def _begin(self) -> None:
        before = self._before
        valid_since = 0 if before is None else before.valid_since
        if self.overwrite:
            valid_since = self.folder.now
        self.record = dataclasses.replace(
            self.record, valid_since=valid_since, started=_now(), versions=library_versions()
        )
        if before is not None and before.root != self.record.root:
            (self.path / FAILURES_FILE).unlink(missing_ok=True)  # its places lie in another tree
        self.failures = FailureList(self.path)
        self.record.write(self.path / RUN_FILE)


def _now() -> str:
    return datetime.now(timezone.utc).astimezone().isoformat(timespec="seconds")

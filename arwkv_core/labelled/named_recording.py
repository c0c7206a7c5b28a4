"""Which recording each row of a selection table is about, where the table names recordings."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path, PureWindowsPath

from arwkv_core.raven_columns import RAVEN_OFFSET

from .folder_tree import Neighbours
from .problems import Problems


class NamedRecordings:
    """Recordings of a table: those that it names, or the one that bears its name.

    Parameters
    ----------
    table : Path
    by_name : list of Path
        Recordings beside the table that its own name fits.
    named : sequence of str
        Recordings that its rows name: paths, of which the last part counts where the recordings have moved.
    timed : bool
        Whether the rows say where in their recording they begin.
    """

    def __init__(self, table: Path, by_name: list[Path], named: Sequence[str], *, timed: bool) -> None:
        self.table, self.by_name, self.named, self.timed = table, by_name, named, timed
        self._neighbours = Neighbours()
        self._found = {name: self._beside(name) for name in named}
        if len(named) == 1 and len(by_name) == 1 and self._found[named[0]] is None:
            self._found[named[0]] = by_name[0]  # renamed since, together with its table

    def check(self, problems: Problems) -> bool:
        """Note recordings that are missing, and times that say nothing; return whether all is well."""
        before = len(problems.found)
        for name, file in self._found.items():
            if file is None:
                problems.add(str(self.table), f"the recording {name} beside it", "none of this name")
        if not self.named and len(self.by_name) != 1:
            found = "several" if self.by_name else "none"
            problems.add(str(self.table), "one recording of this name beside it", found)
        if len(self.named) > 1 and not self.timed:
            expected = f"the column {RAVEN_OFFSET!r}, since times count from the first of several recordings"
            problems.add(f"{self.table}, line 1", expected, "none")
        return len(problems.found) == before

    def find(self, name: str) -> Path:
        """Recording of a row that names this one, or none (an empty text); to be asked after `check`."""
        found = self._found.get(name)
        return found if found is not None else (self.by_name or [self.table])[0]

    def _beside(self, name: str) -> Path | None:
        beside = self.table.with_name(PureWindowsPath(name).name)
        if beside.is_file():
            return beside
        if (other := self._neighbours.alike(beside)) is not None:
            return other
        return Path(name) if Path(name).is_absolute() and Path(name).is_file() else None

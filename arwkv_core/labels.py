"""The classes of a model: which mid and which name each row of its head stands for."""

from __future__ import annotations

import csv
import difflib
import io
import re
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property, lru_cache
from pathlib import Path

from .errors import LabelError

AUDIOSET_CLASSES = 527
AUDIOSET_LABELS = Path(__file__).parent / "data" / "audioset_labels.csv"

COLUMNS = ("index", "mid", "display_name")
CLOSE_MATCHES = 3
"""How many similar names an error suggests."""


def close_matches(query: str, names: Iterable[str]) -> list[str]:
    """Names that a mistyped query may have meant, best first.

    Parameters
    ----------
    query : str
    names : iterable of str

    Returns
    -------
    list of str
        At most `CLOSE_MATCHES`: first those in which the query is a whole word, then those spelt alike.
    """
    wanted = query.strip().casefold()
    by_folded = {name.casefold(): name for name in names}
    holding = sorted((folded for folded in by_folded if wanted in re.split(r"\W+", folded)), key=len)
    alike = difflib.get_close_matches(wanted, by_folded, n=CLOSE_MATCHES)
    return [by_folded[folded] for folded in dict.fromkeys([*holding, *alike])][:CLOSE_MATCHES]


def unknown_class(query: str, where: str, names: Iterable[str]) -> LabelError:
    """Make the error for a class that a list doesn't hold, with what may have been meant."""
    close = close_matches(query, names)
    hint = f"; did you mean {' or '.join(repr(name) for name in close)}?" if close else ""
    return LabelError(f"no class {query!r} in {where}{hint}")


@dataclass(frozen=True, init=False)
class LabelSet:
    """An ordered list of classes. A class is its mid; its place is only the row of one model's head.

    Parameters
    ----------
    mids : sequence of str
        AudioSet's machine ids, such as ``/m/09x0r``, or any other text without blanks for own classes.
    names : sequence of str
        Display names, one a mid.
    source : str
        Where the list comes from, for error messages.

    Raises
    ------
    LabelError
        If the lists differ in length, are empty, or hold an empty or repeated mid.

    Examples
    --------
    >>> labels = LabelSet.audioset()
    >>> len(labels), labels.find("speech"), labels.names[0]
    (527, 0, 'Speech')
    """

    mids: tuple[str, ...]
    names: tuple[str, ...]
    source: str = field(compare=False)

    def __init__(self, mids: Sequence[str], names: Sequence[str], source: str = "the label list") -> None:
        object.__setattr__(self, "mids", tuple(mids))
        object.__setattr__(self, "names", tuple(names))
        object.__setattr__(self, "source", source)
        if len(self.mids) != len(self.names):
            raise LabelError(
                f"{source}: expected a name a mid, found {len(mids)} mids and {len(names)} names"
            )
        if not self.mids:
            raise LabelError(f"{source}: expected at least one class, found none")
        seen: set[str] = set()
        for mid, name in zip(self.mids, self.names, strict=True):
            if problem := _class_problem(mid, name):
                raise LabelError(f"{source}: {problem}")
            if mid in seen:
                raise LabelError(f"{source}: mid {mid!r} stands there twice")
            seen.add(mid)

    @classmethod
    def audioset(cls) -> LabelSet:
        """AudioSet's 527 classes, in the order of the published checkpoints."""
        return _audioset()

    @classmethod
    def read(cls, path: str | Path, *, count: int | None = None) -> LabelSet:
        """Read a list with the columns ``index, mid, display_name`` (further columns are ignored).

        Parameters
        ----------
        path : str or Path
            CSV file in UTF-8.
        count : int, optional
            How many classes there must be.

        Raises
        ------
        LabelError
            Naming file and line, if the list is damaged: no such file, a byte order mark, a missing column,
            a row of too few or many fields, an index out of turn, an empty or repeated mid, a wrong count.
        """
        mids, names = _read_rows(Path(path))
        if count is not None and len(mids) != count:
            raise LabelError(f"{path}: expected {count} classes, found {len(mids)}")
        return cls(mids, names, source=str(path))

    def write(self, path: str | Path) -> None:
        """Write the list as `read` takes it."""
        with Path(path).open("w", encoding="utf-8", newline="") as file:
            writer = csv.writer(file, lineterminator="\n")
            writer.writerow(COLUMNS)
            writer.writerows(zip(range(len(self)), self.mids, self.names, strict=True))

    def __len__(self) -> int:
        return len(self.mids)

    def __iter__(self) -> Iterator[tuple[str, str]]:
        """Pairs of mid and name, in order."""
        return zip(self.mids, self.names, strict=True)

    def __contains__(self, mid: object) -> bool:
        return mid in self._index

    @cached_property
    def _index(self) -> dict[str, int]:
        return {mid: index for index, mid in enumerate(self.mids)}

    def index(self, mid: str) -> int:
        """Row of a mid.

        Raises
        ------
        LabelError
            If the list doesn't hold it.
        """
        try:
            return self._index[mid]
        except KeyError:
            raise LabelError(f"no mid {mid!r} among the {len(self)} classes of {self.source}") from None

    def name(self, mid: str) -> str:
        """Display name of a mid; raises `LabelError` like `index`."""
        return self.names[self.index(mid)]

    def find(self, query: str) -> int:
        """Row of a class given by its mid or its display name, in any case.

        Raises
        ------
        LabelError
            If there is no such class (with similar names) or if several bear the name (with their mids).
        """
        if query in self._index:
            return self._index[query]
        wanted = query.strip().casefold()
        for texts in (self.mids, self.names):
            rows = [row for row, text in enumerate(texts) if text.casefold() == wanted]
            if len(rows) > 1:
                mids = ", ".join(self.mids[row] for row in rows)
                raise LabelError(f"{query!r} names {len(rows)} classes of {self.source}; use a mid: {mids}")
            if rows:
                return rows[0]
        raise unknown_class(query, f"the {len(self)} classes of {self.source}", self.names)

    def subset(self, queries: Iterable[str]) -> LabelSet:
        """The classes named by mid or display name, in the order given; raises `LabelError` like `find`."""
        rows = [self.find(query) for query in queries]
        return LabelSet([self.mids[row] for row in rows], [self.names[row] for row in rows], self.source)


@lru_cache(maxsize=1)
def _audioset() -> LabelSet:
    mids, names = _read_rows(AUDIOSET_LABELS)
    return LabelSet(mids, names, source="AudioSet")


def _class_problem(mid: str, name: str) -> str | None:
    """What is wrong with one class, or None."""
    if not mid or any(char.isspace() for char in mid):
        return f"expected a mid without blanks, found {mid!r}"
    if not name.strip() or not name.isprintable():
        return f"expected a display name for {mid}, found {name!r}"
    return None


def _read_rows(path: Path) -> tuple[list[str], list[str]]:
    try:
        text = path.read_bytes().decode("utf-8")
    except OSError as error:
        raise LabelError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        line = error.object[: error.start].count(b"\n") + 1
        found = f"the byte {error.object[error.start]:#04x}"
        raise LabelError(f"{path}, line {line}: expected UTF-8 text, found {found}") from error
    if text.startswith("\ufeff"):
        raise LabelError(f"{path}, line 1: begins with a byte order mark: save it as plain UTF-8")

    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    try:
        header = next(reader, [])
        for column in COLUMNS:
            if header.count(column) != 1:
                found = ",".join(header)
                raise LabelError(f"{path}, line 1: expected the column {column!r} once, found {found!r}")
        at_index, at_mid, at_name = (header.index(column) for column in COLUMNS)
        line_of: dict[str, int] = {}  # a dict keeps its order
        names: list[str] = []
        for row in reader:
            if not row:  # an empty line
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(header):
                raise LabelError(f"{where}: expected {len(header)} fields, found {len(row)}")
            if row[at_index] != str(len(names)):
                raise LabelError(f"{where}: expected the index {len(names)}, found {row[at_index]!r}")
            mid, name = row[at_mid], row[at_name]
            if problem := _class_problem(mid, name):
                raise LabelError(f"{where}: {problem}")
            if mid in line_of:
                raise LabelError(f"{where}: mid {mid!r} stands already in line {line_of[mid]}")
            line_of[mid] = reader.line_num
            names.append(name)
    except csv.Error as error:
        raise LabelError(f"{path}, line {reader.line_num}: not CSV: {error}") from error
    if not names:
        raise LabelError(f"{path}: expected at least one class, found none")
    return list(line_of), names

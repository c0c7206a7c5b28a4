"""Tables in a model's folder with a row for each class, ``calibration.csv`` and ``events.csv``, read without numpy."""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from .errors import ConfigError


def class_rows(
    path: Path, needed: Sequence[str], optional: Sequence[str] = ()
) -> Iterator[tuple[str, Mapping[str, str]]]:
    """Read the rows of a CSV that has the column ``mid``.

    Parameters
    ----------
    path : Path
        UTF-8, with or without a byte order mark. Columns may have any order; those not named here are ignored.
    needed, optional : sequence of str
        Columns that stand there once, and at most once.

    Yields
    ------
    where : str
        File and line, for messages.
    fields : mapping of str to str
        By column; ``mid`` is not empty, and in no row before.

    Raises
    ------
    ConfigError
        Naming file, line and column: no such file, no UTF-8, a missing or repeated column, a row of too few or
        many fields, an empty or repeated mid.
    """
    try:
        text = path.read_bytes().decode("utf-8-sig")
    except OSError as error:
        raise ConfigError(f"{path}: can't be read: {error.strerror}") from error
    except UnicodeDecodeError as error:
        raise ConfigError(f"{path}: expected CSV in UTF-8, found other bytes") from error
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    mids: set[str] = set()
    try:
        header = next(reader, [])
        for column in (*needed, *optional):
            if header.count(column) > 1 or (column in needed and column not in header):
                found = ",".join(header)
                raise ConfigError(f"{path}, line 1: expected the column {column!r} once, found {found!r}")
        for row in reader:
            if not row:  # an empty line
                continue
            where = f"{path}, line {reader.line_num}"
            if len(row) != len(header):
                raise ConfigError(f"{where}: expected {len(header)} fields, found {len(row)}")
            fields = dict(zip(header, row, strict=True))
            mid = fields["mid"]
            if not mid:
                raise ConfigError(f"{where}: mid: expected a class, found nothing")
            if mid in mids:
                raise ConfigError(f"{where}: mid: {mid!r} stands there twice")
            mids.add(mid)
            yield where, fields
    except csv.Error as error:
        raise ConfigError(f"{path}, line {reader.line_num}: not CSV: {error}") from error

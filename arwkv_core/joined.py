"""One table of many recordings, made of the outputs that they have each by itself: no work is done for it again."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from itertools import chain
from pathlib import Path
from typing import BinaryIO

from .errors import ArwkvError, UsageError
from .whole_file import WholeFile


def join_outputs(paths: Iterator[Path], output: Path, format: str) -> None:
    """Write all files of a format into one, which appears whole in the place of an older one.

    Parameters
    ----------
    paths : iterator of Path
        In the order in which their rows shall stand; at least one.
    output : Path
    format : str
        One of `JOINABLE`.

    Raises
    ------
    ArwkvError
        If a file is not what this program writes.
    """
    file = WholeFile(output, overwrite=True)
    try:
        _JOIN[format](paths, file.stream.buffer)
    except BaseException:
        file.discard()
        raise
    file.commit()


def check_joinable(format: str) -> None:
    """Refuse a format whose files can't be put together.

    Raises
    ------
    UsageError
        See above.
    """
    if format not in _JOIN:
        raise UsageError(
            f"--output beside --output-dir: expected a format that holds many recordings "
            f"({', '.join(_JOIN)}), found {format}"
        )


def _join_lines(paths: Iterator[Path], stream: BinaryIO) -> None:
    for path in paths:
        stream.write(path.read_bytes())


def _join_tables(paths: Iterator[Path], stream: BinaryIO) -> None:
    first = None
    for path in paths:
        header, _, rows = path.read_bytes().partition(b"\n")
        if first is None:
            first = header
            stream.write(header + b"\n")
        elif header != first:
            raise ArwkvError(
                f"{path}: expected the columns {first!r}, found {header!r}; --overwrite makes it anew"
            )
        stream.write(rows)


def _join_arrays(paths: Iterator[Path], stream: BinaryIO) -> None:
    separator = b"[\n"
    for path in paths:
        text = path.read_bytes()
        if not (text.startswith(b"[\n") and text.endswith(b"\n]\n")):
            raise ArwkvError(
                f"{path}: expected an array of one object, as this program writes it; --overwrite does"
            )
        stream.write(separator + text[2:-3])
        separator = b",\n"
    stream.write(b"\n]\n")


def _join_parquet(paths: Iterator[Path], stream: BinaryIO) -> None:
    import pyarrow as pa
    from pyarrow import parquet

    first = next(paths)
    with first.open("rb") as source:  # opened here: pyarrow takes no paths that are not UTF-8
        schema = parquet.read_schema(source)
    if "embedding" in schema.names:
        _join_embeddings(chain([first], paths), stream)
        return
    waiting: list[pa.Table] = []
    with parquet.ParquetWriter(stream, schema, compression="zstd") as writer:
        for path in chain([first], paths):
            with path.open("rb") as source:
                table = parquet.read_table(source)
            if not table.schema.equals(schema):
                raise ArwkvError(f"{path}: expected the columns of {first}; --overwrite makes it anew")
            waiting.append(table)
            if sum(map(len, waiting)) >= _GROUP_ROWS:
                writer.write_table(pa.concat_tables(waiting))
                waiting = []
        if waiting:
            writer.write_table(pa.concat_tables(waiting))


def _join_embeddings(paths: Iterator[Path], stream: BinaryIO) -> None:
    from .writers.embedding_parquet import EmbeddingParquetTable

    table = EmbeddingParquetTable(stream)
    try:
        for path in paths:
            table.append(path)
    except BaseException:
        table.abandon()
        raise
    table.close()


_GROUP_ROWS = 65_536

_JOIN: dict[str, Callable[[Iterator[Path], BinaryIO], None]] = {
    "csv": _join_tables,
    "json": _join_arrays,
    "jsonl": _join_lines,
    "parquet": _join_parquet,
    "rttm": _join_lines,
    "sed-events": _join_tables,
}

JOINABLE = tuple(_JOIN)
"""Formats of which a file can be made of the files of single recordings."""

"""Rows of a Parquet file, written in groups so that memory stays flat."""

import io
from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, BinaryIO

if TYPE_CHECKING:
    import pyarrow as pa

GROUP_ROWS = 65_536
"""Rows that are held and written at once."""


class ParquetTable:
    """Writes rows into a Parquet file, which `close` completes; without that, no reader takes it.

    Parameters
    ----------
    stream : BinaryIO
        Need not be seekable: a pipe will do. It is flushed in the end, not closed.
    schema : pyarrow.Schema
        Columns and metadata.
    """

    def __init__(self, stream: BinaryIO, schema: "pa.Schema") -> None:
        from pyarrow import parquet

        self._schema = schema
        self._stream = stream
        self._file = parquet.ParquetWriter(_Counted(stream), schema, compression="zstd")
        self._rows: list[Sequence[Any]] = []

    def add(self, row: Sequence[Any]) -> None:
        """Take a row: a cell per column, in their order."""
        self._rows.append(row)
        if len(self._rows) >= GROUP_ROWS:
            self._write_group()

    def close(self) -> None:
        """Write what is left and end the file."""
        if self._rows:
            self._write_group()
        self._file.close()
        self._stream.flush()

    def _write_group(self) -> None:
        import pyarrow as pa

        columns = zip(*self._rows, strict=True)
        arrays = [pa.array(column, field.type) for column, field in zip(columns, self._schema, strict=True)]
        self._file.write_table(pa.Table.from_arrays(arrays, schema=self._schema))
        self._rows = []


def readable(text: str) -> str:
    r"""Write undecodable bytes of file names as ``\udcff``, as text formats do: Parquet wants valid UTF-8."""
    return text.encode("utf-8", "backslashreplace").decode("utf-8")


class _Counted(io.RawIOBase):
    """A stream that knows how much was written to it, which a pipe does not."""

    def __init__(self, stream: BinaryIO) -> None:
        self._stream = stream
        self._written = 0

    def writable(self) -> bool:
        return True

    def write(self, data: Any) -> int:
        # pyarrow ends a file that nobody ended when it throws it away: the stream may be gone by then
        if not self._stream.closed:
            self._stream.write(data)
        self._written += len(data)
        return len(data)

    def tell(self) -> int:
        return self._written

"""Tags as Parquet: the rows of the CSV, with types."""

from typing import BinaryIO

from ..results import SCHEMA_VERSION, TagResult
from .parquet_table import ParquetTable, readable
from .tag_record import rounded


class TagParquetWriter:
    """Writes a row per recording and tag; a recording without tags has no row.

    Parameters
    ----------
    stream : BinaryIO
    """

    def __init__(self, stream: BinaryIO) -> None:
        import pyarrow as pa

        schema = pa.schema(
            [
                ("file", pa.string()),
                ("rank", pa.int32()),
                ("name", pa.string()),
                ("mid", pa.string()),
                ("mean", pa.float64()),
                ("max", pa.float64()),
                ("active_seconds", pa.float64()),
                ("decoded_seconds", pa.float64()),
                ("model", pa.string()),
                ("schema_version", pa.int32()),
            ],
            {"arwkv.kind": "tags", "arwkv.schema_version": str(SCHEMA_VERSION)},
        )
        self._table = ParquetTable(stream, schema)

    def write(self, result: TagResult) -> None:
        """Add a recording's rows; they are written in groups."""
        for rank, tag in enumerate(result.tags, start=1):
            self._table.add(
                (
                    readable(result.file),
                    rank,
                    readable(tag.name),
                    readable(tag.mid),
                    rounded(tag.mean),
                    rounded(tag.max),
                    rounded(tag.active_seconds),
                    rounded(result.coverage.decoded_seconds),
                    readable(result.model),
                    SCHEMA_VERSION,
                )
            )

    def close(self) -> None:
        """Complete the file."""
        self._table.close()

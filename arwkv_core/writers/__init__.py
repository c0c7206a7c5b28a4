"""One file format a module. A writer takes results one by one and never holds them."""

from typing import Protocol, TextIO

from ..results import TagResult
from .csv_table import CsvWriter
from .json_array import JsonWriter
from .json_lines import JsonLinesWriter

__all__ = ["TAG_WRITERS", "CsvWriter", "JsonLinesWriter", "JsonWriter", "TagWriter"]


class TagWriter(Protocol):
    """Writes tags in one format to a text stream, which it does not close."""

    def __init__(self, stream: TextIO) -> None: ...

    def write(self, result: TagResult) -> None:
        """Add a recording, and flush: whoever reads along sees it now."""

    def close(self) -> None:
        """End the document. What was written till then is complete in itself, also after an interruption."""


TAG_WRITERS: dict[str, type[TagWriter]] = {"csv": CsvWriter, "json": JsonWriter, "jsonl": JsonLinesWriter}
"""Name of a format, which is the ending of its files too, and what writes it."""

"""Tags as JSON: one array, an object per recording."""

import json
from typing import Any, TextIO

from ..results import TagResult
from .tag_record import tag_record


class JsonArray:
    r"""Writes an array object by object.

    Parameters
    ----------
    stream : TextIO
        Must write lone surrogates as ``\udcff`` (errors="backslashreplace"): they come from undecodable file
        names, and inside JSON that is their escape.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream
        self._separator = "[\n"

    def add(self, record: dict[str, Any]) -> None:
        """Add an object, and flush."""
        text = json.dumps(record, indent=2, ensure_ascii=False, allow_nan=False)
        self._stream.write(self._separator + text)
        self._stream.flush()
        self._separator = ",\n"

    def close(self) -> None:
        """End the array."""
        self._stream.write("[]\n" if self._separator == "[\n" else "\n]\n")
        self._stream.flush()


class JsonWriter(JsonArray):
    """Writes the array object by object; the stream is as for `JsonArray`."""

    def write(self, result: TagResult) -> None:
        """Add a recording's object."""
        self.add(tag_record(result))

"""Tags as JSON lines: an object per recording and line."""

import json
from typing import Any, TextIO

from ..results import TagResult
from .tag_record import tag_record

_LINE_ENDS = str.maketrans({character: f"\\u{ord(character):04x}" for character in "\x85\u2028\u2029"})
"""Characters that JSON leaves as they are and some readers end a line at; json escapes the rest."""


class JsonLines:
    """Writes a line per object, complete and flushed before the next one is begun.

    Parameters
    ----------
    stream : TextIO
        As for `JsonArray`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def add(self, record: dict[str, Any]) -> None:
        """Add an object's line."""
        line = json.dumps(record, ensure_ascii=False, allow_nan=False).translate(_LINE_ENDS)
        self._stream.write(line + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends the lines but the last one."""
        self._stream.flush()


class JsonLinesWriter(JsonLines):
    """Writes a line per recording, complete and flushed before the next one is begun."""

    def write(self, result: TagResult) -> None:
        """Add a recording's line."""
        self.add(tag_record(result))

"""Tags as JSON lines: an object per recording and line."""

import json
from typing import TextIO

from ..results import TagResult
from .tag_record import tag_record


class JsonLinesWriter:
    """Writes a line per recording, complete and flushed before the next one is begun.

    Parameters
    ----------
    stream : TextIO
        As for `JsonWriter`.
    """

    def __init__(self, stream: TextIO) -> None:
        self._stream = stream

    def write(self, result: TagResult) -> None:
        """Add a recording's line."""
        self._stream.write(json.dumps(tag_record(result), ensure_ascii=False, allow_nan=False) + "\n")
        self._stream.flush()

    def close(self) -> None:
        """Nothing ends the lines but the last one."""
        self._stream.flush()

"""One file format a module. A writer takes results one by one and never holds them."""

from collections.abc import Callable
from typing import Any, Protocol

from ..results import TagResult
from .audacity import AudacityWriter
from .chapters import ChaptersWriter
from .csv_table import CsvWriter
from .json_array import JsonWriter
from .json_lines import JsonLinesWriter
from .raven import RavenWriter
from .rttm import RttmWriter
from .sed_events import SedEventsWriter
from .sed_scores import SedScoresWriter
from .srt import SrtWriter
from .tag_parquet import TagParquetWriter
from .textgrid import TextGridWriter
from .timeline_csv import TimelineCsvWriter
from .timeline_format import TimelineFormat, TimelineWriter
from .timeline_json import TimelineJsonWriter
from .timeline_json_lines import TimelineJsonLinesWriter
from .timeline_parquet import TimelineParquetWriter
from .vtt import VttWriter

__all__ = [
    "BINARY_TAG_FORMATS",
    "TAG_WRITERS",
    "TIMELINE_FORMATS",
    "CsvWriter",
    "JsonLinesWriter",
    "JsonWriter",
    "TagParquetWriter",
    "TagWriter",
    "TimelineFormat",
    "TimelineWriter",
]


class TagWriter(Protocol):
    """Writes tags in one format to a stream, which it does not close."""

    def write(self, result: TagResult) -> None:
        """Add a recording; text is flushed: whoever reads along sees it now."""

    def close(self) -> None:
        """End the document. What was written till then is complete in itself, also after an interruption."""


TAG_WRITERS: dict[str, Callable[[Any], TagWriter]] = {
    "csv": CsvWriter,
    "json": JsonWriter,
    "jsonl": JsonLinesWriter,
    "parquet": TagParquetWriter,
}
"""Name of a format, which is the ending of its files too, and what makes its writer of a stream."""

BINARY_TAG_FORMATS = frozenset({"parquet"})
"""Formats of `TAG_WRITERS` whose stream takes bytes; that of the others takes text."""

TIMELINE_FORMATS: dict[str, TimelineFormat] = {
    format.name: format
    for format in (
        TimelineFormat("csv", ".csv", TimelineCsvWriter, several=True),
        TimelineFormat("json", ".json", TimelineJsonWriter, several=True),
        TimelineFormat("jsonl", ".jsonl", TimelineJsonLinesWriter, several=True),
        TimelineFormat("parquet", ".parquet", TimelineParquetWriter, several=True, binary=True),
        TimelineFormat("audacity", ".labels.txt", AudacityWriter, several=False),
        TimelineFormat("raven", ".selections.txt", RavenWriter, several=True),
        TimelineFormat("textgrid", ".TextGrid", TextGridWriter, several=False),
        TimelineFormat("rttm", ".rttm", RttmWriter, several=True),
        TimelineFormat("vtt", ".vtt", VttWriter, several=False),
        TimelineFormat("srt", ".srt", SrtWriter, several=False),
        TimelineFormat("chapters", ".chapters.json", ChaptersWriter, several=False),
        TimelineFormat("sed-scores", ".scores.tsv", SedScoresWriter, several=False),
        TimelineFormat("sed-events", ".events.tsv", SedEventsWriter, several=True),
    )
}
"""Formats of timelines by name. ``sed-scores`` needs step scores besides: see `SedScoresWriter`."""

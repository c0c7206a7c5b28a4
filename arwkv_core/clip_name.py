"""Names of clips: from a template, safe on every file system, and no two alike."""

import re
import string
import unicodedata
from datetime import datetime
from pathlib import PurePath
from typing import Any

from .errors import UsageError

DEFAULT_TEMPLATE = "{stem}_{start}_{class}"

FIELDS = {
    "stem": "the recording's name without its ending",
    "name": "the recording's name",
    "folder": "the name of the folder that it lies in",
    "class": "the event's class",
    "mid": "its AudioSet id",
    "start": "seconds at which the event starts",
    "end": "seconds at which it ends",
    "index": "the clip's number in its recording, from 1",
    "score": "the event's highest score",
    "mean": "its mean score",
    "clock": "date and time at which the clip begins; empty if unknown",
}
"""What a template may hold. Numbers take Python's format specifications: ``{index:04}``, ``{score:.2f}``."""

_DEFAULT_FORMATS = {"start": "09.3f", "end": "09.3f", "index": "04", "score": ".2f", "mean": ".2f"}
"""Filled with zeros, so that names sort as times do."""

MOST_BYTES = 200
"""Of a name in UTF-8, without its ending. File systems take 255; a temporary name is a little longer."""

_LONG = re.compile(r"\d{4}")
_FORBIDDEN = re.compile(r'[/\\:*?"<>|]')
_RESERVED = re.compile(r"(?i)(?:con|prn|aux|nul|com\d|lpt\d)(?:\.|$)")
_UNSAFE_CATEGORIES = {"Cc", "Cs", "Zl", "Zp"}
_BIDI = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069\ufeff")
"""Marks that make one name look like another."""


class NameTemplate:
    """A pattern for names.

    Parameters
    ----------
    template : str
        Text with `FIELDS` in braces; ``/`` puts clips into folders: ``{class}/{stem}_{index}``.

    Attributes
    ----------
    depth : int
        How many parts its names have: 1 without folders.

    Raises
    ------
    UsageError
        If it names no field, or one that there isn't.
    """

    def __init__(self, template: str = DEFAULT_TEMPLATE) -> None:
        self.template = template
        self._parts = [self._parse(part) for part in template.split("/")]
        if not any(field for part in self._parts for _, field, _ in part):
            raise self._problem("no field, so that all clips would have one name")
        probe: dict[str, Any] = dict.fromkeys(FIELDS, "") | {"index": 1} | dict.fromkeys(_NUMBERS, 0.5)
        self.depth = len(self._parts)
        self.format(probe)  # wrong specifications are refused before an hour of work

    def format(self, values: dict[str, Any]) -> PurePath:
        """Return the name, without its ending, for the values of all `FIELDS`; each part of it is a safe one."""
        parts = []
        for part in self._parts:
            text = ""
            for literal, field, specification in part:
                text += literal
                if field:
                    text += safe_text(self._value(field, values[field], specification))
            parts.append(safe_name(text))
        return PurePath(*parts)

    def _parse(self, part: str) -> list[tuple[str, str | None, str]]:
        try:
            pieces = [
                (literal, field, specification or "", conversion)
                for literal, field, specification, conversion in string.Formatter().parse(part)
            ]
        except ValueError as error:
            raise self._problem(str(error)) from error
        for _, field, specification, conversion in pieces:
            if field is not None and (field not in FIELDS or conversion):
                raise self._problem(f"{{{field}{'!' + conversion if conversion else ''}}}")
            if "{" in specification:
                raise self._problem(f"{{{field}:{specification}}}")
        if part.strip() in ("", ".", ".."):
            raise self._problem(f"the folder {part!r}")
        return [(literal, field, specification) for literal, field, specification, _ in pieces]

    def _value(self, field: str, value: Any, specification: str) -> str:
        if _LONG.search(specification):  # a width that no file system holds, and perhaps no memory
            raise self._problem(f"{{{field}:{specification}}}")
        try:
            return format(value, specification or _DEFAULT_FORMATS.get(field, ""))
        except ValueError as error:
            raise self._problem(f"{{{field}:{specification}}} ({error})") from error

    def _problem(self, found: str) -> UsageError:
        fields = " ".join(f"{{{field}}}" for field in FIELDS)
        return UsageError(
            f"--name-template {self.template!r}: expected text with some of {fields}, found {found}"
        )


_NUMBERS = ("start", "end", "score", "mean")


class NameBook:
    """The names that a run has given to clips: the second to ask for one gets ``NAME_2``.

    Names count as one if a file system might take them for one: case and ways to write an accent don't matter.
    """

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._numbers: dict[str, int] = {}

    def take(self, name: PurePath, ending: str) -> str:
        """Return a name that nobody had, with its ending; ``/`` stands between folders."""
        text = "/".join(name.parts)
        number = self._numbers.get(key := _folded(text), 1)
        while True:
            wanted = f"{text}_{number}{ending}" if number > 1 else text + ending
            number += 1
            if _folded(wanted) not in self._taken:
                self._taken.add(_folded(wanted))
                self._numbers[key] = number
                return wanted


def safe_text(text: str) -> str:
    """Put ``_`` for what a file system or a terminal would take for something else than a character."""
    text = _FORBIDDEN.sub("_", text)
    return "".join(
        "_" if unicodedata.category(char) in _UNSAFE_CATEGORIES or char in _BIDI else char for char in text
    )


def safe_name(text: str) -> str:
    """Make a name of one part: not hidden, not reserved, not too long, never empty."""
    text = safe_text(text).strip()
    encoded = text.encode()
    if len(encoded) > MOST_BYTES:
        text = encoded[:MOST_BYTES].decode(errors="ignore")
    text = text.rstrip(" .")  # Windows would drop them, and take two names for one
    if text.startswith((".", "-")) or _RESERVED.match(text):
        text = "_" + text
    return text or "clip"


def clock_text(time: datetime | None) -> str:
    """Write a time as `find_start_time` reads it in names: ``20260514T053000.160+0200``."""
    if time is None:
        return ""
    text = time.strftime("%Y%m%dT%H%M%S")
    if milliseconds := time.microsecond // 1000:
        text += f".{milliseconds:03}"
    distance = time.utcoffset()
    if distance is None:
        return text
    return text + (time.strftime("%z") if distance else "Z")


def _folded(text: str) -> str:
    return unicodedata.normalize("NFC", unicodedata.normalize("NFKC", text).casefold())

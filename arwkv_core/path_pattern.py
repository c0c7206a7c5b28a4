"""Patterns for the paths below a folder: ``*.wav``, ``2024/**/*.flac``."""

import re

from .errors import UsageError


class PathPatterns:
    r"""Some patterns, of which a path must match one.

    ``*`` and ``?`` stand for any characters and one character but ``/``, ``[…]`` for one of a set, ``[!…]`` for one
    that isn't, and ``**`` between slashes for any number of folders. A pattern without ``/`` is for a file's name,
    at any depth; one with it for the whole path. Capital and small letters differ.

    Parameters
    ----------
    patterns : iterable of str

    Raises
    ------
    UsageError
        If a pattern is empty or can match no path below a folder.
    """

    def __init__(self, patterns: tuple[str, ...] | list[str]) -> None:
        self.texts = list(patterns)
        self._regexes = [(re.compile(_translate(text)), "/" in text.rstrip("/")) for text in self.texts]

    def match(self, path: str) -> bool:
        """Whether a path matches, which is relative to a folder and has ``/`` between its parts."""
        name = path.rpartition("/")[2]
        return any(regex.fullmatch(path if whole else name) for regex, whole in self._regexes)


def _translate(pattern: str) -> str:
    parts = pattern.removeprefix("./").split("/")
    if pattern.startswith("/") or "" in parts or ".." in parts:
        raise UsageError(
            f"--glob {pattern}: expected a pattern for paths below a folder, as *.wav or 2024/**/*.wav"
        )
    regex = ""
    for index, part in enumerate(parts):
        last = index == len(parts) - 1
        if part == "**":
            regex += ".*" if last else "(?:[^/]+/)*"
        else:
            regex += _translate_part(part) + ("" if last else "/")
    return f"(?s:{regex})"


def _translate_part(part: str) -> str:
    regex, position = "", 0
    while position < len(part):
        char = part[position]
        position += 1
        if char == "*":
            regex += "[^/]*"
        elif char == "?":
            regex += "[^/]"
        elif (
            char == "[" and (end := part.find("]", position + 1 + (part[position : position + 1] == "!"))) > 0
        ):
            inside = part[position:end]
            negated, inside = inside.startswith("!"), inside.removeprefix("!")
            regex += f"(?!/)[{'^' if negated else ''}{_ranges(inside)}]"
            position = end + 1
        else:
            regex += re.escape(char)
    return regex


def _ranges(inside: str) -> str:
    """Write the inside of a set so that a regex takes it: ``a-f`` is a range, all else stands for itself."""
    regex, position = "", 0
    while position < len(inside):
        low, dash, high = (
            inside[position],
            inside[position + 1 : position + 2],
            inside[position + 2 : position + 3],
        )
        if dash == "-" and high and low <= high:
            regex += f"{re.escape(low)}-{re.escape(high)}"
            position += 3
        else:
            regex += re.escape(low)
            position += 1
    return regex

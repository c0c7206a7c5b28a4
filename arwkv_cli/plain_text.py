"""Durations and file names as text for people."""

import unicodedata

_UNSAFE = {"Cc", "Cs", "Zl", "Zp"}
"""Unicode categories: control characters, halves of surrogate pairs (undecodable bytes), line separators."""

_BIDI = set("\u200e\u200f\u202a\u202b\u202c\u202d\u202e\u2066\u2067\u2068\u2069")
"""Marks that turn the direction of writing: they can make one file name look like another."""


def printable(text: str) -> str:
    """Replace what a terminal would obey instead of showing by its escape."""
    if text.isprintable():
        return text
    return "".join(
        char.encode("unicode_escape").decode("ascii")
        if unicodedata.category(char) in _UNSAFE or char in _BIDI
        else char
        for char in text
    )


def clock(seconds: float) -> str:
    """Return ``0:07``, ``12:34`` or ``1:02:03``; whole seconds, rounded down."""
    minutes, rest = divmod(int(seconds), 60)
    hours, minutes = divmod(minutes, 60)
    return f"{hours}:{minutes:02}:{rest:02}" if hours else f"{minutes}:{rest:02}"


def span(seconds: float) -> str:
    """Return a duration with its unit: ``3.2 s`` below a minute, ``12:34`` from there on."""
    return f"{seconds:.1f} s" if seconds < 59.95 else clock(seconds + 0.5)

"""Names in formats that have lines and columns, but no way to escape what would end them."""

import unicodedata

from ..results import Event

READ_AS_MISSING = frozenset(
    {"<na>", "n/a", "na", "nan", "-nan", "none", "null", "#na", "#n/a", "#n/a n/a"}
    | {f"{sign}1.#{word}" for sign in ("", "-") for word in ("ind", "qnan")}
)
"""Words that pandas, and so most readers of tables, takes for an empty cell, in small letters."""


def one_line(text: str) -> str:
    """Put spaces for tabs, line ends and other control characters, and leave none at the ends."""
    return "".join(" " if _ends_something(character) else character for character in text).strip()


def column(text: str) -> str:
    """One line that every reader of tables takes for text.

    A quotation mark at the beginning, which would begin a quoted cell, is made an apostrophe; to a word that
    stands for a missing value, `READ_AS_MISSING`, an underscore is added.
    """
    line = one_line(text)
    if line.startswith('"'):
        return "'" + line[1:]
    return f"{line}_" if line.lower() in READ_AS_MISSING else line


def label(event: Event) -> str:
    """The event's name on one line; its class's id where nothing is left of the name."""
    return one_line(event.name) or one_line(event.mid)


def _ends_something(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")

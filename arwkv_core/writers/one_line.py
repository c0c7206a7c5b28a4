"""Names in formats that have lines and columns, but no way to escape what would end them."""

import unicodedata

from ..results import Event


def one_line(text: str) -> str:
    """Put spaces for tabs, line ends and other control characters, and leave none at the ends."""
    return "".join(" " if _ends_something(character) else character for character in text).strip()


def column(text: str) -> str:
    """One line that begins with no quotation mark: readers of tables take that for the start of a quoted cell."""
    line = one_line(text)
    return "'" + line[1:] if line.startswith('"') else line


def label(event: Event) -> str:
    """The event's name on one line; its class's id where nothing is left of the name."""
    return one_line(event.name) or one_line(event.mid)


def _ends_something(character: str) -> bool:
    return unicodedata.category(character) in ("Cc", "Zl", "Zp")

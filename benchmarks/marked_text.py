"""What a script writes into a page that people write too: the text between two markers."""

from __future__ import annotations

from pathlib import Path


def with_text(page: str, begin: str, end: str, text: str, source: Path) -> str:
    """The page with other text between its markers.

    Parameters
    ----------
    page : str
    begin, end : str
        The markers: lines, with their ends.
    text : str
    source : Path
        Of the page, for the message.

    Raises
    ------
    SystemExit
        If a marker is missing.
    """
    before, opened, rest = page.partition(begin)
    _, closed, after = rest.partition(end)
    if not opened or not closed:
        raise SystemExit(f"{source}: expected the lines {begin.strip()!r} and {end.strip()!r}")
    return f"{before}{begin}{text}{end}{after}"

"""All that is wrong with labelled sounds, told at once: mending a thousand files one error at a time takes days."""

from __future__ import annotations

from pathlib import Path

from arwkv_core.errors import DatasetError


class Problems:
    """Collects what is wrong, in the order in which it is found.

    Parameters
    ----------
    source : str
        What was read, for the message.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []

    def add(self, place: str, expected: str, found: str) -> None:
        """Note a problem: where it is (file and line), what was expected there and what was found."""
        self.note(f"{place}: expected {expected}, found {found}")

    def note(self, problem: str) -> None:
        """Note a problem, once."""
        if problem not in self.found:
            self.found.append(problem)

    def text_of(self, path: Path) -> str | None:
        """Read a file in UTF-8; None, with what is wrong noted, where that can't be done."""
        try:
            return path.read_bytes().decode("utf-8-sig")
        except OSError as error:
            self.note(f"{path}: can't be read: {error.strerror}")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            self.add(f"{path}, line {line}", "text in UTF-8", f"the byte {error.object[error.start]:#04x}")
        return None

    def raise_any(self) -> None:
        """End here if there was a problem.

        Raises
        ------
        DatasetError
            With a line for each.
        """
        if self.found:
            count = "1 problem" if len(self.found) == 1 else f"{len(self.found)} problems"
            raise DatasetError("\n  ".join([f"{self.source}: {count}:", *self.found]))

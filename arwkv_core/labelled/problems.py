"""All that is wrong with labelled sounds, told at once: mending a thousand files one error at a time takes days."""

from __future__ import annotations

from pathlib import Path

from arwkv_core.errors import DatasetError
from arwkv_core.label_text import read_label_text

from .segment import Segment


class Problems:
    """Collects what is wrong, in the order in which it is found.

    Parameters
    ----------
    source : str
        What was read, for the message.

    Attributes
    ----------
    found : list of str
        Problems, each once.
    refused : list of Segment
        Segments that could not be taken for a reason that is among the problems. Their labels count as there: that a
        label is missing elsewhere would be another problem, which is none.
    unread : bool
        Whether labels are missing that nothing could be read of: then there may be more of each class than there seem.
    remarks : list of str
        What is not wrong, but should be known.
    """

    def __init__(self, source: str) -> None:
        self.source = source
        self.found: list[str] = []
        self.refused: list[Segment] = []
        self.unread = False
        self.remarks: list[str] = []
        self._noted: set[str] = set()

    def add(self, place: str, expected: str, found: str) -> None:
        """Note a problem: where it is (file and line), what was expected there and what was found."""
        self.note(f"{place}: expected {expected}, found {found}")

    def note(self, problem: str) -> None:
        """Note a problem, once."""
        if problem not in self._noted:
            self._noted.add(problem)
            self.found.append(problem)

    def remark(self, text: str) -> None:
        """Note what is not wrong, but should be known."""
        self.remarks.append(text)

    def text_of(self, path: Path) -> str | None:
        """Read a file, see `read_label_text`; None, with what is wrong noted, where that can't be done."""
        try:
            return read_label_text(path)
        except OSError as error:
            self.note(f"{path}: can't be read: {error.strerror}")
        except UnicodeDecodeError as error:
            line = error.object[: error.start].count(b"\n") + 1
            byte = f"the byte {error.object[error.start]:#04x}"
            of_excel = "" if path.suffix.lower() == ".json" else " (Excel calls it CSV UTF-8)"
            self.add(f"{path}, line {line}", f"text in UTF-8{of_excel}", byte)
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

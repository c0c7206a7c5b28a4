"""Copies of a recording under other names: one in training and one in the test prove nothing."""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

from .problems import Problems
from .segment import Segment, by_file

HEAD_BYTES = 1 << 16
"""Enough to tell most files apart; those that begin alike are read to their end."""


def find_copies(files: Iterable[Path]) -> list[list[Path]]:
    """Groups of files that hold the same bytes, each in the order given.

    Files that can't be read are left out, and those that end in nothing but zeros: all silence is alike.
    """
    groups = [list(files)]
    for key in (_size, _head, _whole):
        groups = [alike for group in groups for alike in _split(group, key)]
    return [alike for alike in groups if not _is_silent(alike[0])]


def with_copies_together(segments: Sequence[Segment], problems: Problems) -> list[Segment]:
    """Give copies of a recording, and links to it, one recording's name: splits and folds keep them together.

    Parameters
    ----------
    segments : sequence of Segment
    problems : Problems
        Takes copies in several splits or folds, and copies of which something else is said; how many copies there are
        is a remark.

    Returns
    -------
    list of Segment
        In their order. What is reached by several paths has the first of them.
    """
    of_file = by_file(segments)
    places: dict[Path, list[Path]] = {}
    for file in of_file:
        places.setdefault(file.resolve(), []).append(file)
    linked = {other: paths[0] for paths in places.values() for other in paths}
    copied = [[file for each in group for file in places[each]] for group in find_copies(places)]
    copied += [paths for paths in places.values() if len(paths) > 1]
    together: dict[str, str] = {}
    copies = set()
    for files in copied:
        one = of_file[files[0]]
        for file in files[1:]:
            if _agree(one, of_file[file], problems):
                name = together.get(one[0].group, one[0].group)
                together |= {one[0].group: name, of_file[file][0].group: name}
                copies.add(file)
    if copies:
        count = (
            "1 recording is a copy of another"
            if len(copies) == 1
            else f"{len(copies)} recordings are copies of others"
        )
        problems.remark(f"{count}: they stay together in folds and splits")
    return [
        replace(each, file=linked[each.file], recording=together.get(each.group, each.recording))
        for each in segments
    ]


def _agree(one: list[Segment], two: list[Segment], problems: Problems) -> bool:
    """Whether the same is said of a recording and of its copy; else note what is not."""
    first, second = one[0], two[0]
    for what in ("split", "fold"):
        here, there = getattr(second, what), getattr(first, what)
        if here != there and first.group != second.group:
            found = f"a copy of {first.file}, which is in {there or 'none'} and this in {here or 'none'}"
            problems.add(second.place, "a recording of its own", found)
            return False
    labels = [{label for each in some for label in each.labels} for some in (one, two)]
    if all(each.whole for each in (*one, *two)) and labels[0] != labels[1]:
        said = [", ".join(sorted(each)) for each in labels]
        expected = f"{said[0]!r}, as of the same recording at {first.place}"
        problems.add(second.place, expected, f"{said[1]!r} (a table can give it both labels)")
    return True


def _split(files: list[Path], key: Callable[[Path], Any]) -> list[list[Path]]:
    found: dict[Any, list[Path]] = {}
    for file in files:
        try:
            found.setdefault(key(file), []).append(file)
        except OSError:
            continue
    return [alike for alike in found.values() if len(alike) > 1]


def _size(file: Path) -> int:
    return file.stat().st_size


def _head(file: Path) -> bytes:
    with file.open("rb") as opened:
        return hashlib.sha256(opened.read(HEAD_BYTES)).digest()


def _whole(file: Path) -> bytes:
    digest = hashlib.sha256()
    with file.open("rb") as opened:
        while block := opened.read(1 << 20):
            digest.update(block)
    return digest.digest()


def _is_silent(file: Path) -> bool:
    with file.open("rb") as opened:
        opened.seek(file.stat().st_size // 2)
        while block := opened.read(1 << 20):
            if any(block):
                return False
    return True

"""The outputs of each recording of a run: written in this thread, made safe and named in others."""

from __future__ import annotations

import os
import secrets
from collections import deque
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import Any, Protocol

from .batch import NEEDS_THE_RUN, reason
from .output_folder import OutputFolder
from .results import Failure
from .whole_file import naming

_THREADS = 8
"""Disks make several files safe in little more than the time of one."""

_MOST_WAITING = 64


class Format(Protocol):
    """What must be known of a format; `writers.TimelineFormat` is one."""

    @property
    def suffix(self) -> str:
        """What the names of its files end with."""

    @property
    def writer(self) -> Callable[[Any], Any]:
        """Makes of a stream what has ``write(result)`` and ``close()``."""

    @property
    def several(self) -> bool:
        """Whether one file can hold several recordings."""

    @property
    def binary(self) -> bool:
        """Whether its stream takes bytes."""


class OutputFiles:
    """Writes a file per recording and format; each appears when it is safe on the disk.

    Parameters
    ----------
    folder : OutputFolder
    formats : mapping
        Name → `Format`.
    """

    def __init__(self, folder: OutputFolder, formats: Mapping[str, Format]) -> None:
        self.folder, self.formats = folder, dict(formats)
        self._threads = ThreadPoolExecutor(_THREADS, thread_name_prefix="arwkv-output")
        self._waiting: deque[Future[Failure | None]] = deque()
        self._failures: list[Failure] = []

    def __enter__(self) -> OutputFiles:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._threads.shutdown()

    def write(self, file: str, result: Any) -> None:
        """Write the outputs of a recording.

        Raises
        ------
        ArwkvError, OSError
            If they can't be written; none is left behind then.
        """
        written: list[tuple[str, str]] = []
        try:
            for format in self.formats.values():
                path = self.folder.tree.path(file, format.suffix)
                self.folder.prepare(path)
                written.append((str(path.with_name(f".{secrets.token_hex(8)}.partial")), str(path)))
                with naming(path):
                    _write(written[-1][0], format, result)
        except BaseException:
            for hidden, _ in written:
                with suppress(OSError):
                    Path(hidden).unlink()
            raise
        self._waiting.append(self._threads.submit(_appear, file, written))
        while len(self._waiting) > _MOST_WAITING or (self._waiting and self._waiting[0].done()):
            self._take_first()

    def failures(self) -> list[Failure]:
        """Wait until everything written has appeared; return what could not, since the last call.

        Raises
        ------
        OSError
            If the disk is full.
        """
        while self._waiting:
            self._take_first()
        failures, self._failures = self._failures, []
        return failures

    def _take_first(self) -> None:
        if failure := self._waiting.popleft().result():
            self._failures.append(failure)


def _write(path: str, format: Format, result: Any) -> None:
    if format.binary:
        with open(path, "xb") as stream:  # noqa: PTH123
            _write_to(stream, format, result)
    else:
        with open(path, "x", encoding="utf-8", errors="backslashreplace", newline="") as text:  # noqa: PTH123
            _write_to(text, format, result)


def _write_to(stream: Any, format: Format, result: Any) -> None:
    writer = format.writer(stream)
    writer.write(result)
    writer.close()


def _appear(file: str, written: list[tuple[str, str]]) -> Failure | None:
    """Put files into their places, once their content is safe: after a power cut, too, each is whole or absent."""
    try:
        for hidden, _ in written:
            handle = os.open(hidden, os.O_RDWR)
            try:
                os.fsync(handle)
            finally:
                os.close(handle)
        for hidden, path in written:
            os.replace(hidden, path)  # noqa: PTH105
    except OSError as error:
        for hidden, _ in written:
            with suppress(OSError):
                Path(hidden).unlink()
        if error.errno in NEEDS_THE_RUN:
            raise
        return Failure(file, f"its output can't be put into its place: {reason(error, file)}")
    return None

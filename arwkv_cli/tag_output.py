"""Where tags go: a table on the terminal, or a format on stdout or in a file that appears whole."""

import io
import sys
from contextlib import suppress
from pathlib import Path
from types import TracebackType
from typing import TextIO

import typer

from arwkv_core.errors import UsageError
from arwkv_core.results import TagResult
from arwkv_core.whole_file import WholeFile, check_output
from arwkv_core.writers import BINARY_TAG_FORMATS, TAG_WRITERS, TagWriter

TABLE = "table"
FORMATS = (TABLE, *TAG_WRITERS)


def choose_format(format: str | None, output: Path | None, *, terminal: bool) -> str:
    """Decide in which format tags are written.

    Parameters
    ----------
    format : str or None
        One of `FORMATS`, if the user asked for one.
    output : Path or None
        The file to write; its ending tells the format where the user doesn't.
    terminal : bool
        Whether stdout is a terminal.

    Raises
    ------
    UsageError
        If the file's ending stands for no format.
    """
    if format is not None:
        return format
    if output is None:
        return TABLE if terminal else "csv"
    ending = output.suffix[1:].lower()
    if ending not in TAG_WRITERS:
        raise UsageError(
            f"--output {output}: its ending tells no format; say --format ({', '.join(FORMATS)})"
        )
    return ending


class TagOutput:
    """A place for tags, opened when the first comes.

    When the run ends, the file gets its name. When the run is broken off, what was finished stays: on
    stdout a complete document, beside ``output`` a file ``NAME.partial``. A run in which nothing could be
    done leaves no file.

    Parameters
    ----------
    format : str or None
    output : Path or None
        None is stdout.
    overwrite : bool
        Replace an existing file.

    Raises
    ------
    UsageError
        If the format or the output can't be.
    """

    def __init__(self, format: str | None, output: Path | None, *, overwrite: bool) -> None:
        self.on_terminal = output is None and sys.stdout.isatty()
        self.format = choose_format(format, output, terminal=self.on_terminal)
        if self.on_terminal and self.format in BINARY_TAG_FORMATS:
            raise UsageError(
                f"--format {self.format}: expected a file or a pipe, found a terminal; say --output"
            )
        self.output, self.overwrite = output, overwrite
        if output is not None:
            check_output(output, overwrite=overwrite)
        self._file: WholeFile | None = None
        self._writer: TagWriter | None = None

    def write(self, result: TagResult) -> None:
        """Write a recording's tags."""
        self._open().write(result)

    def __enter__(self) -> "TagOutput":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        if error is None:
            self._finish()
        elif self._writer is not None:
            with suppress(OSError):  # the reader has gone or the disk is full: the first error tells
                self._break_off()

    def _open(self) -> TagWriter:
        if self._writer is None:
            if self.output is not None:
                self._file = WholeFile(self.output, overwrite=self.overwrite)
                stream: TextIO = self._file.stream
            else:
                stream = sys.stdout
                if self.format != TABLE and isinstance(stream, io.TextIOWrapper):
                    # data are UTF-8 whatever the locale, and undecodable file names don't break them
                    stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
            self._writer = self._new_writer(stream)
        return self._writer

    def _new_writer(self, stream: TextIO) -> TagWriter:
        if self.format == TABLE:
            from arwkv_cli.table import TableWriter

            return TableWriter(stream)
        return TAG_WRITERS[self.format](stream.buffer if self.format in BINARY_TAG_FORMATS else stream)

    def _finish(self) -> None:
        if self.output is not None and self._writer is None:
            typer.echo(f"arwkv: nothing was done, so {self.output} was not written", err=True)
            return
        self._open().close()
        if self._file is not None:
            self._file.commit()

    def _break_off(self) -> None:
        assert self._writer is not None
        self._writer.close()
        if self._file is not None:
            typer.echo(f"arwkv: what was finished is in {self._file.keep_partial()}", err=True)

"""Where results go: a table on the terminal, or a format on stdout, in one file, or in a file per recording."""

import io
import sys
from collections.abc import Callable, Mapping, Sequence
from contextlib import AbstractContextManager, nullcontext, suppress
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import Any

import typer

from arwkv_cli.run_options import RunOptions
from arwkv_core.errors import UsageError
from arwkv_core.output_files import Format
from arwkv_core.whole_file import WholeFile, check_output, naming

TABLE = "table"


@dataclass(frozen=True)
class PlainFormat:
    """A `Format` of which only the writer must be said."""

    suffix: str
    writer: Callable[[Any], Any]
    several: bool = True
    binary: bool = False


def choose_formats(
    options: RunOptions, formats: Mapping[str, Format], *, table: bool, terminal: bool
) -> list[str]:
    """Decide in which formats results are written.

    Parameters
    ----------
    options : RunOptions
    formats : mapping
        What there is, by name; the first is the default.
    table : bool
        Whether there is a table for people, too.
    terminal : bool
        Whether stdout is a terminal.

    Returns
    -------
    list of str
        Keys of ``formats``, or the table alone.

    Raises
    ------
    UsageError
        If they can't be, or not together.
    """
    for name in options.format:
        if name not in formats and not (table and name == TABLE):
            raise UsageError(f"--format: expected one of {', '.join(formats)}, found {name}")
    if options.output_dir is not None:
        if TABLE in options.format:
            raise UsageError("--format table: is for people; --output-dir takes the other formats")
        if options.format:
            return list(options.format)
        return [next(iter(formats)) if options.output is None else format_of(options.output, formats)]
    if len(options.format) > 1:
        raise UsageError(
            f"--format: {len(options.format)} formats need --output-dir, which has a file for each"
        )
    if options.format:
        return list(options.format)
    if options.output is not None:
        return [format_of(options.output, formats)]
    return [TABLE if terminal and table else next(iter(formats))]


def format_of(output: Path, formats: Mapping[str, Format]) -> str:
    """Return the format that a file's ending stands for.

    Raises
    ------
    UsageError
        If it stands for none.
    """
    by_length = sorted(formats, key=lambda name: -len(formats[name].suffix))
    for name in by_length:
        if output.name.lower().endswith(formats[name].suffix.lower()):
            return name
    if output.suffix[1:].lower() in formats:  # x.npz, where a recording's own file is a.wav.embeddings.npz
        return output.suffix[1:].lower()
    raise UsageError(f"--output {output}: its ending tells no format; say --format ({', '.join(formats)})")


def joined_format(options: RunOptions, names: Sequence[str], formats: Mapping[str, Format]) -> str | None:
    """Return the format of the table of all recordings beside a file for each; None if none is asked for.

    Raises
    ------
    UsageError
        If that format is not among those of the single files, of which the table is made.
    """
    from arwkv_core.joined import check_joinable

    if options.output is None or options.output_dir is None:
        return None
    name = names[0] if len(names) == 1 and options.format else format_of(options.output, formats)
    if name not in names:
        raise UsageError(
            f"--output {options.output}: is made of the files in --output-dir, so add --format {name} to "
            f"{' '.join(names)}"
        )
    check_joinable(name)
    return name


class StreamOutput:
    """One place for all results, stdout or a file, opened when the first comes.

    When the run ends, the file gets its name. When the run is broken off, what was finished stays: on
    stdout a complete document, beside the output a file ``NAME.partial``. A run in which nothing could be
    done leaves no file.

    Parameters
    ----------
    format : Format or None
        None is the table.
    name : str
        Of the format.
    output : Path or None
        None is stdout.
    overwrite : bool
        Replace an existing file.
    table : callable or None
        Makes of a stream what writes tables.

    Raises
    ------
    UsageError
        If the output can't be.
    """

    def __init__(
        self,
        format: Format | None,
        name: str,
        output: Path | None,
        *,
        overwrite: bool,
        table: Callable[[Any], Any] | None = None,
    ) -> None:
        self.on_terminal = output is None and sys.stdout.isatty()
        self.binary = format is not None and format.binary
        if self.on_terminal and self.binary:
            raise UsageError(f"--format {name}: expected a file or a pipe, found a terminal; say --output")
        new_writer = table if format is None else format.writer
        assert new_writer is not None
        self._new_writer, self._is_table = new_writer, format is None
        self.output, self.overwrite = output, overwrite
        if output is not None:
            check_output(output, overwrite=overwrite)
        self._file: WholeFile | None = None
        self._writer: Any = None

    def write(self, result: Any) -> None:
        """Write a recording's result."""
        with self._named():
            self._open().write(result)

    def __enter__(self) -> "StreamOutput":
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        try:
            if error is None:
                with self._named():
                    self._finish()
            elif self._writer is not None:
                with suppress(OSError):  # the reader has gone or the disk is full: the first error tells
                    self._break_off()
                    return
                self._discard()
        except OSError:
            self._discard()
            raise

    def _named(self) -> AbstractContextManager[None]:
        """Let errors bear the name of the output."""
        return nullcontext() if self.output is None else naming(self.output)

    def _discard(self) -> None:
        if self._file is not None:
            self._file.discard()

    def _open(self) -> Any:
        if self._writer is None:
            if self.output is not None:
                self._file = WholeFile(self.output, overwrite=self.overwrite)
                stream: Any = self._file.stream
            else:
                stream = sys.stdout
                if not self._is_table and isinstance(stream, io.TextIOWrapper):
                    # data are UTF-8 whatever the locale, and undecodable file names don't break them
                    stream.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
            self._writer = self._new_writer(stream.buffer if self.binary else stream)
        return self._writer

    def _finish(self) -> None:
        if self.output is not None and self._writer is None:
            typer.echo(f"arwkv: nothing was done, so {self.output} was not written", err=True)
            return
        self._open().close()
        if self._file is not None:
            self._file.commit()

    def _break_off(self) -> None:
        self._writer.close()
        if self._file is not None:
            typer.echo(f"arwkv: what was finished is in {self._file.keep_partial()}", err=True)

"""What comes of a run's recordings: it is written, told on stderr, counted and written down."""

from collections.abc import Callable, Iterable, Sequence
from contextlib import nullcontext
from pathlib import Path
from typing import TYPE_CHECKING, Any

import typer

from arwkv_cli.plain_text import printable
from arwkv_cli.progress import RunProgress
from arwkv_core.batch import NEEDS_THE_RUN, reason
from arwkv_core.errors import ArwkvError, UsageError
from arwkv_core.interrupts import deferred_interrupts
from arwkv_core.results import Failure

if TYPE_CHECKING:
    from arwkv_cli.run_output import StreamOutput
    from arwkv_core.output_files import OutputFiles
    from arwkv_core.run_folder import RunFolder


class RunResults:
    """Takes the outcomes of a run one by one.

    Parameters
    ----------
    progress : RunProgress
    seconds : callable
        Duration of a result's recording.
    stream : StreamOutput or None
        One place for all results.
    folder : RunFolder or None
        With ``outputs``: a place for each.
    outputs : OutputFiles or None
    quiet : bool
        Show no warnings.
    """

    def __init__(
        self,
        progress: RunProgress,
        *,
        seconds: Callable[[Any], float],
        stream: "StreamOutput | None",
        folder: "RunFolder | None",
        outputs: "OutputFiles | None",
        quiet: bool,
    ) -> None:
        self.progress, self.seconds, self.quiet = progress, seconds, quiet
        self.stream, self.folder, self.outputs = stream, folder, outputs
        self.without: set[str] = set()
        """Recordings that have no outputs."""
        self._seconds: dict[str, float] = {}  # of recordings whose outputs are on their way

    def take(self, file: str, outcome: Any) -> None:
        """Take a recording's result, or its failure."""
        # a stream's reader may keep us waiting for long, and Ctrl-C must end that
        with nullcontext() if self.stream is not None else deferred_interrupts(second_at_once=True):
            self._take(file, outcome)

    def _take(self, file: str, outcome: Any) -> None:
        if isinstance(outcome, Failure):
            self.fail(outcome)
            return
        warnings = [] if self.quiet else getattr(outcome, "warnings", [])
        on_terminal = self.stream is not None and self.stream.on_terminal
        with self.progress.hidden(on_terminal or bool(warnings)):
            try:
                self._write(file, outcome)
            except UsageError:
                raise
            except (ArwkvError, OSError) as error:
                if self.stream is not None or (isinstance(error, OSError) and error.errno in NEEDS_THE_RUN):
                    raise
                self.fail(Failure(file, reason(error, file)))
                return
            for warning in warnings:
                say("warning: ", file, warning.removeprefix(f"{file}: "))
        self.progress.end(file, self.seconds(outcome))

    def fail(self, failure: Failure, *, recording: bool = True, at_work: bool = True) -> None:
        """Take note of a failure.

        Parameters
        ----------
        failure : Failure
        recording : bool
            False for a folder or a pattern.
        at_work : bool
            False for a recording that was refused before the work began.
        """
        self.without.add(failure.file)
        if self.folder is not None:
            self.folder.failed(failure, recording=recording)
        if at_work:
            self.progress.end(failure.file, None)
        else:
            self.progress.failed += 1
        with self.progress.hidden():
            say("failed: ", failure.file, failure.reason)

    def settle(self) -> None:
        """Wait until all outputs have appeared, and take note of those that could not."""
        with deferred_interrupts(second_at_once=True):
            self._settle()

    def _settle(self) -> None:
        if self.outputs is None or self.folder is None:
            return
        for failure in self.outputs.failures():
            self._seconds.pop(failure.file, None)
            self.without.add(failure.file)
            self.progress.withdraw()
            self.folder.failed(failure)
            with self.progress.hidden():
                say("failed: ", failure.file, failure.reason)
        for file, seconds in self._seconds.items():
            self.folder.done(file, seconds)
        self._seconds = {}

    def join(self, files: Sequence[str], suffix: str, format: str, output: Path) -> None:
        """Make one table of the outputs of all recordings, those of earlier runs among them."""
        from arwkv_core.joined import join_outputs

        assert self.folder is not None
        tree = self.folder.tree
        paths = [file for file in files if file not in self.without]
        if paths:
            join_outputs((tree.path(file, suffix) for file in paths), output, format)
        else:
            typer.echo(f"arwkv: nothing was done, so {output} was not written", err=True)

    def _write(self, file: str, result: Any) -> None:
        if self.stream is not None:
            self.stream.write(result)
        if self.outputs is not None:
            self.outputs.write(file, result)
            self._seconds[file] = self.seconds(result)
            if len(self._seconds) >= _SETTLE_AT:
                self._settle()


_SETTLE_AT = 256
"""Recordings whose outputs are on their way at most, before it is looked what became of them."""


def say(kind: str, about: str, what: str) -> None:
    """Print a message on stderr: what kind, about what, and what it is."""
    typer.echo(f"arwkv: {kind}{printable(about)}: {printable(what)}", err=True)


def say_all_empty(folders: Iterable[str]) -> None:
    """Name the folders in which there was nothing."""
    for folder in folders:
        say("", folder, "no recordings in this folder")

"""How far a run is: a bar on stderr in seconds of audio, with speed and time left."""

import time
from collections.abc import Iterator
from contextlib import contextmanager
from types import TracebackType

from rich.console import Console
from rich.progress import BarColumn, Progress, ProgressColumn, Task, TextColumn
from rich.table import Column
from rich.text import Text

from arwkv_cli.plain_text import clock, printable


class RunProgress:
    """The progress of a run over recordings of known number and unknown length.

    How much audio there will be is guessed from the headers of the recordings at work and, for those not
    opened yet, from the mean of those done.

    Parameters
    ----------
    files : int
        How many recordings there are to do.
    shown : bool
        False shows nothing, on any terminal. A stderr that is no terminal shows nothing either.
    kept : int
        Recordings of the run that were done before.
    """

    def __init__(self, files: int, *, shown: bool = True, kept: int = 0) -> None:
        console = Console(stderr=True, highlight=False)
        self.shown = shown and console.is_terminal
        self.files, self.done, self.kept, self.failed = files, 0, kept, 0
        self.ended = 0  # of the files, done or failed
        self.done_seconds = 0.0  # of the recordings that are done
        self._at_work: dict[
            str, tuple[float, float | None]
        ] = {}  # file -> seconds done, seconds in its header
        self._started = time.monotonic()
        self._bars = Progress(
            TextColumn("{task.description}", table_column=Column(ratio=2, no_wrap=True, overflow="ellipsis")),
            BarColumn(bar_width=None, table_column=Column(ratio=2)),
            _AudioColumn(),
            _SpeedColumn(),
            _LeftColumn(),
            console=console,
            transient=True,
            expand=True,
            disable=not self.shown,
            # what is printed meanwhile goes where it belongs, see hidden()
            redirect_stdout=False,
            redirect_stderr=False,
        )
        self._task = self._bars.add_task("", total=None)

    def __enter__(self) -> "RunProgress":
        self._bars.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, traceback: TracebackType | None
    ) -> None:
        self._bars.stop()

    def update(self, file: str, seconds: float, header_seconds: float | None) -> None:
        """Take the seconds done of a recording at work, and what its header says about its length."""
        if not self.shown:
            return
        new = file not in self._at_work
        self._at_work[file] = (seconds, header_seconds)
        if new:
            self._describe(file)
        self._move()

    def end(self, file: str, seconds: float | None) -> None:
        """Take the length of a recording that is done; None if it failed."""
        self.ended += 1
        self._at_work.pop(file, None)
        if seconds is None:
            self.failed += 1
        else:
            self.done += 1
            self.done_seconds += seconds
        if self.shown:
            if self._at_work:
                self._describe(next(iter(self._at_work)))
            self._move()

    def withdraw(self) -> None:
        """Count a recording that was taken for done among the failed ones."""
        self.done -= 1
        self.failed += 1

    @contextmanager
    def hidden(self, needed: bool = True) -> Iterator[None]:
        """Take the bar away, if ``needed``, while something is printed on the same terminal."""
        if not (needed and self.shown):
            yield
            return
        self._bars.stop()
        try:
            yield
        finally:
            self._bars.start()

    def summary(self) -> str:
        """Say in one line what was done."""
        elapsed = time.monotonic() - self._started
        recordings = "1 recording" if self.done == 1 else f"{self.done} recordings"
        speed = f"{self.done_seconds / elapsed:.0f} × real time" if elapsed > 0 else ""
        kept = f", {self.kept} kept" if self.kept else ""
        failed = f", {self.failed} failed" if self.failed else ""
        return (
            f"{recordings}, {clock(self.done_seconds)} of audio in {clock(elapsed)} ({speed}){kept}{failed}"
        )

    def _describe(self, file: str) -> None:
        count = f"{self.ended + len(self._at_work)}/{self.files} " if self.files > 1 else ""
        failed = f"({self.failed} failed) " if self.failed else ""
        self._bars.update(self._task, description=(count + failed + printable(file)).replace("[", r"\["))

    def _move(self) -> None:
        at_work = sum(seconds for seconds, _ in self._at_work.values())
        self._bars.update(self._task, completed=self.done_seconds + at_work, total=self._guess_total())

    def _guess_total(self) -> float | None:
        headers = [header for _, header in self._at_work.values() if header is not None]
        if self.done:
            mean = self.done_seconds / self.done
        elif headers:
            mean = sum(headers) / len(headers)
        else:
            return None
        current = sum(
            max(seconds, mean if header is None else header) for seconds, header in self._at_work.values()
        )
        waiting = self.files - self.ended - len(self._at_work)
        return self.done_seconds + current + waiting * mean


class _AudioColumn(ProgressColumn):
    """Audio done, of how much."""

    def render(self, task: Task) -> Text:
        total = "" if task.total is None else f" of {clock(task.total)}"
        return Text(clock(task.completed) + total)


class _SpeedColumn(ProgressColumn):
    """Audio a second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}× real time" if task.speed else "", "dim")


class _LeftColumn(ProgressColumn):
    """Time left."""

    def render(self, task: Task) -> Text:
        left = task.time_remaining
        return Text("" if left is None else f"ETA {clock(left)}", "dim")

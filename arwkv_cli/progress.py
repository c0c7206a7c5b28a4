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

    How much audio there will be is guessed from the header of the recording at work and, for those not
    opened yet, from the mean of those done.

    Parameters
    ----------
    files : int
        How many recordings there are.
    shown : bool
        False shows nothing, on any terminal. A stderr that is no terminal shows nothing either.
    """

    def __init__(self, files: int, *, shown: bool = True) -> None:
        console = Console(stderr=True, highlight=False)
        self.shown = shown and console.is_terminal
        self.files, self.done, self.failed = files, 0, 0
        self.done_seconds = 0.0  # of the recordings that are done
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

    def begin(self, file: str) -> None:
        """Name the recording that is worked on."""
        count = f"{self.done + self.failed + 1}/{self.files} " if self.files > 1 else ""
        self._bars.update(self._task, description=Text(count + printable(file)).plain.replace("[", r"\["))

    def update(self, seconds: float, header_seconds: float | None) -> None:
        """Take the seconds scored of the recording at work, and what its header says about its length."""
        completed = self.done_seconds + seconds
        self._bars.update(self._task, completed=completed, total=self._guess_total(seconds, header_seconds))

    def end(self, seconds: float | None) -> None:
        """Take the length of the recording that is done; None if it failed."""
        if seconds is None:
            self.failed += 1
        else:
            self.done += 1
            self.done_seconds += seconds
        self._bars.update(self._task, completed=self.done_seconds)

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
        failed = f", {self.failed} failed" if self.failed else ""
        return f"{recordings}, {clock(self.done_seconds)} of audio in {clock(elapsed)} ({speed}){failed}"

    def _guess_total(self, seconds: float, header_seconds: float | None) -> float | None:
        mean = self.done_seconds / self.done if self.done else header_seconds
        current = header_seconds if header_seconds is not None else mean
        if current is None or mean is None:
            return None
        waiting = self.files - self.done - self.failed - 1
        return self.done_seconds + max(current, seconds) + waiting * mean


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

"""A run of ``arwkv extract``: timelines come in, clips go into a folder, and stderr hears of it."""

from __future__ import annotations

import io
import sys
from collections.abc import Callable
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING

import typer

from arwkv_cli.interruption import command_to_go_on
from arwkv_cli.progress import RunProgress
from arwkv_cli.run_results import say
from arwkv_core.batch import NEEDS_THE_RUN, reason
from arwkv_core.errors import ArwkvError, UsageError
from arwkv_core.results import Failure, Timeline

if TYPE_CHECKING:
    from arwkv_core.batch import Progress
    from arwkv_core.clip_plan import ClipPlan, ClipSettings


class ExtractRun:
    """Cuts what timelines tell, as soon as it is known which of their events become clips.

    Use it in a ``with`` statement, after whose regular end ``clips.csv`` is there.

    Parameters
    ----------
    settings : ClipSettings
    output_dir : Path
    overwrite, dry_run
        See `ClipFolder`.
    quiet : bool
        Show no warnings and no summary.
    """

    def __init__(
        self, settings: ClipSettings, output_dir: Path, *, overwrite: bool, dry_run: bool, quiet: bool
    ) -> None:
        from arwkv_core.clip_folder import ClipFolder
        from arwkv_core.clip_plan import ClipChooser

        self.output_dir, self.dry_run, self.quiet = output_dir, dry_run, quiet
        self.failures: list[Failure] = []
        self.clips = self.kept = 0
        self.progress: RunProgress | None = None
        self._chooser = ClipChooser(settings)
        self._folder = ClipFolder(output_dir, settings, overwrite=overwrite, dry_run=dry_run)
        self._recordings: set[str] = set()

    def __enter__(self) -> ExtractRun:
        self._folder.__enter__()
        if self.dry_run:
            from arwkv_core.clip_table import ClipRows

            if isinstance(sys.stdout, io.TextIOWrapper):
                # data are UTF-8 whatever the locale, and undecodable file names don't break them
                sys.stdout.reconfigure(encoding="utf-8", errors="backslashreplace", newline="")
            self._rows = ClipRows(sys.stdout)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._folder.__exit__(kind, error, trace)
        if isinstance(error, KeyboardInterrupt):
            typer.echo(f"arwkv: {self.summary()}; this goes on: {command_to_go_on()}", err=True)

    def take(self, timeline: Timeline, progress: Progress | None = None) -> None:
        """Take a recording's events, and cut them unless others might be better."""
        self.warn(timeline.file, timeline.warnings)
        plan = self._chooser.add(timeline)
        if plan is not None:
            self._cut(plan, progress)

    def finish(self, progress: Callable[[str], Progress | None] = lambda file: None) -> None:
        """Cut what had to wait."""
        for plan in self._chooser.finish():
            self._cut(plan, progress(plan.file))

    def fail(self, failure: Failure) -> None:
        """Take note of a failure."""
        self.failures.append(failure)
        self._say("failed: ", failure.file, failure.reason)

    def warn(self, file: str, warnings: list[str]) -> None:
        """Show what is odd about a recording."""
        for warning in [] if self.quiet else warnings:
            self._say("warning: ", file, warning.removeprefix(f"{file}: "))

    def summary(self) -> str:
        """Say in one line what was done."""
        clips = "1 clip" if self.clips == 1 else f"{self.clips} clips"
        many = len(self._recordings)
        recordings = "1 recording" if many == 1 else f"{many} recordings"
        kept = f" ({self.kept} kept)" if self.kept else ""
        failed = f", {len(self.failures)} failed" if self.failures else ""
        would_be = " would be" if self.dry_run else ""
        return f"{clips}{kept} of {recordings}{would_be} in {self.output_dir}{failed}"

    def _cut(self, plan: ClipPlan, progress: Progress | None) -> None:
        clips = []
        try:
            clips = self._folder.cut(plan, progress=progress)
        except UsageError:
            raise
        except (ArwkvError, OSError) as error:
            if isinstance(error, OSError) and error.errno in NEEDS_THE_RUN:
                raise
            self.fail(Failure(plan.file, reason(error, plan.file)))
            clips = self._folder.last
        finally:
            self.warn(plan.file, self._folder.warnings)
        for clip in clips:
            self.clips += 1
            self.kept += clip.kept
            self._recordings.add(clip.file)
            if self.dry_run:
                self._rows.add(clip)

    def _say(self, kind: str, about: str, what: str) -> None:
        if self.progress is None:
            say(kind, about, what)
        else:
            with self.progress.hidden():
                say(kind, about, what)

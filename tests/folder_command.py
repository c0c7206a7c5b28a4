"""A command over recordings that needs no model: it tells their sizes, by everything that `arwkv tag` uses for folders.

What a recording holds decides what happens to it: ``bad``, ``slow``, ``crash``, ``endless``.
"""

import os
import signal
import time
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated

import typer

from arwkv_cli.app import arwkv
from arwkv_cli.command_group import CommandGroup
from arwkv_cli.folder_run import run_folder
from arwkv_cli.run_options import (
    Files,
    FilesFrom,
    Glob,
    Jobs,
    Like,
    Model,
    Output,
    OutputDir,
    Overwrite,
    Quiet,
)
from arwkv_cli.tag_formats import TAG_FORMATS
from arwkv_core.batch import Progress
from arwkv_core.constants import DEFAULT_MODEL
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.results import Coverage, Tag, TagResult

app = typer.Typer(cls=CommandGroup, rich_markup_mode=None, pretty_exceptions_enable=False)
app.callback()(arwkv)


@dataclass(frozen=True)
class SizeTask:
    """Gives the size of a recording as its only tag."""

    top_k: int

    def open(self) -> Callable[[str, Progress], TagResult]:
        if self.top_k < 1:
            raise UsageError(f"--top-k: expected at least 1, found {self.top_k}")
        return self.work

    def work(self, file: str, progress: Progress) -> TagResult:
        if log := os.environ.get("SIZES_LOG"):
            with Path(log).open("ab") as stream:
                stream.write(f"{os.getpid()} ".encode() + os.fsencode(file) + b"\0")
        data = Path(file).read_bytes() if file != "-" else b"stdin"
        if data == b"bad":
            raise AudioError(f"{file}: no sound")
        if data == b"slow":
            time.sleep(0.15)
        if data == b"crash":
            os.kill(os.getpid(), signal.SIGKILL)
        if data == b"endless":
            time.sleep(600)
        size = float(len(data))
        coverage = Coverage(size, size, 0.0, size, 1, 0)
        tags = [Tag("Size", "/m/size", size, size, size)][: self.top_k]
        return TagResult(file, "sizes", "mean", 0.5, coverage, tags)


@app.command()
def sizes(
    ctx: typer.Context,
    files: Files = None,
    top_k: Annotated[int, typer.Option()] = 5,
    note: Annotated[str | None, typer.Option()] = None,
    model: Model = DEFAULT_MODEL,
    format: Annotated[list[str] | None, typer.Option("--format", "-f")] = None,
    glob: Glob = None,
    files_from: FilesFrom = None,
    output: Output = None,
    output_dir: OutputDir = None,
    overwrite: Overwrite = False,
    jobs: Jobs = 1,
    like: Like = None,
    quiet: Quiet = False,
) -> None:
    """Tell how large recordings are."""
    run_folder(ctx, formats=TAG_FORMATS, make_task=lambda plan: SizeTask(top_k))


@app.command()
def other() -> None:
    """Be there, so that the group has commands."""


if __name__ == "__main__":
    import folder_command  # under its own name, by which other processes know the task

    folder_command.app()

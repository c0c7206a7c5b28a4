"""Do the same to many recordings: what fails is reported, and the others are done."""

import errno
from collections.abc import Callable, Generator, Iterator, Sequence
from typing import Protocol, TypeVar

from .errors import ArwkvError, ModelNotFound, UsageError
from .results import Failure

Result = TypeVar("Result")
Result_co = TypeVar("Result_co", covariant=True)

Progress = Callable[[float, float | None], None]
"""Called with the seconds of a recording that are done and, where known, those that its header states."""

BatchProgress = Callable[[str, float, float | None], None]
"""The same of many recordings, whose name comes first; called with 0 seconds where a recording is begun."""

NEEDS_THE_RUN = {errno.ENOSPC, errno.EDQUOT, errno.EROFS}
"""Errors of the system that no other recording would escape: the disk is full, or must not be written."""


class Task(Protocol[Result_co]):
    """What is done to each recording: plain data, since it is pickled for the processes that do it."""

    def open(self) -> Callable[[str, Progress], Result_co]:
        """Check the options, load what the work needs, and return the work.

        Called once in every process. Whatever it raises ends the run. The work takes a file and a function to
        which it may tell how far it is; what it returns is pickled.
        """


def run_batch(
    files: Sequence[str],
    task: Task[Result],
    *,
    jobs: int = 1,
    progress: BatchProgress | None = None,
) -> Iterator[Result | Failure]:
    """Yield for each file what the task makes of it, or why it could not be done.

    Only what lies with the recording becomes a `Failure`: an `ArwkvError`, an ``OSError`` from reading it, a
    lack of memory, or with ``jobs`` above 1 the end of the process that read it. An option that can't work
    would fail for every file and ends the run at once, and so do a full disk and a bug.

    Parameters
    ----------
    files : sequence of str
    task : Task
    jobs : int
        Work on so many files at once, each in a process of its own, which share the cores. With 1 the work is
        done in this process.
    progress : callable, optional

    Yields
    ------
    Result or Failure
        In the order of the files.

    Raises
    ------
    UsageError, ModelNotFound
        If an option can't work.
    """
    for _, outcome in run_pairs(files, task, jobs=jobs, progress=progress):
        yield outcome


def run_pairs(
    files: Sequence[str],
    task: Task[Result],
    *,
    jobs: int = 1,
    isolated: bool = False,
    ordered: bool = True,
    progress: BatchProgress | None = None,
) -> Generator[tuple[str, Result | Failure], None, None]:
    """Do as `run_batch`, but yield each file with its outcome.

    After an interruption (``KeyboardInterrupt``) what was held back for the sake of the order is yielded before
    the interruption goes on.

    Parameters
    ----------
    files, task, jobs, progress
        See `run_batch`.
    isolated : bool
        Use a process of its own for one job too: a decoder that crashes costs a recording then, not the run.
    ordered : bool
        Keep the order of the files. Otherwise an outcome comes as soon as it is there.

    Raises
    ------
    UsageError, ModelNotFound
        See `run_batch`.
    """
    if jobs < 1:
        raise UsageError(f"--jobs: expected at least 1, found {jobs}")
    if jobs > 1 or isolated:
        from .workers import run_in_processes

        yield from run_in_processes(files, task, jobs=jobs, ordered=ordered, progress=progress)
        return
    work = task.open()
    for file in files:
        yield file, attempt(work, file, progress)


def attempt(
    work: Callable[[str, Progress], Result], file: str, progress: BatchProgress | None
) -> Result | Failure:
    """Do the work for one file; what lies with the file becomes a `Failure`, all else is raised."""

    def report(seconds: float, header_seconds: float | None) -> None:
        if progress is not None:
            progress(file, seconds, header_seconds)

    report(0.0, None)
    try:
        return work(file, report)
    except (UsageError, ModelNotFound):
        raise
    except MemoryError:
        return Failure(file, "not enough memory for it")
    except (ArwkvError, OSError) as error:
        if isinstance(error, OSError) and error.errno in NEEDS_THE_RUN:
            raise
        return Failure(file, reason(error, file))


def reason(error: Exception, file: str) -> str:
    """Say in one line what went wrong, without repeating the file's name at its beginning."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    line = " ".join(text.split()) or type(error).__name__
    return line.removeprefix(f"{file}: ")

"""Do the same to many recordings: what fails is reported, and the others are done."""

from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from .errors import ArwkvError, UsageError
from .results import Failure

Result = TypeVar("Result")


def run_batch(files: Iterable[str], work: Callable[[str], Result]) -> Iterator[Result | Failure]:
    """Yield for each file what ``work`` makes of it, or why it could not be done.

    Only what lies with the recording becomes a `Failure`: an `ArwkvError`, or an ``OSError`` from reading
    it. An option that can't work would fail for every file and ends the run at once, and so does a bug.

    Parameters
    ----------
    files : iterable of str
    work : callable
        Takes a file, returns its result.

    Yields
    ------
    Result or Failure
        In the order of the files.

    Raises
    ------
    UsageError
        If ``work`` raises it.
    """
    for file in files:
        try:
            outcome: Result | Failure = work(file)
        except UsageError:
            raise
        except (ArwkvError, OSError) as error:
            outcome = Failure(file, reason(error, file))
        yield outcome


def reason(error: Exception, file: str) -> str:
    """Say in one line what went wrong, without repeating the file's name at its beginning."""
    text = str(error)
    if isinstance(error, OSError) and error.strerror:
        text = error.strerror
    line = " ".join(text.split()) or type(error).__name__
    return line.removeprefix(f"{file}: ")

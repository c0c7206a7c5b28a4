"""The group of all commands: it turns what they raise into one line on stderr and an exit code."""

import contextlib
import errno
import os
import sys
import traceback
from typing import Any

import typer
from typer.core import TyperGroup

from arwkv_cli.exit_codes import ExitCode
from arwkv_core.errors import ArwkvError, ModelNotFound, UsageError

_SURROUNDINGS = {errno.EACCES, errno.EDQUOT, errno.ENOSPC, errno.EPERM, errno.EROFS}
"""OSErrors that are never a bug of ours: the disk is full, or we may not write there."""


class CommandGroup(TyperGroup):
    """A command group that knows whose fault an exception is.

    What the user can mend becomes one line, below its traceback if ``--debug`` asks for that. Everything else
    is a bug in arwkv: it is not caught, so that its traceback can be reported.
    """

    def invoke(self, ctx: Any) -> Any:
        """Run the command that the context names.

        Parameters
        ----------
        ctx : Any
            The parsed command line of the whole group, of a type that depends on typer's version.

        Returns
        -------
        Any
            What the command returned.

        Raises
        ------
        typer.Exit
            With the exit code that fits what happened.
        """
        try:
            result = super().invoke(ctx)
            sys.stdout.flush()  # here, because a reader that has left is noticed on writing only
            return result
        except BrokenPipeError:
            _discard_stdout()
            raise typer.Exit(ExitCode.READER_GONE) from None
        except (ArwkvError, KeyboardInterrupt, OSError) as error:
            if isinstance(error, OSError) and error.errno not in _SURROUNDINGS:
                raise
            if ctx.params.get("debug"):
                traceback.print_exc()
            message, code = _verdict(error)
            typer.echo(f"arwkv: {message}", err=True)
            raise typer.Exit(code) from None


def _verdict(error: ArwkvError | KeyboardInterrupt | OSError) -> tuple[str, ExitCode]:
    if isinstance(error, KeyboardInterrupt):
        return "interrupted", ExitCode.INTERRUPTED
    if isinstance(error, UsageError | ModelNotFound):
        return f"error: {error}", ExitCode.USAGE
    if isinstance(error, OSError):
        place = f"{error.filename}: " if error.filename else ""
        return f"error: {place}{error.strerror}", ExitCode.FAILED
    return f"error: {error}", ExitCode.FAILED


def _discard_stdout() -> None:
    """Send further output nowhere, or Python complains once more when it flushes stdout at its end."""
    with contextlib.suppress(OSError, ValueError):  # a captured stdout has no file descriptor
        os.dup2(os.open(os.devnull, os.O_WRONLY), sys.stdout.fileno())

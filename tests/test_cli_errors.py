"""What becomes of exceptions: one line and an exit code for the user's, a traceback for ours."""

import errno
import subprocess
import sys

import pytest
import typer
from typer.testing import CliRunner

from arwkv_cli.app import arwkv
from arwkv_cli.command_group import CommandGroup
from arwkv_cli.exit_codes import ExitCode
from arwkv_core.errors import ArwkvError, AudioError, UsageError

FULL = OSError(errno.ENOSPC, "No space left on device", "out.csv")


def app_that_raises(error: BaseException) -> typer.Typer:
    """The real app's options and group, with commands that end in the error."""
    app = typer.Typer(cls=CommandGroup, rich_markup_mode=None, pretty_exceptions_enable=False)
    app.callback()(arwkv)

    @app.command()
    def fail() -> None:
        raise error

    nested = typer.Typer()
    nested.command("fail")(fail)
    nested.command("other")(fail)
    app.add_typer(nested, name="nested")
    return app


@pytest.mark.parametrize("command", [["fail"], ["nested", "fail"]])
@pytest.mark.parametrize(
    ("error", "code", "line"),
    [
        (AudioError("a.wav: no sound"), ExitCode.FAILED, "arwkv: error: a.wav: no sound\n"),
        (UsageError("--top-k: too big"), ExitCode.USAGE, "arwkv: error: --top-k: too big\n"),
        (KeyboardInterrupt(), ExitCode.INTERRUPTED, "arwkv: interrupted\n"),
        (FULL, ExitCode.FAILED, "arwkv: error: out.csv: No space left on device\n"),
        (BrokenPipeError(), ExitCode.READER_GONE, ""),
    ],
)
def test_errors_of_the_user(command: list[str], error: BaseException, code: ExitCode, line: str) -> None:
    result = CliRunner().invoke(app_that_raises(error), command)
    assert (result.exit_code, result.stdout, result.stderr) == (code, "", line)


@pytest.mark.parametrize("error", [ArwkvError("no such thing"), KeyboardInterrupt(), FULL])
def test_debug_shows_the_traceback_and_keeps_the_exit_code(error: BaseException) -> None:
    app = app_that_raises(error)
    usual, debug = CliRunner().invoke(app, ["fail"]), CliRunner().invoke(app, ["--debug", "fail"])
    assert usual.exit_code == debug.exit_code
    assert "Traceback (most recent call last)" in debug.stderr
    assert debug.stderr.endswith(usual.stderr)


@pytest.mark.parametrize(
    "error", [ZeroDivisionError(), FileNotFoundError(errno.ENOENT, "gone", "labels.csv")]
)
def test_a_bug_is_never_hidden(error: BaseException) -> None:
    assert CliRunner().invoke(app_that_raises(error), ["fail"]).exception is error


def test_a_reader_that_leaves_is_no_error_message() -> None:
    program = """
from arwkv_cli import app
@app.app.command()
def count():
    for number in range(100_000):
        print(number)
import sys
sys.argv = ["arwkv", "count"]
app.main()
"""
    with subprocess.Popen(
        [sys.executable, "-c", program], stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True
    ) as running:
        assert running.stdout is not None
        assert running.stdout.readline() == "0\n"
        running.stdout.close()
        assert running.wait(30) == ExitCode.READER_GONE
        assert running.stderr is not None
        assert running.stderr.read() == ""

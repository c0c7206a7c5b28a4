"""The ``arwkv`` command: its options, and which commands it has.

Every command is imported for ``--help``, so their modules must be light: what needs torch, numba, numpy or an
audio library is imported inside the functions that use it. The help is plain text, because loading rich for
it would take longer than everything else that ``arwkv --help`` does.
"""

import os
import sys
from typing import Annotated

import typer

from arwkv_cli import kernels, models
from arwkv_cli.bench import bench
from arwkv_cli.calibrate import calibrate
from arwkv_cli.command_group import CommandGroup
from arwkv_cli.doctor import doctor
from arwkv_cli.embed import embed
from arwkv_cli.evaluate import evaluate
from arwkv_cli.exit_codes import ExitCode
from arwkv_cli.extract import extract
from arwkv_cli.finetune import finetune
from arwkv_cli.probe import probe
from arwkv_cli.tag import tag
from arwkv_cli.timeline import timeline
from arwkv_cli.train import train
from arwkv_core import __version__
from arwkv_core.own_process import settle

app = typer.Typer(
    name="arwkv",
    cls=CommandGroup,
    no_args_is_help=True,
    rich_markup_mode=None,
    pretty_exceptions_enable=False,
    context_settings={"help_option_names": ["-h", "--help"]},
)


def _print_version(wanted: bool) -> None:
    if wanted:
        typer.echo(f"arwkv {__version__}")
        raise typer.Exit


@app.callback()
def arwkv(
    version: Annotated[
        bool,
        typer.Option("--version", callback=_print_version, is_eager=True, help="Print the version and exit."),
    ] = False,
    debug: Annotated[
        bool,
        typer.Option("--debug", envvar="ARWKV_DEBUG", help="Show tracebacks of errors, and log messages."),
    ] = False,
) -> None:
    """Tell what is in a recording: speech, music, rain, a dog … of any length, on any machine.

    Results go to stdout or to --output, messages and progress to stderr. The exit code is 0 when all was
    done, 1 when something failed, 2 for wrong usage and 130 after Ctrl-C.
    """
    if debug:
        import logging

        logging.basicConfig(level=logging.INFO, format="%(name)s: %(message)s")


app.command()(tag)
app.command()(extract)
app.command()(timeline)
app.command()(embed)
app.add_typer(models.app)
app.command()(probe)
app.command()(finetune)
app.command()(train)
app.command()(evaluate)
app.command()(calibrate)
app.command()(bench)
app.add_typer(kernels.app)
app.command()(doctor)


def main() -> None:
    """Run the command line of this process, and exit with its code."""
    if not os.environ.get("COLUMNS", "").strip("0"):  # 0 is "unknown"; rich would draw nothing at all
        os.environ.pop("COLUMNS", None)
    settle()
    try:
        app()
    except KeyboardInterrupt:  # between commands: the group takes care of those inside one
        sys.exit(ExitCode.INTERRUPTED)

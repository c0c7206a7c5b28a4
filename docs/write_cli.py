"""Write ``docs/cli.md``, the reference of all commands, from the commands themselves."""

from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from typing import Any, get_args, get_type_hints

import typer

from arwkv_cli.app import app

PAGE = Path(__file__).with_name("cli.md")

TYPERS_OWN = {"install_completion", "show_completion"}
"""Left out: their wording is typer's, and changes with its version."""

INTRODUCTION = """\
# The command line

This page is written by `docs/write_cli.py` from the commands' own help; `arwkv COMMAND --help` says the same.

Results go to stdout, messages and progress to stderr. Exit codes: 0 all done, 1 something failed (it is named
on stderr), 2 wrong usage, 130 interrupted, 141 the program that read the output has left.
"""


def render() -> str:
    """The whole page, as Markdown."""
    sections = [_section(name, command) for name, command in _walk(typer.main.get_command(app), "arwkv")]
    return "\n".join([INTRODUCTION, *sections])


def _walk(command: Any, name: str) -> Iterator[tuple[str, Any]]:
    yield name, command
    for child_name, child in getattr(command, "commands", {}).items():
        yield from _walk(child, f"{name} {child_name}")


def _section(name: str, command: Any) -> str:
    arguments = [parameter for parameter in command.params if parameter.param_type_name == "argument"]
    options = [
        parameter
        for parameter in command.params
        if parameter.param_type_name == "option" and parameter.name not in TYPERS_OWN
    ]
    usage = " ".join([name, "[OPTIONS]", *(_argument_name(argument) for argument in arguments)])
    if getattr(command, "commands", None):
        usage += " COMMAND ..."
    lines = [f"## {name}", "", f"`{usage}`", "", _plain(command.help)]
    if arguments:
        lines += ["", "| argument | |", "|---|---|"]
        lines += [f"| `{_argument_name(argument)}` | {_cell(argument.help)} |" for argument in arguments]
    if options:
        lines += ["", "| option | | default |", "|---|---|---|"]
        choices = _choices(command)
        meanings = [_meaning(option, choices.get(option.name, [])) for option in options]
        lines += [
            f"| {_spellings(option)} | {meaning} | {_default(option)} |"
            for option, meaning in zip(options, meanings, strict=True)
        ]
    return "\n".join([*lines, ""])


def _argument_name(argument: Any) -> str:
    name = argument.metavar or argument.name.upper()
    return f"{name}..." if argument.nargs == -1 and not name.endswith("...") else name


def _spellings(option: Any) -> str:
    spellings = [*option.opts, *option.secondary_opts]
    if option.metavar:
        spellings[0] += f" {_cell(option.metavar)}"
    return ", ".join(f"`{spelling}`" for spelling in spellings)


def _meaning(option: Any, choices: list[str]) -> str:
    return _cell(option.help) + (f" One of `{'`, `'.join(choices)}`." if choices else "")


def _choices(command: Any) -> dict[str, list[str]]:
    """The values of parameters that are enumerations, from the annotations of the command's function."""
    hints = get_type_hints(command.callback) if command.callback else {}
    return {
        name: [member.value for member in kind]
        for name, hint in hints.items()
        for kind in (hint, *get_args(hint))
        if isinstance(kind, type) and issubclass(kind, Enum)
    }


def _default(option: Any) -> str:
    if option.required:
        return "required"
    default = option.default
    if default is None or default is False or default == () or callable(default):
        return ""
    return "on" if default is True else f"`{getattr(default, 'value', default)}`"


def _plain(text: str | None) -> str:
    return (text or "").split("\f")[0].strip()


def _cell(text: str | None) -> str:
    return " ".join((text or "").split()).replace("|", "\\|")


if __name__ == "__main__":
    PAGE.write_text(render(), encoding="utf-8")

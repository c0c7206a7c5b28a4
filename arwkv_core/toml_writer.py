"""Plain tables as TOML text, since Python's standard library reads the format but doesn't write it."""

from __future__ import annotations

import re
from collections.abc import Mapping

from .errors import ConfigError

TomlValue = str | int | float | bool | list["TomlValue"] | Mapping[str, "TomlValue"]
"""What a table may hold. Dates are left out: write them as text."""

_BARE_KEY = re.compile(r"[A-Za-z0-9_-]+")
_ESCAPES = {"\\": "\\\\", '"': '\\"', "\b": "\\b", "\t": "\\t", "\n": "\\n", "\f": "\\f", "\r": "\\r"}


def toml_text(tables: Mapping[str, TomlValue]) -> str:
    """Write nested mappings as a TOML document.

    Parameters
    ----------
    tables : mapping
        Top-level keys. A mapping inside becomes a ``[table]``; one inside a list an inline table.

    Returns
    -------
    str
        A document that ``tomllib.loads`` reads back to equal values.

    Raises
    ------
    ConfigError
        If a value has no place in TOML; the message names its key.
    """
    return "\n".join(_table_lines(tables, ())).lstrip("\n") + "\n"


def _table_lines(table: Mapping[str, TomlValue], path: tuple[str, ...]) -> list[str]:
    # plain values first: after a [sub.table] header they would belong to that table
    plain = {key: value for key, value in table.items() if not isinstance(value, Mapping)}
    inner = {key: value for key, value in table.items() if isinstance(value, Mapping)}
    lines = [f"{_key(key, path)} = {_value(value, (*path, key))}" for key, value in plain.items()]
    for key, value in inner.items():
        here = (*path, key)
        lines += ["", f"[{'.'.join(_key(part, here) for part in here)}]", *_table_lines(value, here)]
    return lines


def _value(value: object, path: tuple[str, ...]) -> str:
    if isinstance(value, bool):  # before int, of which bool is a kind
        return "true" if value else "false"
    if isinstance(value, str):
        return _string(value, path)
    if isinstance(value, int):
        return int.__repr__(value)
    if isinstance(value, float):
        return float.__repr__(value)  # numpy's float64 is a float whose own repr is not a number
    if isinstance(value, list | tuple):
        return f"[{', '.join(_value(item, path) for item in value)}]"
    if isinstance(value, Mapping):
        return f"{{{', '.join(f'{_key(key, path)} = {_value(item, path)}' for key, item in value.items())}}}"
    raise ConfigError(
        f"{'.'.join(path)}: expected text, a number, true or false, a list or a table, "
        f"found {type(value).__name__} {value!r}"
    )


def _key(key: object, path: tuple[str, ...]) -> str:
    if not isinstance(key, str):
        raise ConfigError(f"{'.'.join(path) or 'top level'}: expected text as a key, found {key!r}")
    return key if _BARE_KEY.fullmatch(key) else _string(key, path)


def _string(text: str, path: tuple[str, ...]) -> str:
    escaped = [
        _ESCAPES.get(char) or (f"\\u{ord(char):04X}" if ord(char) < 0x20 or ord(char) == 0x7F else char)
        for char in text
    ]
    if any(0xD800 <= ord(char) <= 0xDFFF for char in text):
        raise ConfigError(f"{'.'.join(path)}: {text!r} can't be written as UTF-8")
    return f'"{"".join(escaped)}"'

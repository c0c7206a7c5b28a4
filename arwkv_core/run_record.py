"""``run.json``: what the outputs in a folder were made with, so that none made otherwise is mixed in."""

from __future__ import annotations

import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path
from typing import Any

from . import __version__
from .errors import UsageError

RUN_FILE = "run.json"
SCHEMA_VERSION = 1

_LIBRARIES = ("torch", "numba", "numpy")


@dataclass(frozen=True)
class RunRecord:
    """One run into a folder.

    Parameters
    ----------
    command : str
        ``tag``, ``timeline`` …
    options : dict
        Every option that bears on the results, by parameter name; None stands for a default that the model
        sets.
    model : dict or None
        ``name``, ``weights_sha256``, ``calibration`` (a digest or None) and ``option``, as the user named it. None if
        there was nothing to hear.
    root : str
        The folder, absolute, whose tree the outputs mirror.
    inputs : dict
        ``files``, ``files_from`` and ``glob`` as the user named them, and ``folder``: where that was.
    format : list of str
        Formats of the outputs. They may differ from run to run.
    device : str
    scores, from_, output : str or None
        Absolute paths of the options of those names.
    rounded : bool
        The results were made of scores as the score store rounds them, where they would be made of exact ones.
    files : dict
        Of options that name a file: its sha256, by parameter name.
    versions : dict
        Of arwkv and the libraries that calculate.
    valid_since : int
        Outputs that are older were made with other options, or must be made again: in nanoseconds since 1970, by
        the clock of the folder's file system. 0 lets all be.
    started, finished : str or None
        ISO 8601; ``finished`` is None till then.
    counts : dict
        Recordings ``found``, ``done``, ``kept`` and ``failed``, and ``audio_seconds``.
    """

    command: str
    options: Mapping[str, Any]
    model: Mapping[str, Any] | None
    root: str
    inputs: Mapping[str, Any]
    format: list[str] = field(default_factory=list)
    device: str = "auto"
    scores: str | None = None
    from_: str | None = None
    output: str | None = None
    rounded: bool = False
    files: Mapping[str, str] = field(default_factory=dict)
    versions: Mapping[str, str] = field(default_factory=dict)
    valid_since: int = 0
    started: str | None = None
    finished: str | None = None
    counts: Mapping[str, float] = field(default_factory=dict)

    @classmethod
    def read(cls, path: Path) -> RunRecord:
        """Read a record.

        Raises
        ------
        UsageError
            If it isn't there or is no such record.
        """
        try:
            content = json.loads(path.read_text("utf-8"))
        except OSError as error:
            raise UsageError(f"{path}: can't be read: {error.strerror}") from error
        except ValueError as error:
            raise UsageError(f"{path}: expected the record of a run, found no JSON: {error}") from error
        if not isinstance(content, dict) or "command" not in content:
            raise UsageError(f"{path}: expected the record of a run (run.json), found other JSON")
        found = content.pop("schema_version", None)
        if found != SCHEMA_VERSION:
            raise UsageError(f"{path}: expected schema_version {SCHEMA_VERSION}, found {found!r}")
        known = {field.name: field for field in dataclasses.fields(cls)}
        for key in content:
            if key not in known:
                raise UsageError(f"{path}: unknown key {key!r}: was it written by a later arwkv?")
        missing = [key for key in ("options", "model", "root", "inputs") if key not in content]
        if missing:
            raise UsageError(f"{path}: lacks {', '.join(missing)}")
        record = cls(**content)
        if not isinstance(record.options, dict) or not isinstance(record.inputs, dict):
            raise UsageError(f"{path}: expected objects as options and inputs")
        if not isinstance(record.root, str) or not isinstance(record.valid_since, int):
            raise UsageError(f"{path}: expected text as root and a whole number as valid_since")
        return record

    def write(self, path: Path) -> None:
        """Write the record; it appears whole."""
        from .whole_file import WholeFile

        file = WholeFile(path, overwrite=True)
        try:
            content = {"schema_version": SCHEMA_VERSION, **dataclasses.asdict(self)}
            json.dump(content, file.stream, indent=2)  # in ASCII: undecodable bytes come back as they were
            file.stream.write("\n")
        except BaseException:
            file.discard()
            raise
        file.commit()

    def defaults(self, command: str, names: Iterable[str]) -> dict[str, Any]:
        """Return what ``--like`` takes from this record, by parameter name.

        Parameters
        ----------
        command : str
            The command that is to be like it.
        names : iterable of str
            Its parameters.

        Raises
        ------
        UsageError
            If the record is of another command or holds an option that there isn't.
        """
        if self.command != command:
            raise UsageError(
                f"--like: expected a run of `arwkv {command}`, found one of `arwkv {self.command}`"
            )
        names = set(names)
        for name in self.options:
            if name not in names:
                raise UsageError(f"--like: `arwkv {command}` has no option {option_name(name)}")
        listed = self.inputs.get("files_from")
        values = {
            **self.options,
            "files": [self._from_here(file) for file in self.inputs.get("files") or []],
            "files_from": None if listed == "-" else self._from_here(listed),  # that stdin is gone
            "glob": self.inputs.get("glob"),
            "model": self.model and self.model.get("option"),
            "format": self.format,
            "scores": self.scores,
            "from_": self.from_,
        }
        return {name: value for name, value in values.items() if name in names and value not in (None, [])}

    def _from_here(self, path: str | None) -> str | None:
        folder = self.inputs.get("folder")
        if path is None or path == "-" or folder in (None, os.getcwd()):  # noqa: PTH109 - paths stay text
            return path
        return os.path.join(folder, path)  # noqa: PTH118


def refuse_difference(folder: Path, before: RunRecord, now: RunRecord) -> None:
    """Refuse to add to a folder what was made otherwise than that which is there.

    Raises
    ------
    UsageError
        Naming the first option that differs, and both values.
    """
    place = folder / RUN_FILE
    way_out = "--overwrite does all again, or name another --output-dir"
    if before.command != now.command:
        raise UsageError(
            f"{place}: this folder holds the outputs of `arwkv {before.command}`, not of `arwkv {now.command}`: "
            f"{way_out}"
        )
    for name in sorted({*before.options, *now.options}):
        there, here = before.options.get(name), now.options.get(name)
        if name not in before.options and here is False:
            continue  # it was made before there was this option, which is off
        if there != here:
            raise UsageError(
                f"{option_name(name)}: expected {_shown(there)}, with which the outputs in {folder} were made "
                f"({place.name}), found {_shown(here)}: {way_out}"
            )
    if before.model is not None and now.model is not None:
        compared = [("name", "model"), ("weights_sha256", "weights with the sha256")]
        if now.options.get("raw_scores") is False:  # the results are scores, and calibrated where they can be
            compared.append(("calibration", "calibration"))
        for key, what in compared:
            there, here = before.model.get(key), now.model.get(key)
            if there != here:
                raise UsageError(
                    f"--model: expected the {what} {there}, with which the outputs in {folder} were made "
                    f"({place.name}), found {here}: {way_out}"
                )
    for name in sorted({*before.files, *now.files}):
        if before.files.get(name) != now.files.get(name):
            raise UsageError(
                f"{option_name(name)}: {now.options.get(name)} has changed since the outputs in {folder} were made "
                f"({place.name}): {way_out}"
            )
    if before.rounded != now.rounded:
        how = ("exact scores", "rounded scores, as --scores and --from give them")
        raise UsageError(
            f"--scores: expected {how[before.rounded]}, of which the outputs in {folder} were made ({place.name}), "
            f"found {how[now.rounded]}: {way_out}"
        )
    if before.root != now.root:
        raise UsageError(
            f"{folder}: expected recordings below {before.root}, whose tree the outputs there mirror "
            f"({place.name}), found some below {now.root}: {way_out}"
        )


def option_name(parameter: str) -> str:
    """Return the option that sets a parameter: ``top_k`` → ``--top-k``."""
    return "--" + parameter.strip("_").replace("_", "-")


def library_versions() -> dict[str, str]:
    """Return the versions of arwkv and of the libraries that calculate, without loading them."""
    versions = {"arwkv": __version__}
    for name in _LIBRARIES:
        try:
            versions[name] = version(name)
        except PackageNotFoundError:  # they may be put in place without an installer
            versions[name] = "unknown"
    return versions


def _shown(value: Any) -> str:
    return "the default" if value is None else json.dumps(value, ensure_ascii=False)

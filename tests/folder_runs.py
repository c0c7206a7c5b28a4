"""Run the command of `folder_command` as a process of its own, and look at what it left."""

import os
import subprocess
import sys
from pathlib import Path

COMMAND = Path(__file__).with_name("folder_command.py")

Done = subprocess.CompletedProcess[bytes]


def command(*arguments: str | Path | bytes) -> list[str | bytes]:
    plain = [argument if isinstance(argument, bytes) else str(argument) for argument in arguments]
    return [sys.executable, str(COMMAND), "sizes", *plain]


def environment(log: Path | None = None) -> dict[str, str]:
    return os.environ | {"LC_ALL": "C.UTF-8"} | ({} if log is None else {"SIZES_LOG": str(log)})


def run(folder: Path, *arguments: str | Path | bytes, stdin: bytes = b"", log: Path | None = None) -> Done:
    return subprocess.run(
        command(*arguments), cwd=folder, input=stdin, capture_output=True, env=environment(log), check=False
    )


def worked_on(log: Path) -> list[str]:
    """What the task was given, in order."""
    if not log.exists():
        return []
    entries = log.read_bytes().split(b"\0")[:-1]
    log.unlink()
    return [os.fsdecode(entry.partition(b" ")[2]) for entry in entries]


def contents(folder: Path) -> dict[str, bytes]:
    """All files below a folder, hidden ones too, by their path, without the record of the run."""
    return {
        os.fspath(path.relative_to(folder)): path.read_bytes()
        for path in sorted(folder.rglob("*"))
        if path.is_file() and path.name != "run.json"
    }


def write(folder: Path, recordings: dict[str, str]) -> Path:
    for name, content in recordings.items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    return folder

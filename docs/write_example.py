"""Put the real output of the README's examples into the README, as a terminal of 80 columns shows it.

To be run after a new model was trained, or the table changed. A test compares the two.
"""

import os
import pty
import re
import subprocess
import sys
from pathlib import Path

README = Path(__file__).parents[1] / "README.md"
EXAMPLE = re.compile(r"(?<=```console\n)\$ arwkv (.+)\n(?:.*\n)*?(?=```)")
ESCAPES = re.compile(r"\x1b\[[0-9;?]*[A-Za-z]")


def terminal_output(arguments: list[str]) -> str:
    """What ``arwkv`` writes to stdout when that is a terminal, without colours."""
    reader, writer = pty.openpty()
    environment = os.environ | {"COLUMNS": "80", "LINES": "40", "TERM": "xterm-256color"}
    command = [sys.executable, "-m", "arwkv_cli", *arguments]
    with subprocess.Popen(command, cwd=README.parent, env=environment, stdout=writer) as running:
        os.close(writer)
        pieces = []
        try:
            while piece := os.read(reader, 4096):
                pieces.append(piece)
        except OSError:  # Linux: the other end of the terminal was closed
            pass
    os.close(reader)
    if running.returncode:
        sys.exit(f"arwkv {' '.join(arguments)}: exit code {running.returncode}")
    lines = ESCAPES.sub("", b"".join(pieces).decode()).splitlines()
    return "\n".join(line.rstrip() for line in lines).strip("\n") + "\n"


def main() -> None:
    """Run the examples and rewrite their blocks."""
    text = README.read_text(encoding="utf-8")
    if not EXAMPLE.search(text):
        sys.exit(f"{README}: no ```console block that starts with '$ arwkv '")
    README.write_text(EXAMPLE.sub(shown, text), encoding="utf-8")


def shown(example: re.Match[str]) -> str:
    """What a block should hold: the command, and what it writes now."""
    return f"$ arwkv {example[1]}\n{terminal_output(example[1].split())}"


if __name__ == "__main__":
    main()

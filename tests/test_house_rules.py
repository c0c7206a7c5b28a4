"""Rules of CONTRIBUTING.md that a program can check, for every file under version control."""

import re
from pathlib import Path

import pytest

MOST_LINES = 350

# Where someone's files lie on one machine, and where one machine gets its packages from. The names are put
# together here, so that this file does not break the rule that it checks.
FOREIGN = re.compile(
    r"(?<![\w.:/~-])/(?:" + "|".join(["root", "home", "work", "Users", "mnt", "tmp"]) + r")/\w"
    r"|--(?:extra-)?index-url|\bfile:///|\bfind-links\b|\bpypi\.org/simple"
)


def text_of(path: Path) -> str | None:
    """The file's text, or None if it is binary."""
    data = path.read_bytes()
    return None if b"\0" in data[:8192] else data.decode("utf-8")


def test_no_file_names_a_machine_or_a_package_index(tracked: list[str], checkout: Path) -> None:
    found = []
    for name in tracked:
        text = text_of(checkout / name)
        for number, line in enumerate((text or "").splitlines(), 1):
            if match := FOREIGN.search(line):
                found.append(f"{name}:{number}: {match[0]}")
    assert not found


@pytest.mark.parametrize("line", ["cd /" + "home/me/x", "pip install --index-" + "url x", "'/" + "tmp/x'"])
def test_the_rule_sees_machine_paths(line: str) -> None:
    assert FOREIGN.search(line)


@pytest.mark.parametrize(
    "line", ["https://a.org/" + "home/x", "examples/" + "work/x", "a/tmp file", "~/" + "tmp/x"]
)
def test_the_rule_leaves_other_text_alone(line: str) -> None:
    assert not FOREIGN.search(line)


def test_python_files_hold_one_idea(tracked: list[str], checkout: Path) -> None:
    lengths = {
        name: len((checkout / name).read_text("utf-8").splitlines())
        for name in tracked
        if name.endswith(".py")
    }
    assert {name: lines for name, lines in lengths.items() if lines > MOST_LINES} == {}
    assert [
        name for name in lengths if Path(name).name in ("utils.py", "helpers.py", "common.py", "misc.py")
    ] == []


def test_text_files_end_with_a_newline(tracked: list[str], checkout: Path) -> None:
    suffixes = {".cu", ".md", ".py", ".toml"}
    named = [name for name in tracked if Path(name).suffix in suffixes]
    texts = {name: (checkout / name).read_text("utf-8") for name in named}
    assert [name for name, text in texts.items() if text and not text.endswith("\n")] == []

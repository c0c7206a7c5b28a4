"""The pages tell the truth: commands exist, links lead somewhere, the output shown is what comes out."""

import importlib.util
import json
import os
import re
from pathlib import Path

import pytest
import typer
from conftest import RunArwkv

from arwkv_cli.app import app

LINK = re.compile(r"\]\((?!https?:|#|mailto:)([^)#\s]+)[^)]*\)")


def page_names(tracked: list[str]) -> list[str]:
    return [name for name in tracked if name.endswith(".md")]


def test_the_command_reference_is_up_to_date(checkout: Path) -> None:
    spec = importlib.util.spec_from_file_location("write_cli", checkout / "docs" / "write_cli.py")
    assert spec is not None
    assert spec.loader is not None
    write_cli = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(write_cli)
    page = (checkout / "docs" / "cli.md").read_text("utf-8")
    assert page == write_cli.render(), "run: python docs/write_cli.py"


def test_the_readme_mentions_every_command(checkout: Path) -> None:
    readme = (checkout / "README.md").read_text("utf-8")
    commands = typer.main.get_command(app).commands  # type: ignore[attr-defined]  # the app is a group
    assert [name for name in commands if f"arwkv {name}" not in readme] == []


def test_links_between_pages_lead_somewhere(tracked: list[str], checkout: Path) -> None:
    dead = [
        f"{name}: {target}"
        for name in page_names(tracked)
        for target in LINK.findall((checkout / name).read_text("utf-8"))
        if not (checkout / name).parent.joinpath(target).exists()
    ]
    assert dead == []


def test_every_example_has_its_source(examples: Path) -> None:
    attribution = (examples / "ATTRIBUTION.md").read_text("utf-8")
    files = {path.name for path in examples.iterdir()} - {"ATTRIBUTION.md"}
    assert {name for name in files if f"`{name}`" not in attribution} == set()
    assert sum(path.stat().st_size for path in examples.iterdir()) < 3_000_000


def test_ci_finds_its_two_commands(checkout: Path) -> None:
    """`.ci/run` reads them from the README by the same rule."""
    lines = (checkout / "README.md").read_text("utf-8").splitlines()
    first, second = [line for line in lines if line.startswith("pip install ")]
    assert "arwkv tag examples/" in first
    assert "pytest" in second


def test_the_readme_shows_the_real_output(checkout: Path, run_arwkv: RunArwkv) -> None:
    """The same tags in the same order, scores to within 0.02; other CPUs round differently."""
    readme = (checkout / "README.md").read_text("utf-8")
    shown = re.search(r"```console\n\$ arwkv (tag .+)\n((?:.*\n)*?)```", readme)
    assert shown, "README.md has no ```console block that starts with '$ arwkv tag '"
    done = run_arwkv(*shown[1].split(), "--format", "json", cwd=checkout, check=True)
    (result,) = json.loads(done.stdout)
    rows = [row for row in map(table_row, shown[2].splitlines()) if row]
    assert len(rows) == len(result["tags"])
    for (name, mean, maximum), tag in zip(rows, result["tags"], strict=True):
        assert tag["name"] == name or (name.endswith("…") and tag["name"].startswith(name[:-1]))
        assert (mean, maximum) == (
            pytest.approx(tag["mean"], abs=0.02),
            pytest.approx(tag["max"], abs=0.02),
        ), name


def test_the_readme_draws_the_real_timeline(checkout: Path, run_arwkv: RunArwkv) -> None:
    """The same lanes in the same order; other CPUs round scores differently, and heights with them."""
    readme = (checkout / "README.md").read_text("utf-8")
    shown = re.search(r"```console\n\$ arwkv (timeline .+)\n((?:.*\n)*?)```", readme)
    assert shown, "README.md has no ```console block that starts with '$ arwkv timeline '"
    done = run_arwkv(
        *shown[1].split(), "--format", "table", cwd=checkout, check=True, env=os.environ | {"COLUMNS": "80"}
    )
    drawn, real = (
        [line.split("  ")[0] for line in text.splitlines()[3:]] for text in (shown[2], done.stdout)
    )
    assert drawn
    assert drawn == real


def table_row(line: str) -> tuple[str, float, float] | None:
    """Name, mean and maximum of a row of the table that `arwkv tag` prints."""
    match = re.match(r"\W*(\w.*?)\s{2,}(\d\.\d+)\s+(\d\.\d+)\b", line)
    return (match[1], float(match[2]), float(match[3])) if match else None

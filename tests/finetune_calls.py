"""Calls of ``arwkv finetune`` with a tiny model and a recipe that is done in seconds."""

import json
from pathlib import Path

from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.training.run import find_recipe


def quick_recipe(path: Path) -> Path:
    """The bundled recipe with shorter examples, validated often."""
    text = find_recipe("finetune").read_text()
    text = text.replace("seconds = [4.8]", "seconds = [0.8]").replace("every_steps = 50", "every_steps = 10")
    path.write_text(text.replace("ema = 0.99", "ema = 0.8"))
    return path


def command(data: Path, name: str, model: Path, recipe: Path, folder: Path, *more: str | Path) -> list[str]:
    fixed = ["--name", name, "--model", model, "--recipe", recipe, "--run", folder / "run"]
    where = ["--output", folder / "model", "--cache", folder.parent / "mels", "--device", "cpu", "--quiet"]
    return [str(each) for each in ("finetune", data, *fixed, *where, *more)]


def run(call: list[str]) -> dict:
    result = CliRunner().invoke(app, [*call, "--format", "json"], catch_exceptions=False)
    assert result.exit_code == 0, result.output
    return json.loads(result.stdout)

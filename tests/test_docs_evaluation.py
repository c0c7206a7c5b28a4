"""The commands of docs/evaluation.md run as they stand, with a small model in the place of the bundled one."""

import importlib.util
import re
import shlex
import shutil
from pathlib import Path

import pytest
from fake_models import random_model, three_class_config
from hear_folders import event_task, scene_task
from small_corpus import CLASSES, make_corpus
from typer.testing import CliRunner

from arwkv_cli.app import app
from arwkv_core.architecture import Architecture
from arwkv_core.checkpoint import save_model_folder
from arwkv_core.labels import LabelSet

NEEDS = {"--confusion": "matplotlib", "--hear": "sklearn"}
COMMAND = re.compile(r"^arwkv (evaluate .+?)(?: +#.*)?$", re.MULTILINE)


@pytest.fixture
def workplace(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with what the page talks of."""
    manifest = make_corpus(tmp_path / "corpus", clips=18) / "manifest.csv"
    manifest.write_text(
        manifest.read_text().replace(",train,", ",test,")
    )  # whose labels are all of one class
    labels = LabelSet([mid for mid, _ in CLASSES], [name for _, name in CLASSES])
    arch = Architecture(depth=1, width=64, classes=3, position="frequency")
    save_model_folder(tmp_path / "mine", random_model(arch), three_class_config(), labels, "# Mine\n")
    for folder in ("recordings", "mixtures", "labels"):
        (tmp_path / folder).mkdir()
        shutil.copy(tmp_path / "corpus/audio/001.wav", tmp_path / folder / "a.wav")
    events = "filename\tonset\toffset\tevent_label\na.wav\t0.1\t0.5\tHiss\n"
    for name in ("annotations.tsv", "mixtures/annotations.tsv"):
        (tmp_path / name).write_text(events)
    scene_task(tmp_path / "tasks/esc50-v2.0.0-full", folds=3, each=1)
    event_task(tmp_path / "tasks/dcase2016_task2-hear2021-full")
    (tmp_path / "labels/a.txt").write_text("0.1\t0.5\tHiss\n")
    monkeypatch.chdir(tmp_path)
    return tmp_path


def test_the_commands_of_the_page_run(checkout: Path, workplace: Path) -> None:
    page = (checkout / "docs" / "evaluation.md").read_text("utf-8")
    commands = COMMAND.findall(page)
    assert len(commands) >= 10
    for command in commands:
        if any(flag in command and importlib.util.find_spec(name) is None for flag, name in NEEDS.items()):
            continue
        arguments = ["mine" if word == "a-rwkv-t-open" else word for word in shlex.split(command)]
        done = CliRunner().invoke(app, [*arguments, "--device", "cpu", "--quiet"])
        required = "--require" in command
        assert done.exit_code == (1 if required else 0), f"{command}\n{done.stderr}"
        if required:
            assert "esc10_accuracy: expected at least 0.75, found nothing" in done.stderr
            assert (workplace / "result.json").exists()
        if "--output" in command:
            output = workplace / arguments[arguments.index("--output") + 1]
            assert output.read_text("utf-8")
            output.unlink()

"""The page about own sounds runs as it stands, with sounds made for it."""

import os
import subprocess
import sys
from pathlib import Path

import pytest
from own_sounds import label_tracks, write_sound
from test_docs_commands import BLOCK

CLASSES = {"gate": "click", "blackbird": "hum", "neither": "hiss"}


def test_the_page_about_own_sounds_runs(checkout: Path, tmp_path: Path) -> None:
    pytest.importorskip("sklearn", reason="probes are fitted by scikit-learn: pip install scikit-learn")
    for number, (name, kind) in enumerate(CLASSES.items()):
        for index in range(5):
            write_sound(tmp_path / "sounds" / name / f"{index}.wav", kind, 0.5, 10 * number + index)
    write_sound(tmp_path / "garden.wav", ["hiss", "hum"], 1.0, 99)
    label_tracks(tmp_path / "nights", recordings=5)
    text = (checkout / "docs" / "own-sounds.md").read_text("utf-8")
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    commands = [code for language, code in BLOCK.findall(text) if "pip install" not in code]
    assert len(commands) == 4
    for code in commands:
        done = subprocess.run(
            ["bash", "-euo", "pipefail", "-c", code],
            cwd=tmp_path,
            env=environment,
            capture_output=True,
            text=True,
            check=False,
        )
        assert done.returncode == 0, f"{code}\n{done.stderr}"
        assert "held out" in done.stdout

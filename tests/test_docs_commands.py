"""The commands and programs of the pages run as they stand, in the order of the page, in a folder with such files."""

import os
import re
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from cuda_fakes import real_compiler

BLOCK = re.compile(r"^```(sh|python)\n(.*?)^```$", re.DOTALL | re.MULTILINE)
FILES = {  # name in the pages: example that stands for it
    "episode.mp3": "minute.mp3",
    "episodes/001.mp3": "minute.mp3",
    "episodes/extra/002.flac": "speech.flac",
    "night/20260514_053000.wav": "rain.wav",
    "night/east/20260514_054000.wav": "rain.wav",
    "night/thunder.ogg": "thunder.ogg",
    "clips/minute.mp3": "minute.mp3",
    "clips/speech.flac": "speech.flac",
}


@pytest.mark.parametrize("page", ["podcasters", "field-recordists", "engineers", "embeddings", "gpu"])
def test_page_runs(page: str, checkout: Path, examples: Path, tmp_path: Path) -> None:
    if page == "gpu":
        real_compiler()
    for name, example in FILES.items():
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        shutil.copy(examples / example, tmp_path / name)
    text = (checkout / "docs" / f"{page}.md").read_text("utf-8")
    blocks = BLOCK.findall(text)
    assert blocks
    environment = os.environ | {"PATH": f"{Path(sys.executable).parent}{os.pathsep}{os.environ['PATH']}"}
    for language, code in blocks:
        command = (
            ["bash", "-euo", "pipefail", "-c", code] if language == "sh" else [sys.executable, "-c", code]
        )
        done = subprocess.run(
            command, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False
        )
        assert done.returncode == 0, f"{page}.md:\n{code}\n{done.stderr}"
    named = set(re.findall(r"--output ([\w./-]+)", text))
    assert [name for name in named if not (tmp_path / name).exists()] == []

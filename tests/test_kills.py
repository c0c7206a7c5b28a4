"""`arwkv` is killed again and again in the middle of one recording, and ends with what it would have given at once."""

import os
import random
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from fake_models import THREE_LABELS, random_model, three_class_config

from arwkv_core.checkpoint import save_model_folder
from arwkv_core.score_file import SUFFIX, StoredScores
from arwkv_core.score_journal import journal_path

KILLS = 20
SECONDS = 600
RATE = 8_000


@pytest.fixture
def recording(tmp_path: Path) -> Path:
    """Ten minutes of noise at changing levels."""
    rng, path = np.random.default_rng(0), tmp_path / "noise.wav"
    with soundfile.SoundFile(path, "w", RATE, 1, "PCM_16") as file:
        for _ in range(SECONDS // 5):
            file.write(rng.uniform(0, 0.3) * rng.standard_normal(5 * RATE))
    return path


def start(recording: Path, model: Path, scores: Path, output: Path) -> "subprocess.Popen[bytes]":
    command = [sys.executable, "-m", "arwkv_cli", "timeline", str(recording), "--model", str(model)]
    command += [
        "--hop",
        "0.48",
        "--scores",
        str(scores),
        "--on",
        "0.5",
        "--format",
        "csv",
        "--output",
        str(output),
    ]
    return subprocess.Popen(command, stderr=subprocess.PIPE, env=os.environ | {"OMP_NUM_THREADS": "1"})


def journalled(kept: Path) -> int:
    """Bytes of the journal, or 0 while there is none."""
    path = journal_path(kept)
    return path.stat().st_size if path.exists() else 0


def test_twenty_kills_inside_one_recording(recording: Path, tmp_path: Path) -> None:
    model = tmp_path / "model"
    config = three_class_config()
    save_model_folder(model, random_model(config.architecture), config, THREE_LABELS, "card")
    whole = start(recording, model, tmp_path / "whole", tmp_path / "whole.csv")
    assert whole.wait() == 0, whole.stderr and whole.stderr.read()

    kept, output = tmp_path / "killed" / f"noise.wav{SUFFIX}", tmp_path / "killed.csv"

    def check() -> None:
        """What was killed and gone on with is what came at once; then begin anew."""
        assert output.read_bytes() == (tmp_path / "whole.csv").read_bytes()
        assert kept.read_bytes() == (tmp_path / "whole" / kept.name).read_bytes()
        assert StoredScores(kept).coverage.decoded_seconds == SECONDS
        assert [path.name for path in kept.parent.iterdir() if path.name.startswith(".")] == []
        output.unlink()
        kept.unlink()

    random.seed(1)
    for _ in range(KILLS):
        before = journalled(kept)
        process = start(recording, model, kept.parent, output)
        # not before some work was done, or nothing would be tested; then at any moment
        while process.poll() is None and journalled(kept) <= before:
            time.sleep(0.005)
        time.sleep(random.uniform(0, 0.15))
        process.kill()
        if process.wait() == 0 or output.exists():  # the recording was done, the process perhaps about to end
            check()
            continue
        assert kept.exists() or journalled(kept) > before, "a run lost what the one before had done"
    last = start(recording, model, kept.parent, output)
    assert last.wait() == 0, last.stderr and last.stderr.read()
    check()

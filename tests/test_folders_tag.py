"""``arwkv tag`` over folders as a real process: jobs, kept scores, and no torch where they are enough."""

import csv
import io
import json
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
import soundfile
from conftest import RunArwkv
from fake_models import THREE_CLASSES, THREE_LABELS, random_model, three_class_config
from folder_runs import contents

from arwkv_core.checkpoint import save_model_folder


@pytest.fixture(scope="module")
def model(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("models") / "gate"
    save_model_folder(folder, random_model(THREE_CLASSES), three_class_config(), THREE_LABELS, "card")
    return folder


@pytest.fixture
def tag(model: Path, run_arwkv: RunArwkv) -> Callable[..., str]:
    """Run ``arwkv tag`` with the small model, see it exit with the code expected, and give back what it said."""

    def run(*arguments: str | Path, code: int = 0, without_torch: bool = False) -> str:
        keywords = {}
        if without_torch:
            banned = model.parent / "banned"
            banned.mkdir(exist_ok=True)
            (banned / "torch.py").write_text("raise ImportError('torch is not needed')")
            keywords["env"] = os.environ | {"PYTHONPATH": str(banned)}
        done = run_arwkv("tag", *arguments, "--model", model, **keywords)
        assert done.returncode == code, done.stderr
        assert "Traceback" not in done.stderr
        return done.stdout + done.stderr

    return run


@pytest.fixture
def rec(tmp_path: Path) -> Path:
    folder = tmp_path / "rec"
    (folder / "sub").mkdir(parents=True)
    rng = np.random.default_rng(0)
    for name, seconds in (("a.wav", 3.21), ("b.wav", 0.5), ("sub/c.flac", 11.0), ("sub/a.wav", 1.0)):
        soundfile.write(folder / name, rng.normal(0, 0.1, int(16_000 * seconds)), 16_000)
    (folder / "sub/bad.mp3").write_bytes(b"this is no sound")
    return folder


def test_jobs_make_no_difference(rec: Path, tmp_path: Path, tag: Callable[..., str]) -> None:
    tag("rec", "--output-dir", "one", "-f", "json", "-f", "csv", code=1)
    tag("rec", "--output-dir", "two", "-f", "json", "-f", "csv", "--jobs", "2", code=1)
    tag("rec", "-o", "all.csv", "--jobs", "2", code=1)
    # the number of threads may change the last bits of a sum, which the decimals of the files do not show
    assert {**contents(tmp_path / "one")}.keys() == contents(tmp_path / "two").keys()
    for name, content in contents(tmp_path / "one").items():
        if name.endswith(".json"):
            here, there = json.loads(content), json.loads((tmp_path / "two" / name).read_bytes())
            assert here[0]["coverage"] == there[0]["coverage"]
            for one, two in zip(here[0]["tags"], there[0]["tags"], strict=True):
                assert one["name"] == two["name"]
                assert one["mean"] == pytest.approx(two["mean"], abs=1e-5)
    rows = list(csv.DictReader(io.StringIO((tmp_path / "all.csv").read_text("utf-8"))))
    assert list(dict.fromkeys(row["file"] for row in rows)) == [
        "rec/a.wav",
        "rec/b.wav",
        "rec/sub/a.wav",
        "rec/sub/c.flac",
    ]


def test_kept_scores_mirror_the_tree_and_replace_the_model(
    rec: Path, tmp_path: Path, tag: Callable[..., str]
) -> None:
    tag("rec", "--scores", "kept", "--output-dir", "out", code=1)
    names = ["a.wav", "b.wav", "sub/a.wav", "sub/c.flac"]
    kept = contents(tmp_path / "kept")
    assert [name for name in kept if name != "tree.json"] == [f"{name}.scores.parquet" for name in names]
    before = (tmp_path / "kept/sub/a.wav.scores.parquet").stat().st_mtime_ns

    tag("--from", "kept", "--output-dir", "views", without_torch=True)
    outputs = contents(tmp_path / "out")
    outputs.pop("failures.csv")
    assert contents(tmp_path / "views") == outputs
    assert "no scores of it are kept" in tag(
        "rec/sub", "--from", "kept", "--output-dir", "some", code=1, without_torch=True
    )
    assert (tmp_path / "some/a.wav.csv").read_bytes() == outputs["sub/a.wav.csv"]
    assert tag("--from", "kept", "--output-dir", "views").count(" 4 kept") == 1
    alone = tag("rec/sub/a.wav", "--scores", "kept", "-q")
    assert alone.encode() == outputs["sub/a.wav.csv"]
    assert (tmp_path / "kept/sub/a.wav.scores.parquet").stat().st_mtime_ns == before

    # exact scores are not mixed with those
    assert "exact scores" in tag("rec", "--output-dir", "out", code=2)


def test_views_of_scores_that_were_made_anew_are_made_anew(
    rec: Path, tmp_path: Path, tag: Callable[..., str]
) -> None:
    tag("rec/a.wav", "rec/b.wav", "--scores", "kept", "-q")
    tag("rec/a.wav", "rec/b.wav", "--from", "kept", "--output-dir", "out", "-q", without_torch=True)
    soundfile.write(rec / "a.wav", np.zeros(16_000), 16_000)
    tag("rec/a.wav", "rec/b.wav", "--scores", "kept", "-q")
    assert ", 1 kept" in tag("rec/a.wav", "rec/b.wav", "--from", "kept", "--output-dir", "out")
    assert ",1.0," in (tmp_path / "out/a.wav.csv").read_text()


def test_scores_of_another_tree_are_not_mixed_in(rec: Path, tmp_path: Path, tag: Callable[..., str]) -> None:
    (tmp_path / "other").mkdir()
    soundfile.write(tmp_path / "other/a.wav", np.zeros(16_000), 16_000)
    tag("rec/b.wav", "--scores", "kept", "-q")
    said = tag("other/a.wav", "--scores", "kept", code=2)
    assert str(rec) in said
    assert str(tmp_path / "other") in said
    tag("rec/b.wav", "--scores", "kept", "--from", "kept", code=2)
    assert "--from rec: no kept scores" in tag("--from", "rec", code=2)
    assert "--from none" in tag("--from", "none", code=2)


def test_from_gives_no_scores_of_what_has_changed(rec: Path, tmp_path: Path, tag: Callable[..., str]) -> None:
    tag("rec/a.wav", "rec/b.wav", "--scores", "kept", "-q")
    before = (rec / "a.wav").stat()
    rng = np.random.default_rng(1)
    soundfile.write(rec / "a.wav", rng.normal(0, 0.1, int(16_000 * 3.21)), 16_000)
    os.utime(rec / "a.wav", ns=(before.st_atime_ns, before.st_mtime_ns))
    said = tag("rec/a.wav", "rec/b.wav", "--from", "kept", "-f", "csv", code=1, without_torch=True)
    assert "rec/a.wav: has changed since its scores were kept as kept/a.wav.scores.parquet: --scores" in said
    assert "\nrec/b.wav,1," in said
    assert "\nrec/a.wav,1," not in said
    (rec / "a.wav").unlink()  # its scores are what is left of it
    assert "\nrec/a.wav,1," in "\n" + tag("rec/a.wav", "--from", "kept", "-f", "csv", without_torch=True)


@pytest.mark.parametrize("option", ["--hop=1.6", "--context=3.2", "--channel=0"])
def test_from_refuses_what_only_the_model_could_do(rec: Path, tag: Callable[..., str], option: str) -> None:
    tag("rec/b.wav", "--scores", "kept", "-q")
    assert f"{option.partition('=')[0]} and --from" in tag(
        "--from", "kept", option, code=2, without_torch=True
    )
    assert "--from none: expected a folder" in tag("rec/b.wav", "--from", "none", code=2, without_torch=True)


def test_stdin_goes_into_a_folder(rec: Path, tmp_path: Path, model: Path, run_arwkv: RunArwkv) -> None:
    with (rec / "a.wav").open("rb") as sound:
        import subprocess
        import sys

        command = [
            sys.executable,
            "-m",
            "arwkv_cli",
            "tag",
            "-",
            "--output-dir",
            "out",
            "--model",
            str(model),
        ]
        done = subprocess.run(command, cwd=tmp_path, stdin=sound, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    assert [*contents(tmp_path / "out")] == ["stdin.csv"]

"""``arwkv embed`` as its users run it: where vectors go, what they are, what becomes of bad files and of kills."""

import io
import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pandas
import pytest
import soundfile
from conftest import RunArwkv
from pyarrow import parquet
from test_embedding_files import READERS
from typer.testing import CliRunner

import arwkv_core
from arwkv_cli.app import app
from arwkv_core.tagger import Tagger

RATE = 16_000


@pytest.fixture(scope="module")
def tagger() -> Tagger:
    return arwkv_core.load()


def noise(path: Path, seconds: float) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    generator = np.random.default_rng(round(seconds * 1000))
    soundfile.write(path, generator.normal(0, 0.1, (round(seconds * RATE), 2)).astype(np.float32), RATE)
    return path


def test_a_folder_in_all_formats(run_arwkv: RunArwkv, tmp_path: Path, tagger: Tagger) -> None:
    noise(tmp_path / "in/a.wav", 12.345)
    noise(tmp_path / "in/sub/a b.flac", 0.03)
    (tmp_path / "in/bad.wav").write_bytes(b"no sound")
    (tmp_path / "in/empty.wav").touch()
    formats = [f"--format={name}" for name in READERS]
    options = ["in", "--level=step", "--hop=2.5", "--channel=1", "--output-dir=out", *formats]
    done = run_arwkv("embed", *options, "--output=all.parquet")
    assert done.returncode == 1, done.stderr
    assert done.stdout == ""
    for bad in ("in/bad.wav", "in/empty.wav"):
        assert f"arwkv: failed: {bad}: " in done.stderr
    table = pandas.read_parquet(tmp_path / "all.parquet")
    for name in ("a.wav", "sub/a b.flac"):
        wanted = tagger.embeddings(tmp_path / "in" / name, level="step", hop=2.5, channel=1)
        for format, read in READERS.items():
            vectors, starts, ends, record = read(tmp_path / f"out/{name}.embeddings.{format}")
            np.testing.assert_allclose(vectors, wanted.vectors, atol=1e-5)
            np.testing.assert_array_equal(starts, wanted.starts)
            np.testing.assert_array_equal(ends, wanted.ends)
            assert record["file"] == f"in/{name}"
            assert record["model"] == {
                "name": wanted.model,
                "weights_sha256": wanted.weights_sha256,
                "precision": tagger.precision,
            }
            assert record["windows"]["hop_frames"] == 256
            assert record["coverage"]["decoded_seconds"] == wanted.coverage.decoded_seconds
        rows = table[table["file"] == f"in/{name}"]
        np.testing.assert_allclose(np.stack(rows["embedding"]), wanted.vectors, atol=1e-5)
    left = {path.relative_to(tmp_path / "out").as_posix() for path in (tmp_path / "out").rglob("*.*")}
    names = [f"{name}.embeddings.{end}" for name in ("a.wav", "sub/a b.flac") for end in (*READERS, "json")]
    assert left == {*names, "run.json", "failures.csv"}

    before = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names}
    (tmp_path / "out" / "sub/a b.flac.embeddings.npz").unlink()
    os.replace(noise(tmp_path / "good.wav", 1), tmp_path / "in/bad.wav")  # noqa: PTH105
    (tmp_path / "in/empty.wav").unlink()
    again = run_arwkv("embed", *options)
    assert again.returncode == 0, again.stderr
    after = {name: (tmp_path / "out" / name).stat().st_mtime_ns for name in names}
    assert {name for name in names if after[name] == before[name]} == {
        n for n in names if n.startswith("a.wav")
    }
    assert (tmp_path / "out/bad.wav.embeddings.npy").exists()


def test_many_recordings_in_one_file(run_arwkv: RunArwkv, tmp_path: Path) -> None:
    for index in range(4):
        noise(tmp_path / f"in/{index}.wav", 3 - 0.7 * index)
    (tmp_path / "in/1 bad.wav").write_bytes(b"no sound")
    done = run_arwkv("embed", "in", "--jobs=2", "--level=recording", "--output=all.parquet")
    assert done.returncode == 1, done.stderr
    table = pandas.read_parquet(tmp_path / "all.parquet")
    assert table["file"].tolist() == [f"in/{index}.wav" for index in range(4)]
    assert table["start"].tolist() == [0] * 4
    assert table["end"].tolist() == pytest.approx([3 - 0.7 * index for index in range(4)], abs=1e-4)
    record = json.loads(parquet.read_metadata(tmp_path / "all.parquet").metadata[b"arwkv"])
    assert [recording["vectors"] for recording in record["recordings"]] == [1] * 4
    assert record["level"] == "recording"
    assert sorted(path.name for path in tmp_path.iterdir()) == ["all.parquet", "in"]


def test_in_a_pipe(tmp_path: Path, tagger: Tagger) -> None:
    sound = noise(tmp_path / "a.wav", 1).read_bytes()
    command = [sys.executable, "-m", "arwkv_cli", "embed", "-", "--format=npz", "--dtype=float16"]
    done = subprocess.run(command, input=sound, cwd=tmp_path, capture_output=True, check=True)
    with np.load(io.BytesIO(done.stdout)) as arrays:
        assert json.loads(arrays["meta"].item())["file"] == "-"
        wanted = tagger.embeddings(io.BytesIO(sound)).vectors.astype(np.float16)
        np.testing.assert_allclose(arrays["embeddings"], wanted, atol=1e-2)
        assert arrays["embeddings"].dtype == np.float16
    assert [path.name for path in tmp_path.iterdir()] == ["a.wav"]


@pytest.mark.parametrize("name", ["npy", "npz", "safetensors", "parquet"])
def test_one_file(name: str, tmp_path: Path, tagger: Tagger) -> None:
    sound = noise(tmp_path / "a.wav", 11)
    output = tmp_path / f"x.{name}"
    arguments = ["embed", str(sound), "--output", str(output)]
    done = CliRunner().invoke(app, arguments)
    assert done.exit_code == 0, done.output
    wanted = tagger.embeddings(sound)
    found, starts, ends, _ = READERS[name](output)
    np.testing.assert_allclose(found, wanted.vectors, atol=1e-5)
    assert (list(starts), list(ends)) == ([0, 1.06], [9.92, 11])
    assert sorted(path.name for path in tmp_path.iterdir()) == sorted(
        {"a.wav", output.name} | ({"x.json"} if name == "npy" else set())
    )
    before = output.read_bytes()
    again = CliRunner().invoke(app, arguments)
    assert again.exit_code == 2
    assert f"--output {output}: exists already; --overwrite replaces it" in again.stderr
    replaced = CliRunner().invoke(app, [*arguments, "--overwrite", "--level", "recording"])
    assert replaced.exit_code == 0, replaced.output
    assert output.read_bytes() != before
    assert len(READERS[name](output)[0]) == 1


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (["a.wav"], "expected --output FILE or --output-dir DIR for the vectors, found neither"),
        (["a.wav", "--format=npy"], "npy is two files"),
        (
            ["a.wav", "b.wav", "--output=x.npz"],
            "--format npz: a file holds one recording, found 2: --output-dir",
        ),
        (
            ["a.wav", "--output=x.csv"],
            "--output x.csv: its ending tells no format; say --format (npy, npz, parq",
        ),
        (["a.wav", "--output=none/x.npz"], "there is no folder none"),
        (["a.wav", "--output=a.npy"], "--output a.json: exists already"),
        (["a.wav", "--output=a.wav", "--format=npz", "--overwrite"], "is one of the recordings"),
        (["a.wav", "-f", "npz", "-f", "npy", "--output=x.npz"], "2 formats need --output-dir"),
        (["a.wav", "--output=x.npz", "--hop=11"], "--hop: expected 0.16 to 9.92 seconds"),
        (["a.wav", "--output=x.npz", "--level=second"], "Invalid value for '--level'"),
    ],
)
def test_wrong_usage_is_told_before_anything_is_written(
    arguments: list[str], message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    noise(Path("a.wav"), 0.1)
    noise(Path("b.wav"), 0.1)
    Path("a.json").write_text("{}")
    done = CliRunner().invoke(app, ["embed", *arguments])
    assert done.exit_code == 2
    assert message in done.stderr
    assert sorted(path.name for path in tmp_path.iterdir()) == ["a.json", "a.wav", "b.wav"]


@pytest.mark.skipif(not Path("/proc/self").exists(), reason="needs a folder that takes no files from anybody")
@pytest.mark.parametrize("ending", ["npz", "parquet"])
def test_a_folder_that_takes_no_files_is_no_fault_of_the_recording(ending: str, tmp_path: Path) -> None:
    sound = noise(tmp_path / "a.wav", 0.1)
    done = CliRunner().invoke(app, ["embed", str(sound), "--output", f"/proc/x.{ending}"])
    assert done.exit_code == 2
    assert f"--output /proc/x.{ending}: can't be written: " in done.stderr


@pytest.mark.skipif(os.name != "posix", reason="needs a pseudo-terminal")
def test_a_terminal_gets_no_vectors(tmp_path: Path) -> None:
    import pty

    noise(tmp_path / "a.wav", 0.1)
    ours, theirs = pty.openpty()
    command = [sys.executable, "-m", "arwkv_cli", "embed", "a.wav", "--format=npz"]
    try:
        done = subprocess.run(command, cwd=tmp_path, stdout=theirs, stderr=subprocess.PIPE, check=False)
    finally:
        os.close(theirs)
        os.close(ours)
    assert done.returncode == 2
    assert b"--format npz: expected a file or a pipe, found a terminal; say --output" in done.stderr


def test_a_kill_leaves_no_half_file(tmp_path: Path) -> None:
    noise(tmp_path / "in/long.wav", 600)
    formats = [f"--format={name}" for name in READERS]
    options = ["in", "--level=step", "--output-dir=out", *formats]
    command = [sys.executable, "-m", "arwkv_cli", "embed", *options]
    with subprocess.Popen(command, cwd=tmp_path, stderr=subprocess.DEVNULL) as running:
        deadline = time.monotonic() + 120
        while not any(path.stat().st_size for path in (tmp_path / "out").glob(".*.partial")):
            assert running.poll() is None, "it was done before it could be killed"
            assert time.monotonic() < deadline
            time.sleep(0.01)
        running.send_signal(signal.SIGKILL)
    shown = [path.name for path in (tmp_path / "out").iterdir() if not path.name.startswith(".")]
    assert set(shown) <= {"run.json"}
    noise(tmp_path / "in/long.wav", 2)
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, check=False)
    assert done.returncode == 0, done.stderr
    names = {f"long.wav.embeddings.{end}" for end in (*READERS, "json")}
    assert {path.name for path in (tmp_path / "out").iterdir()} == {"run.json", *names}, (
        "what was left is gone"
    )
    for name, read in READERS.items():
        assert len(read(tmp_path / f"out/long.wav.embeddings.{name}")[0]) == 13

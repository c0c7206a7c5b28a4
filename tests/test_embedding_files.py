"""Files of embeddings: the same numbers in every format, read back by its readers; whole or not there; flat memory."""

import json
import os
import random
import signal
import subprocess
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pandas
import pyarrow as pa
import pytest
from pyarrow import parquet
from safetensors import safe_open
from safetensors.numpy import load_file

from arwkv_core.embeddings import EmbeddingBlock
from arwkv_core.errors import ArwkvError, AudioError, UsageError
from arwkv_core.joined import join_outputs
from arwkv_core.results import Coverage
from arwkv_core.writers.embedding_format import EMBEDDING_FORMATS, write_embeddings
from arwkv_core.writers.embedding_npy import sidecar, write_header
from arwkv_core.writers.embedding_record import SCHEMA_VERSION

WIDTH = 24
FORMATS = list(EMBEDDING_FORMATS)


class MadeUp:
    """What `EmbeddingStream` gives, in blocks of odd sizes, without sound or model."""

    def __init__(
        self, vectors: int, file: str = "night/Ü 1.wav", scale: float = 1.0, fails: bool = False
    ) -> None:
        self.vectors, self.file, self.scale, self.fails = vectors, file, scale, fails
        self.seconds = 0.16 * vectors - 0.1 / 3  # no number that decimals hold
        self.provenance = {"level": "step", "model": {"name": "m", "weights_sha256": "ab" * 32}}
        self.warnings = ["odd: \udcff"]

    @property
    def coverage(self) -> Coverage:
        return Coverage(None, self.seconds, 0.0, self.seconds, self.vectors, 0)

    def all(self) -> EmbeddingBlock:
        vectors = np.random.default_rng(self.vectors).normal(0, self.scale, (self.vectors, WIDTH))
        edges = np.arange(self.vectors + 1) * 16 / 100
        edges[-1] = self.seconds
        return EmbeddingBlock(edges[:-1], edges[1:], vectors.astype(np.float32))

    def __iter__(self) -> Iterator[EmbeddingBlock]:
        whole, first, size = self.all(), 0, 1
        while first < self.vectors:
            here = slice(first, first + size)
            yield EmbeddingBlock(whole.starts[here], whole.ends[here], whole.vectors[here])
            first, size = first + size, 2 * size + 1
        if self.fails:
            raise AudioError(f"{self.file}: ends in the middle")


Read = tuple[np.ndarray, np.ndarray, np.ndarray, dict[str, Any]]


def read_npy(path: Path) -> Read:
    record = json.loads(sidecar(path).read_text("utf-8"))
    mapped = np.load(path, mmap_mode="r")
    assert isinstance(mapped, np.memmap)
    np.testing.assert_array_equal(np.load(path), mapped)
    return mapped, np.array(record.pop("start")), np.array(record.pop("end")), record


def read_npz(path: Path) -> Read:
    with np.load(path) as arrays:  # without pickle
        assert set(arrays) == {"embeddings", "start", "end", "meta"}
        return arrays["embeddings"], arrays["start"], arrays["end"], json.loads(arrays["meta"].item())


def read_safetensors(path: Path) -> Read:
    tensors = load_file(path)
    with safe_open(path, "pt") as file:
        record = json.loads(file.metadata()["arwkv"])
        assert file.get_tensor("embeddings").shape == tensors["embeddings"].shape
    return tensors["embeddings"], tensors["start"], tensors["end"], record


def read_parquet(path: Path) -> Read:
    table = parquet.read_table(path)
    record = json.loads(parquet.read_metadata(path).metadata[b"arwkv"])
    (recording,) = record.pop("recordings")
    kind = table.schema.field("embedding").type
    assert pa.types.is_fixed_size_list(kind)
    assert kind.list_size == record["width"]
    assert set(table["file"].to_pylist()) == {recording["file"].encode("utf-8", "backslashreplace").decode()}
    frame = pandas.read_parquet(path)
    assert list(frame) == ["file", "start", "end", "embedding"]
    return np.stack(frame["embedding"]), frame["start"], frame["end"], {**record, **recording}


READERS: dict[str, Callable[[Path], Read]] = {
    "npy": read_npy,
    "npz": read_npz,
    "parquet": read_parquet,
    "safetensors": read_safetensors,
}


@pytest.mark.parametrize("dtype", ["float32", "float16"])
@pytest.mark.parametrize("vectors", [1, 2, 1000])
def test_all_formats_hold_the_same(vectors: int, dtype: str, tmp_path: Path) -> None:
    stream = MadeUp(vectors)
    places = [(name, tmp_path / f"a.wav.embeddings.{name}") for name in FORMATS]
    assert write_embeddings(stream, places, dtype=dtype) == vectors
    wanted = stream.all()
    for name, path in places:
        found, starts, ends, record = READERS[name](path)
        assert found.dtype == dtype
        np.testing.assert_array_equal(found, wanted.vectors.astype(dtype))
        np.testing.assert_array_equal(starts, wanted.starts)
        np.testing.assert_array_equal(ends, wanted.ends)
        assert record == {
            "schema_version": SCHEMA_VERSION,
            "file": stream.file,
            "vectors": vectors,
            "width": WIDTH,
            "dtype": dtype,
            **stream.provenance,
            "coverage": {
                "header_seconds": None,
                "decoded_seconds": stream.seconds,
                "filled_seconds": 0.0,
                "analysed_seconds": stream.seconds,
                "steps": vectors,
                "invalid_samples": 0,
            },
            "warnings": stream.warnings,
        }
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {path.name for _, path in places} | {"a.wav.embeddings.json"}


@pytest.mark.parametrize("name", FORMATS)
def test_undecodable_and_long_names(name: str, tmp_path: Path) -> None:
    suffix = EMBEDDING_FORMATS[name].suffix
    path = tmp_path / ("\udcff" * (254 - len(suffix)) + suffix)
    try:
        path.touch()
    except OSError:
        pytest.skip("the file system takes no such names")
    path.unlink()
    write_embeddings(MadeUp(3, file="a\udcff.wav"), [(name, path)])
    plain = tmp_path / f"x.{name}"
    if name == "npy":
        sidecar(path).rename(sidecar(plain))
    elif name == "parquet":
        join_outputs(iter([path]), plain, "parquet")
        assert READERS[name](plain)[3]["vectors"] == 3
    path.rename(plain)  # some readers take no names that are not UTF-8
    assert READERS[name](plain)[3]["file"] == "a\udcff.wav"


@pytest.mark.parametrize("name", FORMATS)
def test_what_fails_leaves_nothing(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{name}"
    with pytest.raises(AudioError):
        write_embeddings(MadeUp(20, fails=True), [(name, path)])
    with pytest.raises(UsageError, match=r"Ü 1\.wav: --dtype float16 holds numbers up to 65504.*float32"):
        write_embeddings(MadeUp(20, scale=1e6), [(name, path)], dtype="float16")
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize("name", FORMATS)
def test_what_exists_stays_unless_it_shall_go(name: str, tmp_path: Path) -> None:
    path = tmp_path / f"x.{name}"
    write_embeddings(MadeUp(5), [(name, path)])
    before = {file.name: file.read_bytes() for file in tmp_path.iterdir()}
    with pytest.raises(UsageError, match="exists already; --overwrite"):
        write_embeddings(MadeUp(7), [(name, path)])
    with pytest.raises(AudioError):
        write_embeddings(MadeUp(7, fails=True), [(name, path)], overwrite=True)
    assert {file.name: file.read_bytes() for file in tmp_path.iterdir()} == before
    write_embeddings(MadeUp(7), [(name, path)], overwrite=True)
    assert len(READERS[name](path)[0]) == 7


def test_a_type_that_is_none_is_refused(tmp_path: Path) -> None:
    with pytest.raises(UsageError, match="--dtype: expected float32, float16, found int8"):
        write_embeddings(MadeUp(1), [("npy", tmp_path / "x.npy")], dtype="int8")


def test_the_json_of_other_names(tmp_path: Path) -> None:
    assert sidecar(Path("a.wav.embeddings.npy")) == Path("a.wav.embeddings.json")
    assert sidecar(Path("vectors")) == Path("vectors.json")
    assert sidecar(Path("x.json")) == Path("x.json.json"), "one file in the place of both"


def test_an_npy_has_room_for_any_number_of_vectors(tmp_path: Path) -> None:
    with (tmp_path / "headers").open("wb") as stream:
        lengths = {write_header(stream, (10**digits, 192), "float32") for digits in range(16)}
    assert len(lengths) == 1


def test_a_table_of_many_recordings(tmp_path: Path) -> None:
    streams = [
        MadeUp(count, file=f"{count}.wav") for count in (3, 1, 700_000 // WIDTH)
    ]  # more than a row group
    parts = []
    for stream in streams:
        parts.append(tmp_path / f"{stream.file}.parquet")
        write_embeddings(stream, [("parquet", parts[-1])])
    output = tmp_path / "all.parquet"
    join_outputs(iter(parts), output, "parquet")
    frame = pandas.read_parquet(output)
    assert frame["file"].drop_duplicates().tolist() == [stream.file for stream in streams]
    for file, rows in frame.groupby("file"):
        wanted = MadeUp(len(rows), file=str(file)).all()
        np.testing.assert_array_equal(np.stack(rows["embedding"]), wanted.vectors)
        np.testing.assert_array_equal(rows["end"], wanted.ends)
    record = json.loads(parquet.read_metadata(output).metadata[b"arwkv"])
    assert [(of["file"], of["vectors"]) for of in record["recordings"]] == [
        (stream.file, stream.vectors) for stream in streams
    ]
    assert record["model"] == {"name": "m", "weights_sha256": "ab" * 32}
    assert parquet.ParquetFile(output).num_row_groups < 5


def test_a_table_of_vectors_made_otherwise_is_refused(tmp_path: Path) -> None:
    other = MadeUp(2)
    other.provenance = {**other.provenance, "level": "window"}
    parts = [tmp_path / "a.parquet", tmp_path / "b.parquet"]
    for part, stream in zip(parts, (MadeUp(2), other), strict=True):
        write_embeddings(stream, [("parquet", part)])
    with pytest.raises(ArwkvError, match=r"b\.parquet: expected vectors made as those before"):
        join_outputs(iter(parts), tmp_path / "all.parquet", "parquet")
    assert not (tmp_path / "all.parquet").exists()


WRITE_FOR_EVER = """
import sys
from pathlib import Path
from test_embedding_files import MadeUp
from arwkv_core.writers.embedding_format import write_embeddings

folder = Path(sys.argv[1])
print("ready", flush=True)
count = 0
while True:
    count += 1
    places = [(name, folder / f"x.{name}") for name in ("npz", "parquet", "safetensors")]
    write_embeddings(MadeUp(count % 50 + 1), [*places, ("npy", folder / "y.npy")], overwrite=True)
"""


def test_what_a_kill_leaves_is_whole(tmp_path: Path) -> None:
    rng = random.Random(0)
    environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
    for _ in range(6):
        command = [sys.executable, "-c", WRITE_FOR_EVER, str(tmp_path)]
        with subprocess.Popen(command, stdout=subprocess.PIPE, env=environment) as running:
            assert running.stdout is not None
            assert running.stdout.readline() == b"ready\n"
            time.sleep(rng.uniform(0.02, 0.5))
            running.send_signal(signal.SIGKILL)
        for path in tmp_path.iterdir():
            if path.name.startswith(".") or path.suffix == ".json":
                continue
            found, starts, ends, record = READERS[path.suffix[1:]](path)
            assert len(found) == len(starts) == len(ends) == record["vectors"]
            np.testing.assert_array_equal(found, MadeUp(len(found)).all().vectors)


MEASURE = """
import resource, sys
from pathlib import Path
import numpy as np
from test_embedding_files import FORMATS, MadeUp
from arwkv_core.embeddings import EmbeddingBlock
from arwkv_core.writers.embedding_format import write_embeddings

class Long(MadeUp):
    def __iter__(self):
        for first in range(0, self.vectors, 1000):
            times = np.arange(first, first + 1000) / 10
            yield EmbeddingBlock(times, times, np.random.default_rng(first).random((1000, 192), np.float32))

places = [(name, Path(sys.argv[2]) / f"x.{name}") for name in FORMATS]
write_embeddings(Long(int(sys.argv[1])), places, overwrite=True)
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)  # KiB
"""


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="ru_maxrss has other units elsewhere")
def test_memory_does_not_grow_with_the_vectors(tmp_path: Path) -> None:
    def peak(vectors: int) -> float:
        environment = os.environ | {"PYTHONPATH": str(Path(__file__).parent)}
        command = [sys.executable, "-c", MEASURE, str(vectors), str(tmp_path)]
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=True)
        return int(done.stdout) / 1024

    peak_of_many = peak(120_000)  # 92 MB in each format
    assert (tmp_path / "x.npy").stat().st_size > 92e6
    assert peak_of_many < peak(20_000) + 30

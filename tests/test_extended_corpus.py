"""What the scripts that extend a corpus read out of packages, make by arithmetic and doubt of a teacher."""

import csv
import gzip
import hashlib
import io
import json
import struct
import tarfile
import zipfile
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import soundfile

RATE = 8000


@pytest.fixture
def scripts(checkout: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.syspath_prepend(str(checkout / "benchmarks"))


@pytest.fixture
def packs(scripts: None) -> Any:
    import sound_packs  # type: ignore[import-not-found]  # a script's folder, on the path for this test only

    return sound_packs


@pytest.fixture
def made(scripts: None) -> Any:
    import generated_sounds  # type: ignore[import-not-found]  # as above

    return generated_sounds


def wav(samples: int) -> bytes:
    file = io.BytesIO()
    soundfile.write(file, np.linspace(-0.5, 0.5, samples), RATE, format="WAV")
    return file.getvalue()


def qt_collection(name: str, data: bytes) -> bytes:
    text = struct.pack(">HI", len(name), 0) + name.encode("utf-16-be")
    root = struct.pack(">IHII", 0, 2, 1, 1)
    leaf = struct.pack(">IHHHI", 0, 0, 0, 0, 0)
    contents = struct.pack(">I", len(data)) + data
    tree = 20
    head = b"qres" + struct.pack(">4I", 1, tree, tree + 28 + len(text), tree + 28)
    return head + root + leaf + text + contents


def clonk_group(name: str, data: bytes, is_group: bool = False) -> bytes:
    head = bytearray(204)
    head[:24] = b"RedWolf Design GrpFolder"
    struct.pack_into("<i", head, 36, 1)
    for k in range(0, 202, 3):
        head[k], head[k + 2] = head[k + 2], head[k]
    entry = bytearray(316)
    entry[: len(name)] = name.encode()
    struct.pack_into("<5i", entry, 260, 0, is_group, len(data), 0, 0)
    return bytes(byte ^ 237 for byte in head) + bytes(entry) + data


def soundfont(name: str, waveform: np.ndarray) -> bytes:
    body = waveform.astype("<i2").tobytes()
    sample = struct.pack("<20sIIIIIBbHH", name.encode(), 1, 5, 0, 0, RATE, 60, 0, 0, 1)
    return b"smpl" + struct.pack("<I", len(body)) + body + b"shdr" + struct.pack("<I", len(sample)) + sample


def asc_container(name: str, data: bytes) -> bytes:
    index = struct.pack("<IIII", 1, 0, 8, 7 + len(data)) + name.encode() + b"\0"
    return b"NCBM" + struct.pack("<I", 8 + len(data)) + data + index


def zip_archive(name: str, data: bytes) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        archive.writestr(name, data)
    return file.getvalue()


def gravis_patch(waveform: np.ndarray, modes: int) -> bytes:
    body = waveform.tobytes()
    sample = struct.pack("<7sBIIIH33xB", b"", 0, len(body), 0, len(body), RATE, modes)
    return b"GF1PATCH110".ljust(239, b"\0") + sample.ljust(96, b"\0") + body


def test_sounds_are_found_in_files_and_packs(packs: Any, tmp_path: Path) -> None:
    (tmp_path / "rain.wav").write_bytes(wav(100))
    (tmp_path / "wind.wav").write_bytes(wav(100))
    (tmp_path / "a.rcc").write_bytes(qt_collection("rain.wav", wav(200)))
    inner = clonk_group("rain.wav", wav(300))
    packed = gzip.compress(clonk_group("Liquids.ocg", inner, is_group=True))
    (tmp_path / "b.ocg").write_bytes(b"\x1e\x8c" + packed[2:])
    (tmp_path / "c.sf2").write_bytes(soundfont("rain.wav", np.arange(8) * 4096))
    (tmp_path / "d.ascdat").write_bytes(asc_container("rain.wav", wav(400)))
    (tmp_path / "e.pk3").write_bytes(zip_archive("sound/rain.wav", wav(500)))
    found = list(packs.sounds(tmp_path, packs.Wanted(["*rain.wav"])))
    assert [(sound.name, len(sound.waveform)) for sound in found] == [
        ("a.rcc/rain.wav", 200),
        ("b.ocg/Liquids.ocg/rain.wav", 300),
        ("c.sf2/rain.wav", 4),
        ("d.ascdat/rain.wav", 400),
        ("e.pk3/sound/rain.wav", 500),
        ("rain.wav", 100),
    ]
    assert all(sound.rate == RATE for sound in found)
    np.testing.assert_array_equal(found[2].waveform[:, 0], np.arange(1, 5) / 8)


@pytest.mark.parametrize(("kind", "modes", "zero"), [("<i2", 1, 0), ("<u2", 3, 32768)])
def test_a_patch_of_16_bits_is_read(packs: Any, tmp_path: Path, kind: str, modes: int, zero: int) -> None:
    waveform = np.arange(-4, 4) * 4096
    (tmp_path / "rain.pat").write_bytes(gravis_patch((waveform + zero).astype(kind), modes))
    (tmp_path / "rain8.pat").write_bytes(gravis_patch(np.zeros(8, np.int8), 0))
    (sound,) = packs.sounds(tmp_path, packs.Wanted(["rain*"]))
    assert (sound.name, sound.rate) == ("rain.pat", RATE)
    np.testing.assert_array_equal(sound.waveform[:, 0], waveform / 32768)


@pytest.mark.parametrize("name", ["x.rcc", "x.ocg", "x.sf2", "x.ascdat", "x.pk3", "x.pat"])
def test_what_is_no_pack_is_refused(packs: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"\0" * 600) if name == "x.ocg" else b"\0" * 600)
    with pytest.raises(ValueError, match=f"{name}: not a"):
        list(packs.sounds(tmp_path, packs.Wanted(["*"])))


@pytest.mark.parametrize("kind", ["helicopter", "helicopter_aboard", "rain"])
def test_made_sounds_are_as_long_as_asked_and_neither_silent_nor_clipped(made: Any, kind: str) -> None:
    for seed in range(5):
        sound = getattr(made, kind)(np.random.default_rng(seed), 4.3)
        assert sound.shape == (round(4.3 * made.RATE),)
        assert sound.dtype == np.float32
        assert 0.04 < np.abs(sound).max() <= 0.91
        np.testing.assert_array_equal(sound, getattr(made, kind)(np.random.default_rng(seed), 4.3))


def test_other_speed_moves_pitch_and_length(made: Any) -> None:
    tone = np.sin(2 * np.pi * 500 * np.arange(made.RATE) / made.RATE)
    faster = made.other_speed(tone, 1.25)
    assert abs(len(faster) - made.RATE / 1.25) <= 1
    spectrum = np.abs(np.fft.rfft(faster * np.hanning(len(faster))))
    assert abs(spectrum.argmax() * made.RATE / len(faster) - 625) < 2


@pytest.mark.parametrize(
    ("known", "lowered"),
    [
        ((), set()),
        (("Rain",), {"Stream", "Helicopter", "Vehicle", "Car"}),
        (("Helicopter",), {"Rain", "Stream", "Car"}),
        (("Helicopter", "Vehicle"), {"Rain", "Stream", "Car"}),
        (("Stream",), {"Rain", "Helicopter"}),
        (("Vehicle",), {"Rain"}),
        (("Speech",), set()),
    ],
)
def test_a_stated_class_puts_its_lookalikes_in_doubt(
    scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, known: tuple[str, ...], lowered: set[str]
) -> None:
    import doubts  # type: ignore[import-not-found]  # as above

    below = {"Water": ["Rain", "Stream"], "Vehicle": ["Aircraft", "Car"], "Aircraft": ["Helicopter"]}
    names = ["Water", "Rain", "Stream", "Vehicle", "Aircraft", "Car", "Helicopter", "Speech"]
    nodes = [{"id": name, "name": name, "child_ids": below.get(name, [])} for name in names]
    (tmp_path / "ontology.json").write_text(json.dumps(nodes))
    monkeypatch.setattr(doubts, "MISTAKEN", ["Rain", "Stream", "Vehicle", "Car", "Helicopter"])
    monkeypatch.setattr(doubts, "RAINS", {"Rain"})
    scores = np.full((2, len(names)), 200, np.uint8)
    doubts.Doubts(names, tmp_path / "ontology.json").apply(scores, known)
    assert {names[k] for k in np.flatnonzero((scores == 40).all(0))} == lowered
    assert set(np.unique(scores)) <= {40, 200}


def test_only_sounds_of_the_right_archive_are_unpacked(
    scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    import package_sources  # type: ignore[import-not-found]  # as above

    file = io.BytesIO()
    with tarfile.open(fileobj=file, mode="w:gz") as source:
        for name in ("bark-1.0/dog.wav", "bark-1.0/setup.py"):
            member = tarfile.TarInfo(name)
            member.size = 4
            source.addfile(member, io.BytesIO(b"bark"))
    archive = file.getvalue()

    def fetch(command: list[str], cwd: Path, check: bool) -> None:
        (cwd / "bark-1.0.tar.gz").write_bytes(archive)

    monkeypatch.setattr(package_sources.subprocess, "run", fetch)
    row = {"registry": "pypi", "package": "bark==1.0", "sha256": "0"}
    with pytest.raises(SystemExit, match=r"bark-1\.0\.tar\.gz: expected the sha256 0, found"):
        package_sources.download(row, tmp_path)
    assert not (tmp_path / "bark==1.0").exists()
    row["sha256"] = hashlib.sha256(archive).hexdigest()
    folder = package_sources.download(row, tmp_path)
    assert [path.name for path in folder.rglob("*") if path.is_file()] == ["dog.wav"]


def test_every_class_in_doubt_and_in_the_tables_is_one_of_the_labels(scripts: None, checkout: Path) -> None:
    import doubts

    with (checkout / "models/a-rwkv-t-open/labels.csv").open(newline="", encoding="utf-8") as file:
        names = {row["display_name"] for row in csv.DictReader(file)}
    assert set(doubts.MISTAKEN) <= names
    rows = []
    for table in ("extended_sources.csv", "further_sources.csv"):
        with (checkout / "benchmarks" / table).open(newline="", encoding="utf-8") as file:
            rows += list(csv.DictReader(file))
    assert {name for row in rows for name in row["known_labels"].split(";") if name} <= names
    assert {row["use"] for row in rows} == {"train", "valid", "outside", "none"}
    packages = {
        row["package"]: {r["use"] == "outside" for r in rows if r["package"] == row["package"]}
        for row in rows
    }
    assert all(len(uses) == 1 for uses in packages.values()), "a package is trained on or outside, never both"


def test_the_best_of_the_right_classes_counts(scripts: None) -> None:
    pytest.importorskip("onnx", reason="the teacher needs onnx and onnxruntime")
    pytest.importorskip("onnxruntime", reason="the teacher needs onnx and onnxruntime")
    import outside_recordings  # type: ignore[import-not-found]  # as above

    names = ["Music", "Clock", "Tick", "Tick-tock"]
    scores = np.array([0.9, 0.2, 0.1, 0.6])
    assert outside_recordings.place(scores, names, "Clock") == "Tick-tock 2, 0.60"
    assert outside_recordings.place(scores, names, "Music") == "Music 1, 0.90"

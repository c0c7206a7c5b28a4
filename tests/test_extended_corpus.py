"""What the scripts that extend a corpus read out of packages, make by arithmetic and doubt of a teacher."""

import gzip
import io
import json
import struct
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


def test_sounds_are_found_in_files_and_packs(packs: Any, tmp_path: Path) -> None:
    (tmp_path / "rain.wav").write_bytes(wav(100))
    (tmp_path / "wind.wav").write_bytes(wav(100))
    (tmp_path / "a.rcc").write_bytes(qt_collection("rain.wav", wav(200)))
    inner = clonk_group("rain.wav", wav(300))
    packed = gzip.compress(clonk_group("Liquids.ocg", inner, is_group=True))
    (tmp_path / "b.ocg").write_bytes(b"\x1e\x8c" + packed[2:])
    (tmp_path / "c.sf2").write_bytes(soundfont("rain.wav", np.arange(8) * 4096))
    found = list(packs.sounds(tmp_path, packs.Wanted(["*rain.wav"])))
    assert [(sound.name, len(sound.waveform)) for sound in found] == [
        ("a.rcc/rain.wav", 200),
        ("b.ocg/Liquids.ocg/rain.wav", 300),
        ("c.sf2/rain.wav", 4),
        ("rain.wav", 100),
    ]
    assert all(sound.rate == RATE for sound in found)
    np.testing.assert_array_equal(found[2].waveform[:, 0], np.arange(1, 5) / 8)


@pytest.mark.parametrize("name", ["x.rcc", "x.ocg", "x.sf2"])
def test_what_is_no_pack_is_refused(packs: Any, tmp_path: Path, name: str) -> None:
    (tmp_path / name).write_bytes(gzip.compress(b"\0" * 600) if name == "x.ocg" else b"\0" * 600)
    with pytest.raises(ValueError, match=f"{name}: not a"):
        list(packs.sounds(tmp_path, packs.Wanted(["*"])))


@pytest.mark.parametrize("kind", ["helicopter", "rain"])
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


def test_every_class_in_doubt_and_in_the_table_is_one_of_the_labels(scripts: None, checkout: Path) -> None:
    import csv

    import doubts

    with (checkout / "models/a-rwkv-t-open/labels.csv").open(newline="", encoding="utf-8") as file:
        names = {row["display_name"] for row in csv.DictReader(file)}
    assert set(doubts.MISTAKEN) <= names
    with (checkout / "benchmarks/extended_sources.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {name for row in rows for name in row["known_labels"].split(";") if name} <= names
    assert {row["use"] for row in rows} == {"train", "valid", "outside"}
    packages = {
        row["package"]: {r["use"] == "outside" for r in rows if r["package"] == row["package"]}
        for row in rows
    }
    assert all(len(uses) == 1 for uses in packages.values()), "a package is trained on or outside, never both"

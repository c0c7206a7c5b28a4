"""The further corpus: sounds heard elsewhere, a share of a package, new clips after those that are there."""

import csv
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
def made(scripts: None) -> Any:
    import generated_sounds  # type: ignore[import-not-found]  # as above

    return generated_sounds


@pytest.mark.parametrize("kind", ["aboard", "far"])
def test_what_is_heard_elsewhere_is_duller_and_as_long(scripts: None, made: Any, kind: str) -> None:
    import changed_sounds  # type: ignore[import-not-found]  # as above

    noise = np.random.default_rng(0).standard_normal(2 * made.RATE + 7).astype(np.float32)
    spectrum = np.abs(np.fft.rfft(noise)) ** 2
    high = len(spectrum) // 2
    for seed in range(5):
        sound = getattr(changed_sounds, kind)(np.random.default_rng(seed), noise)
        assert sound.shape == noise.shape
        assert sound.dtype == np.float32
        assert 0.04 < np.abs(sound).max() <= 0.91
        heard = np.abs(np.fft.rfft(sound)) ** 2
        assert heard[high:].sum() / heard.sum() < 0.2 * spectrum[high:].sum() / spectrum.sum()


def test_bursts_are_cut_out_and_put_into_silence(scripts: None, made: Any) -> None:
    import changed_sounds

    sound = np.zeros(made.RATE * 2, np.float32)
    noise = np.random.default_rng(1).uniform(-0.5, 0.5, made.RATE).astype(np.float32)
    at, length = round(0.3 * made.RATE), round(0.2 * made.RATE)
    sound[at : at + length] = noise[:length]
    sound[made.RATE : made.RATE + 3 * length] = noise[: 3 * length]  # too long for a bark
    (burst,) = changed_sounds.bursts(sound)
    assert length <= len(burst) <= length + 0.04 * made.RATE
    for seed in range(5):
        alone = changed_sounds.alone(np.random.default_rng(seed), burst)
        assert len(burst) + 0.1 * made.RATE - 1 <= len(alone) <= len(burst) + 2 * made.RATE + 1
        assert 0.09 < np.abs(alone).max() <= 1
    assert changed_sounds.bursts(np.zeros(made.RATE, np.float32)) == []
    assert changed_sounds.bursts(np.zeros(3, np.float32)) == []


def test_a_share_of_a_package_is_new_varied_and_no_longer_than_asked(scripts: None, tmp_path: Path) -> None:
    import sampled_recordings  # type: ignore[import-not-found]  # as above

    rng = np.random.default_rng(2)
    for folder in ("a", "b"):
        (tmp_path / folder).mkdir()
        for number in range(8):
            soundfile.write(tmp_path / folder / f"{folder}{number}.wav", rng.uniform(-1, 1, RATE), RATE)
    soundfile.write(tmp_path / "song.flac", rng.uniform(-1, 1, 90 * RATE), RATE)
    soundfile.write(tmp_path / "known.wav", rng.uniform(-1, 1, 8 * RATE), RATE)
    soundfile.write(tmp_path / "other.flac", rng.uniform(-1, 1, 8 * RATE), RATE)

    def share(minutes: float) -> list[Any]:
        patterns = ["*.wav", "song.*"]
        random = np.random.default_rng(3)
        return list(sampled_recordings.sampled(random, tmp_path, patterns, {"known"}, minutes))

    everything = share(100)
    names = [sound.name for sound in everything]
    assert names.count("song.flac") == sampled_recordings.PARTS
    joined = [name for name in names if "|" in name]
    assert sorted(name for group in joined for name in group.split("|")) == [
        f"{folder}{number}.wav" for folder in "ab" for number in range(8)
    ]
    assert all(len({name[0] for name in group.split("|")}) == 1 for group in joined), "folders are not mixed"
    assert set(names) == {"song.flac", *joined}
    assert all(len(sound.waveform) <= 10 * RATE for sound in everything)
    assert [sound.name for sound in share(100)] == names
    assert 6 <= sum(len(sound.waveform) for sound in share(0.1)) / RATE <= 10 * sampled_recordings.PARTS + 6


class StandIn:
    """Hears 100/255 of everything in two frames."""

    def __call__(self, waveform: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        return np.full((2, 3), 100 / 255, np.float32), np.full((2, 4), 0.5, np.float32)


class NoDoubts:
    def apply(self, scores: np.ndarray, known: tuple[str, ...]) -> None:
        scores[:, 0] = 7


@pytest.mark.parametrize("embedded", [False, True])
def test_new_clips_come_after_those_that_are_there(
    scripts: None, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, embedded: bool
) -> None:
    pytest.importorskip("onnx", reason="the teacher needs onnx and onnxruntime")
    pytest.importorskip("onnxruntime", reason="the teacher needs onnx and onnxruntime")
    import corpus_clips  # type: ignore[import-not-found]  # as above

    before, after = tmp_path / "before", tmp_path / "after"
    (after / "new").mkdir(parents=True)
    before.mkdir()
    columns = ["clip_id", "path", "split", "duration_s", "kind", "known_labels", "origin", "source"]
    columns += ["licence", "source_file"]
    row = dict.fromkeys(columns, "") | {"path": "audio/a.ogg", "split": "test"}
    with (before / "manifest.csv").open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerow(row)
    scores = np.arange(9, dtype=np.uint8).reshape(3, 3)
    np.savez(before / "teacher_frames.npz", scores=scores, offsets=np.array([0, 3]))
    if embedded:
        np.save(before / "teacher_embeddings.npy", np.zeros((3, 4), np.float16))
    monkeypatch.setattr(corpus_clips.yamnet, "Yamnet", StandIn)
    labelled = corpus_clips.Labelled.read(before)
    sound = np.linspace(-0.5, 0.5, 32_000, dtype=np.float32)
    clips = [
        corpus_clips.Clip(split, ("Rain", "Wind"), "debian", "p", "CC0", "r.ogg", sound)
        for split in ("train", "valid")
    ]
    labelled.add(after, "new/y", clips, NoDoubts())
    labelled.write(after)

    with (after / "manifest.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert rows[0] == row
    assert [(r["path"], r["split"], r["known_labels"]) for r in rows[1:]] == [
        ("new/y00000.flac", "train", "Rain;Wind"),
        ("new/y00001.flac", "valid", "Rain;Wind"),
    ]
    assert soundfile.info(after / "new/y00001.flac").frames == len(sound)
    with np.load(after / "teacher_frames.npz") as arrays:
        assert arrays["offsets"].tolist() == [0, 3, 5, 7]
        np.testing.assert_array_equal(arrays["scores"][:3], scores)
        assert arrays["scores"][3:].tolist() == [[7, 100, 100]] * 2 + [[100] * 3] * 2
    path = after / "teacher_embeddings.npy"
    assert path.exists() == embedded
    if embedded:
        assert np.load(path).tolist() == [[0.0] * 4] * 3 + [[0.5] * 4] * 4
        assert np.load(path).dtype == np.float16

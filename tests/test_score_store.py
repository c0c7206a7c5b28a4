"""Kept scores: complete, never stale, gone on with after any end of the process."""

import json
import os
import subprocess
import sys
from datetime import datetime
from pathlib import Path

import numpy as np
import pandas
import pyarrow.parquet
import pytest
import soundfile
from fake_scorer import LABELS, LoudnessScorer

from arwkv_core.constants import STEP_SECONDS
from arwkv_core.errors import AudioError, ScoreFileError
from arwkv_core.results import StartTime
from arwkv_core.score_codec import LARGEST_ERROR, encode, rounded
from arwkv_core.score_file import SUFFIX, ScoreFileWriter, StoredScores, kept_scores
from arwkv_core.score_journal import ScoreJournal, journal_path
from arwkv_core.score_store import GrowingScores, scored

RATE = 8_000


def recording(path: Path, seconds: float, seed: int = 0) -> Path:
    """Noise whose level changes every second."""
    rng = np.random.default_rng(seed)
    levels = np.repeat(rng.uniform(0, 0.3, int(seconds) + 1), RATE)[: round(seconds * RATE)]
    soundfile.write(path, levels * rng.standard_normal(len(levels)), RATE)
    return path


def read(source: object) -> np.ndarray:
    return np.concatenate(list(source))


@pytest.mark.parametrize("seconds", [0.03, 3.3, 61.0])
def test_what_is_kept_is_what_was_given(tmp_path: Path, seconds: float) -> None:
    path, kept = recording(tmp_path / "noise.wav", seconds), tmp_path / f"noise.wav{SUFFIX}"
    plain = scored(LoudnessScorer(), str(path))
    exact = read(plain)
    made = scored(LoudnessScorer(), str(path), kept=kept)
    live = read(made)
    stored = StoredScores(kept)
    assert np.array_equal(live, read(stored))
    assert np.array_equal(live, rounded(exact))
    assert np.abs(live - exact).max() <= LARGEST_ERROR
    assert stored.coverage == made.coverage == plain.coverage
    assert stored.warnings == made.warnings == plain.warnings
    assert (stored.file, stored.model_name, stored.labels) == (str(path), "loudness", LABELS)
    assert [file.name for file in kept.parent.iterdir()] != [], "nothing but the recording and its scores"
    assert sorted(file.name for file in tmp_path.iterdir()) == [path.name, kept.name]


def test_second_run_asks_no_model(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    first = read(scored(LoudnessScorer(), str(path), kept=kept))
    written = kept.stat().st_mtime_ns
    scorer = LoudnessScorer()
    assert np.array_equal(read(scored(scorer, str(path), kept=kept)), first)
    assert scorer.batches == []
    assert kept.stat().st_mtime_ns == written


def change_sound(path: Path, scorer: LoudnessScorer) -> dict:
    stamp = path.stat()
    recording(path, 5, seed=1)  # of the same size, and, as far as the file tells, of the same time
    os.utime(path, ns=(stamp.st_atime_ns, stamp.st_mtime_ns))
    return {}


def change_weights(path: Path, scorer: LoudnessScorer) -> dict:
    scorer.provenance = {**scorer.provenance, "model": {**scorer.provenance["model"], "weights_sha256": "1"}}
    return {}


def change_front_end(path: Path, scorer: LoudnessScorer) -> dict:
    scorer.provenance = {**scorer.provenance, "front_end": {**scorer.provenance["front_end"], "mean": 1.0}}
    return {}


@pytest.mark.parametrize(
    "change",
    [
        change_sound,
        change_weights,
        change_front_end,
        lambda path, scorer: {"hop": 0.16},
        lambda path, scorer: {"channel": 0},
        lambda path, scorer: {"context": 1.6},
        lambda path, scorer: {"context": "full"},
        lambda path, scorer: setattr(scorer, "window_frames", 160) or {},
    ],
)
def test_what_has_changed_is_made_anew(tmp_path: Path, change: object) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    scorer = LoudnessScorer()
    options = change(path, scorer)
    again = read(scored(scorer, str(path), kept=kept, **options))
    assert scorer.batches, "stale scores were taken for fresh ones"
    assert np.array_equal(again, read(StoredScores(kept)))


def test_a_touched_but_equal_recording_is_not_made_anew(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    os.utime(path, ns=(1, 1))
    scorer = LoudnessScorer()
    read(scored(scorer, str(path), kept=kept))
    assert scorer.batches == []


def test_change_in_the_middle_of_a_large_file_is_seen(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 180), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    raw = bytearray(path.read_bytes())
    raw[len(raw) // 2 + 40_000] ^= 1  # between the blocks that are looked at when the time has not changed
    path.write_bytes(raw)
    scorer = LoudnessScorer()
    read(scored(scorer, str(path), kept=kept))
    assert scorer.batches


def broken_off(path: Path, kept: Path, blocks: int) -> None:
    """Let a run end after some blocks as a kill would: nothing is cleaned up but what the system does."""
    source = scored(LoudnessScorer(), str(path), kept=kept)
    assert isinstance(source, GrowingScores)
    iterator = iter(source)
    for _ in range(blocks):
        next(iterator)
    if source._journal is not None:
        source._journal._file.close()  # as the system does
        source._journal._file = open(os.devnull, "a+b")  # noqa: SIM115, PTH123


@pytest.mark.parametrize("blocks", [1, 40, 60, 97, 120])
def test_goes_on_inside_a_recording(tmp_path: Path, blocks: int) -> None:
    path, kept = recording(tmp_path / "noise.wav", 200.77), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=tmp_path / "whole.parquet"))
    broken_off(path, kept, blocks)
    assert not kept.exists()
    scorer = LoudnessScorer()
    rest = read(scored(scorer, str(path), kept=kept))
    assert np.array_equal(rest, read(StoredScores(tmp_path / "whole.parquet")))
    assert kept.read_bytes() == (tmp_path / "whole.parquet").read_bytes()
    assert not journal_path(kept).exists()
    done = max(0, blocks * 1.6 - 60)  # s; a block is half a window of 3.2 s
    assert sum(batch[0] * 1.6 for batch in scorer.batches) < 200.77 - done + 2 * 80


@pytest.mark.parametrize("cut", [1, 7, 100, 3000])
def test_torn_journal(tmp_path: Path, cut: int) -> None:
    path, kept = recording(tmp_path / "noise.wav", 150), tmp_path / "scores.parquet"
    whole = read(scored(LoudnessScorer(), str(path)))
    broken_off(path, kept, 80)
    journal = journal_path(kept)
    journal.write_bytes(journal.read_bytes()[:-cut])
    assert np.array_equal(read(scored(LoudnessScorer(), str(path), kept=kept)), rounded(whole))


def test_journal_with_a_wrong_bit(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 150), tmp_path / "scores.parquet"
    whole = read(scored(LoudnessScorer(), str(path)))
    broken_off(path, kept, 80)
    journal = journal_path(kept)
    raw = bytearray(journal.read_bytes())
    for place in range(0, len(raw), 97):
        damaged = bytearray(raw)
        damaged[place] ^= 0x10
        journal.write_bytes(damaged)
        assert np.array_equal(read(scored(LoudnessScorer(), str(path), kept=kept)), rounded(whole))
        kept.unlink()


def test_journal_of_another_recording_is_not_gone_on_with(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 150), tmp_path / "scores.parquet"
    broken_off(path, kept, 80)
    recording(path, 150, seed=5)
    whole = read(scored(LoudnessScorer(), str(path)))
    assert np.array_equal(read(scored(LoudnessScorer(), str(path), kept=kept)), rounded(whole))


def test_two_runs_do_not_write_one_journal(tmp_path: Path) -> None:
    journal = ScoreJournal(tmp_path / "x.journal", {}, 3)
    with pytest.raises(ScoreFileError, match="another run"):
        ScoreJournal(tmp_path / "x.journal", {}, 3)
    journal.close()
    ScoreJournal(tmp_path / "x.journal", {}, 3).remove()
    assert list(tmp_path.iterdir()) == []


def test_leftover_of_a_kill_is_written_over(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    writer = ScoreFileWriter(kept, 3)
    with pytest.raises(ScoreFileError, match="another run is writing"):
        ScoreFileWriter(kept, 3)
    (leftover,) = tmp_path.glob(".*.partial")
    writer.discard()
    assert not leftover.exists()
    leftover.write_bytes(b"PAR1 and no more")  # what a kill leaves
    read(scored(LoudnessScorer(), str(path), kept=kept))
    assert list(tmp_path.glob(".*")) == []


def test_recording_that_grows_meanwhile(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 100), tmp_path / "scores.parquet"
    source = iter(scored(LoudnessScorer(), str(path), kept=kept))
    next(source)
    with path.open("ab") as file:
        file.write(b"more")
    with pytest.raises(AudioError, match="changed while it was read"):
        list(source)
    assert [file.name for file in tmp_path.iterdir()] == ["noise.wav"]


@pytest.mark.parametrize("content", [b"", b"PAR1", b"no parquet at all", None])
def test_damaged_file_is_refused_by_readers_and_made_anew_by_a_run(
    tmp_path: Path, content: bytes | None
) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    first = read(scored(LoudnessScorer(), str(path), kept=kept))
    kept.write_bytes(kept.read_bytes()[:-30] if content is None else content)
    with pytest.raises(ScoreFileError, match=r"scores\.parquet: expected scores kept by arwkv"):
        StoredScores(kept)
    assert np.array_equal(read(scored(LoudnessScorer(), str(path), kept=kept)), first)


def test_read_by_others(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 61.3), tmp_path / "scores.parquet"
    ours = read(scored(LoudnessScorer(), str(path), kept=kept))
    table = pandas.read_parquet(kept)
    assert list(table.columns) == ["step", "scores"]
    assert table.step.tolist() == list(range(len(ours)))
    meta = json.loads(pyarrow.parquet.read_metadata(kept).metadata[b"arwkv"])
    codes = np.frombuffer(b"".join(table.scores), np.uint8).reshape(-1, len(meta["classes"]))
    assert np.array(meta["levels"])[codes] == pytest.approx(ours, rel=1e-5)
    assert meta["schema_version"] == 1
    assert meta["windows"]["step_seconds"] == STEP_SECONDS
    assert meta["source"]["size"] == path.stat().st_size


def test_hours_are_small_and_read_in_flat_memory(tmp_path: Path) -> None:
    """Scores as a model gives them: most far below 0.01, drifting, some classes sounding now and then."""
    rng = np.random.default_rng(0)
    classes, hours = 521, 2
    writer = ScoreFileWriter(tmp_path / "x.parquet", classes)
    level = rng.normal(-6.5, 1.3, classes)
    logits, steps = level.copy(), 0
    for _ in range(hours * 10):
        block = np.empty((2250, classes), np.float32)
        for row in block:
            logits += 0.05 * (level - logits) + 0.33 * rng.standard_normal(classes)
            row[:] = logits
        writer.add(encode(1 / (1 + np.exp(-block))))
        steps += len(block)
    coverage = {"header_seconds": None, "decoded_seconds": steps * STEP_SECONDS, "filled_seconds": 0.0}
    coverage |= {"analysed_seconds": steps * STEP_SECONDS, "steps": steps, "invalid_samples": 0}
    meta = {"file": "x", "model": {"name": "m"}, "classes": [f"c{i}" for i in range(classes)], "warnings": []}
    writer.commit({**meta, "names": [f"n{i}" for i in range(classes)], "coverage": coverage})
    assert (tmp_path / "x.parquet").stat().st_size < 3e6 * hours
    assert max(len(block) for block in StoredScores(tmp_path / "x.parquet")) <= 2250


def test_steps_that_are_missing_are_noticed(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    source = scored(LoudnessScorer(), str(path), kept=kept)
    read(source)
    stored = StoredScores(kept)
    writer = ScoreFileWriter(kept, 3)
    writer.add(np.zeros((4, 3), np.uint8))
    writer.commit({key: value for key, value in stored.meta.items() if key != "levels"})
    with pytest.raises(ScoreFileError, match="expected 32 steps, found 4"):
        read(StoredScores(kept))


def test_name_that_is_not_utf8(tmp_path: Path) -> None:
    name = os.fsdecode(b"caf\xe9.wav")
    path, kept = recording(tmp_path / "noise.wav", 30).rename(tmp_path / name), tmp_path / f"{name}{SUFFIX}"
    first = read(scored(LoudnessScorer(), str(path), kept=kept))
    assert StoredScores(kept).file == str(path)
    assert np.array_equal(read(StoredScores(kept)), first)


def test_start_time_is_kept(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "20260514_053000.wav", 5), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    assert StoredScores(kept).start_time == StartTime(datetime(2026, 5, 14, 5, 30), "name")
    other = recording(tmp_path / "noise.wav", 5)
    read(scored(LoudnessScorer(), str(other), kept=tmp_path / "other.parquet"))
    assert StoredScores(tmp_path / "other.parquet").start_time is None


def test_finding_kept_scores(tmp_path: Path) -> None:
    with pytest.raises(ScoreFileError, match="no kept scores"):
        list(kept_scores(tmp_path))
    for name in ("b/x.wav", "a.wav", ".hidden"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / f"{name}{SUFFIX}").touch()
    assert list(kept_scores(tmp_path)) == [tmp_path / f"a.wav{SUFFIX}", tmp_path / f"b/x.wav{SUFFIX}"]


def test_no_torch_to_read(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 5), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    code = (
        "import sys; from arwkv_core.score_file import StoredScores; from arwkv_core.tagging import tag_of;"
        "from arwkv_core.selection import Selection;"
        f"print(tag_of(StoredScores({str(kept)!r}), Selection(), 0.5).names);"
        "assert not {'torch', 'numba', 'soundfile', 'av'} & set(sys.modules), sys.modules.keys()"
    )
    subprocess.run([sys.executable, "-c", code], check=True)

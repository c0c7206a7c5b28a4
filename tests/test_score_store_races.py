"""Kept scores where runs meet, names are long, disks full and recordings changed behind our back."""

import errno
import os
from collections.abc import Callable
from pathlib import Path

import numpy as np
import pytest
from fake_scorer import LoudnessScorer
from pyarrow import parquet
from test_score_store import broken_off, read, recording

from arwkv_cli.run_output import PlainFormat, StreamOutput
from arwkv_core.errors import ScoreFileError
from arwkv_core.score_file import SUFFIX, ScoreFileWriter, StoredScores
from arwkv_core.score_journal import ScoreJournal, journal_path
from arwkv_core.score_store import scored
from arwkv_core.whole_file import WholeFile

META = {"file": "a.wav", "coverage": {}}


def test_a_run_that_was_killed_meanwhile_leaves_no_steps(tmp_path: Path) -> None:
    """Two runs begin; one has written more than the other's first steps when it is killed."""
    path, kept = recording(tmp_path / "noise.wav", 200), tmp_path / "scores.parquet"
    whole = read(scored(LoudnessScorer(), str(path), kept=tmp_path / "whole.parquet"))
    slow = iter(scored(LoudnessScorer(), str(path), kept=kept))
    first = next(slow)
    broken_off(path, kept, 60)
    assert journal_path(kept).exists()
    assert np.array_equal(np.concatenate([first, *slow]), whole)
    assert np.array_equal(read(StoredScores(kept)), whole)


@pytest.mark.parametrize("length", [200, 231, 232, 240])
def test_names_as_long_as_the_score_file_allows(tmp_path: Path, length: int) -> None:
    path = recording(tmp_path / ("x" * (length - 4) + ".wav"), 100)
    kept = tmp_path / (path.name + SUFFIX)
    broken_off(path, kept, 60)
    assert journal_path(kept).exists()
    rest = read(scored(LoudnessScorer(), str(path), kept=kept))
    assert np.array_equal(rest, read(StoredScores(kept)))
    assert sorted(tmp_path.iterdir()) == sorted([path, kept])


def test_a_change_whose_time_was_set_back_is_seen(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 180), tmp_path / "scores.parquet"
    read(scored(LoudnessScorer(), str(path), kept=kept))
    before = path.stat()
    with path.open("r+b") as file:
        file.seek(
            before.st_size // 2 + 40_000
        )  # between the blocks that are looked at when no time has changed
        file.write(bytes(16_000))
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns))
    scorer = LoudnessScorer()
    again = read(scored(scorer, str(path), kept=kept))
    assert scorer.batches, "stale scores were taken for fresh ones"
    assert np.array_equal(again, read(StoredScores(kept)))


def test_new_rights_undo_nothing(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 200), tmp_path / "scores.parquet"
    broken_off(path, kept, 97)
    path.chmod(0o600)
    scorer = LoudnessScorer()
    read(scored(scorer, str(path), kept=kept))
    heard = sum(len(batch) for batch in scorer.batches)
    path.chmod(0o644)
    everything = LoudnessScorer()
    read(scored(everything, str(path), kept=tmp_path / "other.parquet"))
    assert heard < sum(len(batch) for batch in everything.batches)
    again = LoudnessScorer()
    read(scored(again, str(path), kept=kept))
    assert again.batches == []


def test_scores_of_which_steps_are_missing_are_made_anew(tmp_path: Path) -> None:
    path, kept = recording(tmp_path / "noise.wav", 20), tmp_path / "scores.parquet"
    whole = read(scored(LoudnessScorer(), str(path), kept=kept))
    table = parquet.read_table(kept)
    parquet.write_table(table.slice(0, 50), kept)
    with pytest.raises(ScoreFileError, match="expected 125 steps, found 50"):
        StoredScores(kept)
    assert np.array_equal(read(scored(LoudnessScorer(), str(path), kept=kept)), whole)
    assert np.array_equal(read(StoredScores(kept)), whole)


def test_a_score_file_is_locked_until_it_is_in_its_place(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = tmp_path / "scores.parquet"
    replace: Callable[[Path, Path], Path] = Path.replace

    def meanwhile(hidden: Path, target: Path) -> Path:
        with pytest.raises(ScoreFileError, match="another run"):
            ScoreFileWriter(path, 3)
        return replace(hidden, target)

    writer = ScoreFileWriter(path, 3)
    writer.add(np.zeros((5, 3), np.uint8))
    with monkeypatch.context() as patch:
        patch.setattr(Path, "replace", meanwhile)
        writer.commit(META)
    assert parquet.read_metadata(path).num_rows == 5
    other = ScoreFileWriter(path, 3)
    writer.discard()  # must not take the other's file away
    other.add(np.zeros((7, 3), np.uint8))
    other.commit(META)
    assert parquet.read_metadata(path).num_rows == 7


def test_a_full_disk_is_named_and_nothing_half_written_stays(tmp_path: Path) -> None:
    journal = ScoreJournal(tmp_path / "journal", {}, 3)
    journal._file.close()
    journal._file = open("/dev/full", "ab", buffering=0)  # noqa: SIM115, PTH123
    with pytest.raises(OSError, match="journal") as caught:
        journal.append(np.zeros((5, 3), np.uint8))
    assert caught.value.errno == errno.ENOSPC
    journal.remove()

    output = WholeFile(tmp_path / "out.csv")
    output.stream.close()
    output.stream = open("/dev/full", "w")  # noqa: SIM115, PTH123
    output.stream.write("a,b\n")
    with pytest.raises(OSError, match=r"out\.csv") as caught:
        output.commit()
    assert caught.value.errno == errno.ENOSPC
    assert list(tmp_path.iterdir()) == []


class WriterOnFullDisk:
    """Notices only at the end, as writers of small files do."""

    def __init__(self, stream: object) -> None:
        pass

    def write(self, result: object) -> None:
        pass

    def close(self) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")


@pytest.mark.parametrize("interrupted", [False, True])
def test_an_output_on_a_full_disk_leaves_nothing(tmp_path: Path, interrupted: bool) -> None:
    output = StreamOutput(PlainFormat(".csv", WriterOnFullDisk), "csv", tmp_path / "out.csv", overwrite=False)
    expected = KeyboardInterrupt if interrupted else OSError

    def run() -> None:
        with output as stream:
            stream.write("a")
            if interrupted:
                raise KeyboardInterrupt

    with pytest.raises(expected) as caught:
        run()
    assert interrupted or caught.value.filename == str(tmp_path / "out.csv")
    assert list(tmp_path.iterdir()) == []

"""Clips appear whole or not at all, are known again, and never take each other's or anyone's place."""

import json
import os
import signal
import subprocess
import sys
import time
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_files import tones
from test_extract import event, names, table, timeline

from arwkv_core.clip_folder import ClipFolder
from arwkv_core.clip_plan import ClipPlan, ClipSettings
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.extract import extract_events

posix = pytest.mark.skipif(os.name != "posix", reason="signals, locks and modes of POSIX")


@pytest.fixture
def sound(tmp_path: Path) -> Path:
    path = tmp_path / "a.wav"
    soundfile.write(path, tones(4.0, 8000, 1), 8000, subtype="PCM_16")
    return path


def test_clips_of_an_earlier_run_are_kept(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    first = extract_events(timeline(sound, event(0, 1)), output_dir=folder)
    before = (folder / first[0].path).stat()
    rows = table(folder)
    second = extract_events(timeline(sound, event(0, 1), event(2, 3)), output_dir=folder)
    assert [clip.kept for clip in second] == [True, False]
    assert (folder / first[0].path).stat() == before
    assert table(folder)[:1] == rows  # the table is whole, and says the same of what was kept
    assert len(table(folder)) == 2
    third = extract_events(timeline(sound, event(0, 1)), output_dir=folder, overwrite=True)
    assert not third[0].kept
    assert (folder / first[0].path).stat().st_ino != before.st_ino
    assert len(table(folder)) == 1


def test_a_clip_that_another_cut_would_replace_stays(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (first,) = extract_events(timeline(sound, event(1, 2)), output_dir=folder)
    for _ in range(2):  # the second time nothing is cut
        (padded,) = extract_events(timeline(sound, event(1, 2)), output_dir=folder, pad=0.5)
        assert first.path == "a_00001.000_Dog.wav"
        assert padded.path == "a_00001.000_Dog_2.wav"
    assert padded.kept
    assert soundfile.info(folder / first.path).frames == 8000
    assert soundfile.info(folder / padded.path).frames == 16_000


def test_a_file_that_is_none_of_ours_is_never_replaced(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    (folder / "a_00001.000_Dog_2.wav").mkdir(parents=True)
    (folder / "a_00001.000_Dog.wav").write_bytes(b"precious")
    soundfile.write(folder / "a_00001.000_Dog_3.wav", np.zeros(100), 8000)
    (clip,) = extract_events(timeline(sound, event(1, 2)), output_dir=folder)
    assert clip.path == "a_00001.000_Dog_4.wav"
    assert (folder / "a_00001.000_Dog.wav").read_bytes() == b"precious"
    (clip,) = extract_events(timeline(sound, event(1, 2)), output_dir=folder, overwrite=True)
    assert clip.path == "a_00001.000_Dog.wav"


def test_a_recording_that_has_changed_is_cut_again(sound: Path, tmp_path: Path) -> None:
    extract_events(timeline(sound, event(1, 2)), output_dir=tmp_path / "clips")
    soundfile.write(sound, -tones(4.0, 8000, 1), 8000, subtype="PCM_16")
    (clip,) = extract_events(timeline(sound, event(1, 2)), output_dir=tmp_path / "clips")
    assert (clip.path, clip.kept) == ("a_00001.000_Dog.wav", False)
    samples, _ = soundfile.read(tmp_path / "clips" / clip.path, dtype="int16")
    assert np.array_equal(samples, soundfile.read(sound, dtype="int16")[0][8000:16_000])


def test_recordings_of_one_name_have_clips_of_their_own(tmp_path: Path) -> None:
    timelines = []
    for number, place in enumerate(("north", "south", "SOUTH/north")):
        (tmp_path / place).mkdir(parents=True, exist_ok=True)
        path = tmp_path / place / ("dawn.wav" if number < 2 else "Dawn.wav")
        soundfile.write(path, np.full(8000, 0.1 * (number + 1)), 8000, subtype="PCM_16")
        timelines.append(timeline(path, event(0, 1), event(0, 1)))  # twice the same event, even
    for _ in range(2):
        clips = extract_events(timelines, output_dir=tmp_path / "clips")
        assert len({clip.path.casefold() for clip in clips}) == 6
        for clip in clips:
            samples, _ = soundfile.read(tmp_path / "clips" / clip.path, dtype="int16")
            assert np.array_equal(samples, soundfile.read(clip.file, dtype="int16")[0])
    assert all(clip.kept for clip in clips)
    assert [row["clip"] for row in table(tmp_path / "clips")] == [clip.path for clip in clips]
    clips = extract_events(
        timelines, output_dir=tmp_path / "by", name_template="{folder}/{class}/{stem}_{index}"
    )
    assert clips[0].path == "north/Dog/dawn_0001.wav"
    assert names(tmp_path / "by") == sorted(["clips.csv", *(clip.path for clip in clips)])


def test_a_clip_says_what_it_is(sound: Path, tmp_path: Path) -> None:
    for format in ("wav", "flac", "ogg"):
        (clip,) = extract_events(timeline(sound, event(1, 2)), output_dir=tmp_path / "clips", format=format)
        with soundfile.SoundFile(tmp_path / "clips" / clip.path) as file:
            about = json.loads(file.comment)
            assert file.title == "Dog"
        assert (about["clip_of"], about["start"], about["end"], about["class"]) == ("a.wav", 1.0, 2.0, "Dog")


def test_a_table_of_something_else_is_not_replaced(sound: Path, tmp_path: Path) -> None:
    folder = tmp_path / "clips"
    folder.mkdir()
    (folder / "clips.csv").write_text("my,own,table\n")
    with pytest.raises(UsageError, match="no list of clips"):
        extract_events(timeline(sound, event(1, 2)), output_dir=folder)
    assert names(folder) == ["clips.csv"]
    with pytest.raises(UsageError, match="expected a folder, found a file"):
        extract_events(timeline(sound, event(1, 2)), output_dir=sound)


def test_what_was_cut_is_listed_when_a_recording_fails(sound: Path, tmp_path: Path) -> None:
    settings, folder = ClipSettings(), tmp_path / "clips"
    (tmp_path / "bad.wav").write_bytes(b"no sound")
    with ClipFolder(folder, settings) as clips:
        with pytest.raises(AudioError, match=r"bad\.wav"):
            clips.cut(ClipPlan(str(tmp_path / "bad.wav"), "", None, [event(0, 1)]))
        clips.cut(ClipPlan(str(sound), "", None, [event(0, 1)]))
    assert len(table(folder)) == 1
    with pytest.raises(AudioError):
        extract_events(
            [timeline(sound, event(0, 1)), timeline(tmp_path / "bad.wav", event(0, 1))], output_dir=folder
        )
    assert "clips.csv.partial" in names(folder)
    extract_events(timeline(sound, event(0, 1)), output_dir=folder)
    assert "clips.csv.partial" not in names(folder)


@posix
def test_two_runs_do_not_share_a_folder(sound: Path, tmp_path: Path) -> None:
    with (
        ClipFolder(tmp_path / "clips", ClipSettings()),
        pytest.raises(UsageError, match="another run is at work"),
    ):
        extract_events(timeline(sound, event(0, 1)), output_dir=tmp_path / "clips")
    extract_events(timeline(sound, event(0, 1)), output_dir=tmp_path / "clips")


@posix
@pytest.mark.parametrize("format", ["wav", "flac"])
def test_a_killed_run_leaves_whole_clips_only_and_is_gone_on_with(tmp_path: Path, format: str) -> None:
    source, folder = tmp_path / "long.wav", tmp_path / "clips"
    soundfile.write(source, tones(62.0, 48_000, 2), 48_000, subtype="FLOAT")
    rows = "".join(f"{source},{start},{start + 2},Class {start}\n" for start in range(60))
    (tmp_path / "events.csv").write_text(f"file,start,end,name\n{rows}")
    command = [sys.executable, "-m", "arwkv_cli", "extract", "--events", str(tmp_path / "events.csv")]
    command += ["--output-dir", str(folder), "--format", format]
    rng = np.random.default_rng(0)
    kills = 0
    for _ in range(8):
        before = len(list(folder.glob(f"*.{format}"))) if folder.exists() else 0
        running = subprocess.Popen(command, stderr=subprocess.DEVNULL)
        wanted = before + int(rng.integers(0, 15))
        while running.poll() is None and len(list(folder.glob(f"*.{format}"))) <= wanted:
            time.sleep(0.002)
        running.send_signal(signal.SIGKILL)
        kills += running.wait() == -signal.SIGKILL
        whole, _ = soundfile.read(source, dtype="float32")
        for path in folder.glob(f"*.{format}"):
            assert soundfile.info(path).frames == 96_000, path
        if running.returncode == 0:
            break
    assert kills >= 3
    done = subprocess.run(command, capture_output=True, text=True, check=True)
    assert "60 clips (" in done.stderr
    rows = table(folder)
    assert len(rows) == 60
    assert names(folder) == sorted(["clips.csv", *(row["clip"] for row in rows)])  # no leftovers
    for row in rows:
        start = round(float(row["clip_start"]) * 48_000)
        samples, _ = soundfile.read(folder / row["clip"], dtype="float32")
        assert np.abs(samples - whole[start : start + 96_000]).max() <= (0 if format == "wav" else 2**-23)


@posix
def test_a_full_disk_ends_the_run_without_half_a_clip(tmp_path: Path) -> None:
    source, folder = tmp_path / "long.wav", tmp_path / "clips"
    soundfile.write(source, tones(10.0, 48_000, 2), 48_000, subtype="PCM_16")
    program = """
import resource, sys
from test_extract import event, timeline
from arwkv_core.extract import extract_events
resource.setrlimit(resource.RLIMIT_FSIZE, (200_000, 200_000))  # one clip takes 384,000 bytes
events = [event(start, start + 2.0, f"Class {start}") for start in range(3)]
extract_events(timeline(sys.argv[1], *events), output_dir=sys.argv[2])
"""
    done = subprocess.run(
        [sys.executable, "-c", program, str(source), str(folder)],
        env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert "OSError" in done.stderr.splitlines()[-1]
    assert "can't be written" in done.stderr
    assert [name for name in names(folder) if name.endswith(".wav")] == []

"""Clips of recordings that are long, joined of several, damaged, or oddly named."""

import os
import struct
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_files import mp3, tones, with_data_size
from test_extract import decoded, event, names, table, timeline

from arwkv_core.audio import open_audio
from arwkv_core.clip_folder import ClipFolder
from arwkv_core.clip_plan import ClipPlan, ClipSettings
from arwkv_core.extract import extract_events

posix = pytest.mark.skipif(os.name != "posix", reason="names of POSIX")


def test_a_clip_ends_where_rate_and_channels_change(tmp_path: Path) -> None:
    first, second = mp3(tmp_path / "a.mp3", 2.0), mp3(tmp_path / "b.mp3", 2.0, 22_050, 1)
    joined = tmp_path / "joined.mp3"
    joined.write_bytes(first.read_bytes() + second.read_bytes())
    with open_audio(joined) as audio:
        list(audio)
        seconds = audio.decoded_seconds  # not exactly 4
    events = [
        event(0.5, 1.0, "First"),
        event(1.5, 2.75, "Both"),
        event(3.0, 3.5, "Second"),
        event(3.5, seconds),
    ]
    with ClipFolder(tmp_path / "clips", ClipSettings()) as folder:
        one, both, two, last = folder.cut(ClipPlan(str(joined), "", None, events))
    assert (one.sample_rate, one.channels, one.frames) == (44_100, 2, 22_050)
    assert (both.sample_rate, both.channels) == (44_100, 2)
    assert both.end == pytest.approx(2.0, abs=0.1)
    assert (two.sample_rate, two.channels) == (22_050, 1)
    assert two.frames == pytest.approx(11_025, abs=1)
    assert two.start == pytest.approx(3.0, abs=1 / 22_050)
    assert last.end == pytest.approx(seconds, abs=1 / 22_050)  # by the clock that the model's events have
    assert folder.warnings == [
        f"{joined}: its sample rate or channels change at {both.end:.3f} s; joined_00001.500_Both.wav ends there"
    ]
    spectrum = np.abs(np.fft.rfft(soundfile.read(tmp_path / "clips" / two.path)[0]))
    assert np.argmax(spectrum) * 2 == pytest.approx(300, abs=4)


def test_recordings_that_break_off_or_lie_about_their_length(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "whole.wav", tones(3.0), 44_100, subtype="PCM_16")
    whole = (tmp_path / "whole.wav").read_bytes()
    (tmp_path / "cut.wav").write_bytes(whole[: len(whole) * 2 // 3])
    (tmp_path / "piped.wav").write_bytes(with_data_size(whole, 0xFFFFFFFF))
    for name in ("cut", "piped"):
        samples = decoded(tmp_path / f"{name}.wav")
        clip, late = extract_events(
            timeline(tmp_path / f"{name}.wav", event(0.5, 1.0), event(1.5, 10.0)), output_dir=tmp_path / name
        )
        found, _ = soundfile.read(tmp_path / name / clip.path, dtype="float32")
        assert np.array_equal(found, samples[22_050:44_100])
        assert late.end == len(samples) / 44_100


@posix
def test_odd_names(tmp_path: Path) -> None:
    odd = [
        "new\nline.wav",
        "undecodable \udcff.wav",
        "VÖGEL 鳥 🐦.wav",
        ".wav",
        "-x.wav",
        "x" * 250 + ".wav",
        "*?.wav",
    ]
    sound = tones(1.0, 8000, 1)
    timelines = []
    for name in odd:
        with open(os.fsencode(tmp_path / name), "wb") as file:  # noqa: PTH123 (bytes)
            soundfile.write(file, sound, 8000, format="WAV", subtype="PCM_16")
        timelines.append(timeline(f"{tmp_path}/{name}", event(0.25, 0.5, "a/b\\c: 犬\udcff")))
    for kept in (False, True):
        clips = extract_events(timelines, output_dir=tmp_path / "clips", name_template="{stem} {class}")
        assert [clip.kept for clip in clips] == [kept] * len(odd)
    paths = [clip.path for clip in clips]
    assert paths[0] == "new_line a_b_c_ 犬_.wav"
    assert paths[2] == "VÖGEL 鳥 🐦 a_b_c_ 犬_.wav"
    assert sorted(names(tmp_path / "clips")) == sorted(["clips.csv", *paths])
    for clip in clips:
        assert soundfile.info(tmp_path / "clips" / clip.path).frames == 2000
    assert [row["file"] for row in table(tmp_path / "clips")] == [
        f"{tmp_path}/{name}".encode("utf-8", "backslashreplace").decode() for name in odd
    ]


def test_memory_does_not_grow_with_the_recording(tmp_path: Path) -> None:
    program = """
import resource, sys
from test_extract import event, timeline
from arwkv_core.extract import extract_events
seconds = int(sys.argv[2])
events = [event(0.0, seconds, "All"), event(seconds / 3, seconds / 2, "Part"), event(seconds - 1, seconds, "End")]
extract_events(timeline(sys.argv[1], *events), output_dir=sys.argv[3])
print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss)
"""
    used = []
    for seconds in (20, 1200):
        path = tmp_path / f"{seconds}.wav"
        soundfile.write(path, np.zeros((1, 2)), 48_000, subtype="PCM_16")
        size = seconds * 48_000 * 4
        with path.open("r+b") as file:  # silence that takes no room on the disk
            file.seek(40)
            file.write(struct.pack("<I", size))
            file.truncate(44 + size)
        done = subprocess.run(
            [sys.executable, "-c", program, str(path), str(seconds), str(tmp_path / f"clips{seconds}")],
            env=os.environ | {"PYTHONPATH": str(Path(__file__).parent)},
            capture_output=True,
            text=True,
            check=True,
        )
        used.append(int(done.stdout))
        assert int(table(tmp_path / f"clips{seconds}")[0]["frames"]) == seconds * 48_000
    assert used[1] - used[0] < 20_000  # kB; all of the recording would be 230,000

"""Clips hold exactly the sound of their events, from whatever they are cut."""

import csv
from datetime import datetime, timedelta, timezone
from pathlib import Path

import numpy as np
import pytest
import soundfile
from sound_files import encode, mp3, tones

from arwkv_core.audio_source import AudioSource
from arwkv_core.decode import open_decoder
from arwkv_core.errors import AudioError, UsageError
from arwkv_core.extract import extract_events
from arwkv_core.results import Coverage, Event, StartTime, Timeline
from arwkv_core.sound_chunk import find_sound_chunk

RATE = 44_100


def event(start: float, end: float, name: str = "Dog", max: float = 0.9, mean: float = 0.5) -> Event:
    return Event(start, end, name, f"/m/{name.lower()}", mean, max)


def timeline(file: Path | str, *events: Event, began: StartTime | None = None) -> Timeline:
    return Timeline(str(file), "gate", Coverage(None, 10.0, 0.0, 10.0, 63, 0), list(events), start_time=began)


def decoded(path: Path) -> np.ndarray:
    """All samples (frames, channels) as the tool's own decoders give them."""
    source = AudioSource(path)
    decoder = open_decoder(source, find_sound_chunk(source.file, source.size))
    samples = np.concatenate([block.samples for block in decoder.blocks()])
    decoder.close()
    source.close()
    return samples


def table(folder: Path) -> list[dict[str, str]]:
    with (folder / "clips.csv").open(encoding="utf-8", newline="") as file:
        return list(csv.DictReader(file))


def names(folder: Path) -> list[str]:
    return sorted(str(path.relative_to(folder)) for path in folder.rglob("*") if path.is_file())


@pytest.mark.parametrize("format", ["wav", "flac"])
@pytest.mark.parametrize(
    ("subtype", "dtype", "kept"),
    [("PCM_U8", "int16", "PCM_U8"), ("PCM_16", "int16", "PCM_16"), ("PCM_24", "int32", "PCM_24")],
)
def test_whole_numbers_are_kept_to_the_bit(
    tmp_path: Path, format: str, subtype: str, dtype: str, kept: str
) -> None:
    rng = np.random.default_rng(0)
    whole = rng.integers(
        np.iinfo(dtype).min, np.iinfo(dtype).max, (RATE * 3 + 17, 2), dtype=dtype, endpoint=True
    )
    soundfile.write(tmp_path / "noise.wav", whole, RATE, subtype=subtype)  # all values, the extreme ones too
    whole, _ = soundfile.read(tmp_path / "noise.wav", dtype=dtype)
    events = [event(0.0, 0.16), event(0.160001, 2.0), event(1.0, 2.5, "Cat"), event(2.99, 3.0)]
    clips = extract_events(
        timeline(tmp_path / "noise.wav", *events), output_dir=tmp_path / "clips", format=format
    )
    for clip, cut in zip(clips, events, strict=True):
        samples, rate = soundfile.read(tmp_path / "clips" / clip.path, dtype=dtype)
        assert rate == RATE
        assert np.array_equal(samples, whole[round(cut.start * RATE) : round(cut.end * RATE)])
        assert clip.frames == len(samples)
        assert (clip.start, clip.end) == (round(cut.start * RATE) / RATE, round(cut.end * RATE) / RATE)
        found = soundfile.info(tmp_path / "clips" / clip.path).subtype
        assert found == {("PCM_U8", "flac"): "PCM_S8"}.get((subtype, format), kept)


@pytest.mark.parametrize(
    ("subtype", "dtype"), [("FLOAT", "float32"), ("DOUBLE", "float64"), ("PCM_32", "int32")]
)
def test_more_than_24_bits_are_kept_in_wav(tmp_path: Path, subtype: str, dtype: str) -> None:
    rng = np.random.default_rng(0)
    whole = rng.normal(0, 3, (RATE, 2)).astype(dtype) if dtype != "int32" else None
    if whole is None:
        whole = rng.integers(-(2**31), 2**31 - 1, (RATE, 2), dtype=np.int32)
    else:
        whole[100, 0], whole[200, 1] = np.inf, np.nan  # of no use, but not ours to change
    soundfile.write(tmp_path / "noise.wav", whole, RATE, subtype=subtype)
    (clip,) = extract_events(timeline(tmp_path / "noise.wav", event(0, 0.5)), output_dir=tmp_path / "clips")
    samples, _ = soundfile.read(tmp_path / "clips" / clip.path, dtype=dtype)
    assert soundfile.info(tmp_path / "clips" / clip.path).subtype == subtype
    assert np.array_equal(samples, whole[: RATE // 2], equal_nan=dtype != "int32")


def test_loud_floating_point_is_made_softer_in_flac_never_clipped(tmp_path: Path) -> None:
    whole = tones(2.0) * 4  # beyond full scale
    whole[5] = np.nan
    soundfile.write(tmp_path / "loud.wav", whole, RATE, subtype="FLOAT")
    soft, loud = extract_events(
        timeline(tmp_path / "loud.wav", event(0.0, 1.0, "Soft"), event(1.0, 2.0, "Loud")),
        output_dir=tmp_path / "clips",
        format="flac",
    )
    assert 0.5 < loud.gain < 1
    samples, _ = soundfile.read(tmp_path / "clips" / loud.path)
    assert np.abs(samples).max() < 1
    assert np.abs(samples / loud.gain - whole[RATE:]).max() < 2**-21
    assert [float(row["gain"]) for row in table(tmp_path / "clips")] == [
        pytest.approx(clip.gain, abs=1e-6) for clip in (soft, loud)
    ]
    again = extract_events(
        timeline(tmp_path / "loud.wav", event(1.0, 2.0, "Loud")), output_dir=tmp_path / "clips", format="flac"
    )
    assert again[0].kept
    assert again[0].gain == loud.gain
    assert not [name for name in names(tmp_path / "clips") if "partial" in name]


def test_quiet_floating_point_keeps_its_level_in_flac(tmp_path: Path) -> None:
    whole = tones(1.0)
    soundfile.write(tmp_path / "a.wav", whole, RATE, subtype="FLOAT")
    (clip,) = extract_events(
        timeline(tmp_path / "a.wav", event(0, 1)), output_dir=tmp_path / "c", format="flac"
    )
    samples, _ = soundfile.read(tmp_path / "c" / clip.path)
    assert clip.gain == 1
    assert np.abs(samples - whole).max() <= 2**-24


@pytest.mark.parametrize("kind", ["mp3", "m4a", "flac", "ogg", "aiff"])
@pytest.mark.parametrize("format", ["wav", "flac", "ogg"])
def test_any_format_is_cut_as_it_is_decoded(tmp_path: Path, kind: str, format: str) -> None:
    path = tmp_path / f"sound.{kind}"
    if kind == "mp3":
        mp3(path)
    elif kind == "m4a":
        encode(path, "aac", tones(3.0), RATE)
    else:
        soundfile.write(path, tones(3.0), RATE)
    whole = decoded(path)
    clips = extract_events(
        timeline(path, event(0.0, 1.0), event(0.5, 2.0, "Cat"), event(2.5, 3.0)),
        output_dir=tmp_path / "clips",
        format=format,
    )
    assert len(clips) == 3
    for clip, (start, end) in zip(clips, [(0.0, 1.0), (0.5, 2.0), (2.5, 3.0)], strict=True):
        samples, rate = soundfile.read(tmp_path / "clips" / clip.path, dtype="float32", always_2d=True)
        expected = whole[round(start * RATE) : round(end * RATE)]
        assert (rate, samples.shape) == (RATE, expected.shape)
        tolerance = {"wav": 0.0, "flac": 2**-24, "ogg": 0.2}[format]
        assert np.abs(samples - expected).max() <= tolerance


def test_channels_and_rate_are_those_of_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(1.0, 250_000, 6), 250_000, subtype="PCM_16")
    (clip,) = extract_events(timeline(tmp_path / "a.wav", event(0.25, 0.5)), output_dir=tmp_path / "clips")
    assert (clip.sample_rate, clip.channels, clip.frames) == (250_000, 6, 62_500)
    for format, why in (("ogg", "250000 Hz"), ("flac", None)):
        if why is None:
            extract_events(
                timeline(tmp_path / "a.wav", event(0, 1)), output_dir=tmp_path / "c", format=format
            )
            continue
        with pytest.raises(AudioError, match=f"{why}; --format wav"):
            extract_events(
                timeline(tmp_path / "a.wav", event(0, 1)), output_dir=tmp_path / "c", format=format
            )


def test_padding_stays_inside_the_recording(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(3.0), RATE, subtype="PCM_16")
    whole, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    clips = extract_events(
        timeline(tmp_path / "a.wav", event(0.2, 0.4), event(1.5, 1.6), event(2.9, 3.0)),
        output_dir=tmp_path / "clips",
        pad=0.5,
    )
    assert [(clip.start, clip.end) for clip in clips] == [
        (0.0, round(0.9 * RATE) / RATE),
        (1.0, round(2.1 * RATE) / RATE),
        (round(2.4 * RATE) / RATE, 3.0),
    ]
    samples, _ = soundfile.read(tmp_path / "clips" / clips[0].path, dtype="int16")
    assert np.array_equal(samples, whole[: round(0.9 * RATE)])
    rows = table(tmp_path / "clips")
    assert [rows[0][column] for column in ("start", "clip_start", "clip_end")] == ["0.2", "0.0", "0.9"]
    everything = extract_events(
        timeline(tmp_path / "a.wav", event(1, 2)), output_dir=tmp_path / "all", pad=1e9
    )
    assert everything[0].frames == len(whole)


def test_more_clips_at_once_than_files_may_be_open(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(2.0, 8000, 1), 8000, subtype="PCM_16")
    whole, _ = soundfile.read(tmp_path / "a.wav", dtype="int16")
    events = [event(0.01 * number, 1.0 + 0.005 * number, f"Class {number}") for number in range(130)]
    clips = extract_events(timeline(tmp_path / "a.wav", *events), output_dir=tmp_path / "clips")
    assert len({clip.path for clip in clips}) == 130
    for clip, cut in zip(clips, events, strict=True):
        samples, _ = soundfile.read(tmp_path / "clips" / clip.path, dtype="int16")
        assert np.array_equal(samples, whole[round(cut.start * 8000) : round(cut.end * 8000)])


def test_the_best_of_each_class_over_all_recordings(tmp_path: Path) -> None:
    for name in "ab":
        soundfile.write(tmp_path / f"{name}.wav", tones(4.0, 8000, 1), 8000, subtype="PCM_16")
    timelines = [
        timeline(tmp_path / "a.wav", event(0, 1, max=0.5), event(1, 2, max=0.9), event(2, 3, "Cat", max=0.4)),
        timeline(tmp_path / "b.wav", event(0, 1, max=0.7), event(1, 2, max=0.5), event(2, 3, max=0.8)),
    ]
    clips = extract_events(
        timelines, output_dir=tmp_path / "clips", max_per_class=2, name_template="{stem}{index}"
    )
    assert [(Path(clip.file).name, clip.event.name, clip.event.max) for clip in clips] == [
        ("a.wav", "Dog", 0.9),
        ("a.wav", "Cat", 0.4),
        ("b.wav", "Dog", 0.8),
    ]
    assert [clip.path for clip in clips] == ["a0001.wav", "a0002.wav", "b0001.wav"]
    ties = [timeline(tmp_path / "a.wav", *[event(n, n + 1, max=0.5) for n in range(4)])]
    (first,) = extract_events(ties, output_dir=tmp_path / "ties", max_per_class=1)
    assert first.event.start == 0


def test_classes_and_scores_are_chosen(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(4.0, 8000, 1), 8000, subtype="PCM_16")
    heard = timeline(
        tmp_path / "a.wav",
        event(0, 1, max=0.5),
        event(1, 2, "Cat", max=0.6),
        event(2, 3, "Own bird", max=0.3),
    )

    def cut(**options: object) -> list[str]:
        clips = extract_events(heard, output_dir=tmp_path / "none", dry_run=True, **options)  # type: ignore[arg-type]
        return [clip.event.name for clip in clips]

    assert cut() == ["Dog", "Cat", "Own bird"]
    assert cut(include="dog") == ["Dog"]
    assert cut(include=["/m/cat", " OWN BIRD "]) == ["Cat", "Own bird"]
    assert cut(exclude=["Dog"]) == ["Cat", "Own bird"]
    assert cut(include=["Speech"]) == []  # a class, though none of these events
    assert cut(min_score=0.5) == ["Dog", "Cat"]
    with pytest.raises(UsageError, match=r"--include: no class 'Own brid' .*did you mean 'Own bird'"):
        cut(include=["Own brid"])
    assert not (tmp_path / "none").exists()


def test_times_by_the_clock(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(4.0, 8000, 1), 8000, subtype="PCM_16")
    began = StartTime(datetime(2026, 5, 14, 5, 30, tzinfo=timezone(timedelta(hours=2))), "guano")
    (clip,) = extract_events(
        timeline(tmp_path / "a.wav", event(1.5, 2), began=began),
        output_dir=tmp_path / "clips",
        pad=0.25,
        name_template="{clock}_{class}",
    )
    assert clip.path == "20260514T053001.250+0200_Dog.wav"
    (row,) = table(tmp_path / "clips")
    assert row["start_time"] == "2026-05-14T05:30:01.500000+02:00"
    assert row["clip_start_time"] == "2026-05-14T05:30:01.250000+02:00"


def test_events_behind_the_end_are_told_and_the_others_cut(tmp_path: Path) -> None:
    soundfile.write(tmp_path / "a.wav", tones(1.0, 8000, 1), 8000, subtype="PCM_16")
    heard = timeline(tmp_path / "a.wav", event(0, 1), event(5, 6), event(0.5, 7))
    with pytest.raises(AudioError, match=r"a\.wav: 1 event lies behind its end, the first at 5\.000 s"):
        extract_events(heard, output_dir=tmp_path / "clips")
    assert len([name for name in names(tmp_path / "clips") if name.endswith(".wav")]) == 2


@pytest.mark.parametrize(
    "options",
    [
        {"pad": -1},
        {"pad": float("nan")},
        {"pad": float("inf")},
        {"max_per_class": 0},
        {"min_score": 1.5},
        {"format": "mp3"},
        {"name_template": "{nothing}"},
    ],
)
def test_numbers_out_of_range_are_refused(tmp_path: Path, options: dict[str, object]) -> None:
    with pytest.raises(UsageError, match=r"--.*: expected .*, found"):
        extract_events([], output_dir=tmp_path / "clips", **options)  # type: ignore[arg-type]
    assert not (tmp_path / "clips").exists()


def test_what_can_not_be_read_twice_is_refused(tmp_path: Path) -> None:
    with pytest.raises(AudioError, match="read twice"):
        extract_events(timeline("-", event(0, 1)), output_dir=tmp_path / "clips")
    with pytest.raises(OSError, match="No such file"):
        extract_events(timeline(tmp_path / "gone.wav", event(0, 1)), output_dir=tmp_path / "clips")
    with pytest.raises(AudioError, match="is a folder"):
        extract_events(timeline(tmp_path, event(0, 1)), output_dir=tmp_path / "clips")

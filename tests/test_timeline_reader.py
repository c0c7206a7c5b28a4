"""Timelines are read back as they were written, and tables that somebody made are taken or refused by line."""

import io
from contextlib import suppress
from datetime import datetime, timedelta, timezone
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.errors import UsageError
from arwkv_core.results import Coverage, Event, StartTime, Timeline
from arwkv_core.timeline_reader import for_recordings, read_timelines
from arwkv_core.writers import TIMELINE_FORMATS

FORMATS = ("csv", "json", "jsonl", "parquet")
LABEL_FORMATS = ("audacity", "raven", "sed-events")


def timeline(file: str, *events: Event, began: datetime | None = None) -> Timeline:
    start = None if began is None else StartTime(began, "name")
    return Timeline(file, "gate", Coverage(None, 20.0, 0.0, 20.0, 125, 0), list(events), {}, start)


def write(path: Path, timelines: list[Timeline]) -> Path:
    format = TIMELINE_FORMATS[path.suffix[1:]]
    if format.binary:
        with path.open("wb") as file:
            _write(format, file, timelines)
    else:
        with path.open("w", encoding="utf-8", errors="backslashreplace", newline="") as file:
            _write(format, file, timelines)
    return path


def _write(format: object, file: object, timelines: list[Timeline]) -> None:
    writer = format.writer(file)  # type: ignore[attr-defined]
    for each in timelines:
        writer.write(each)
    writer.close()


@pytest.mark.parametrize("format", FORMATS)
@pytest.mark.parametrize("zone", [None, timezone.utc, timezone(timedelta(hours=-3, minutes=-30))])
def test_what_was_written_is_read_back(tmp_path: Path, format: str, zone: timezone | None) -> None:
    began = datetime(2026, 5, 14, 5, 30, 0, 250_000, tzinfo=zone)
    odd = ["a, b.wav", 'quote".wav', "line\nend.wav", "VÖGEL 鳥.wav", "NA", "undecodable \udcff.wav"]
    events = [
        Event(0.16, 0.48, "Dog", "/m/0bt9lr", 0.25, 0.5),
        Event(0.16, 20.0, "Caterwaul, meow", "/m/07qrkrw", 0.125, 1.0),
        Event(7.04, 7.2, "speech", "group:speech", 0.125, 0.75),
    ]
    written = [timeline(file, *events, began=began) for file in odd] + [timeline("silent.wav")]
    for each in written[:-1]:
        each.events.sort(key=lambda event: (event.start, event.name))
        if format != "json" or "\n" not in each.file:
            (tmp_path / each.file).touch()
    read = read_timelines(write(tmp_path / f"events.{format}", written))
    assert [Path(each.file).name for each in read] == [each.file for each in written]
    for before, after in zip(written, read, strict=True):
        assert after.events == before.events
        if before.events:
            assert after.start_time is not None
            assert after.start_time.time == began
            assert after.start_time.time.utcoffset() == began.utcoffset()
            assert after.model == "gate"


@pytest.mark.parametrize("format", LABEL_FORMATS)
def test_label_files_are_read_back(tmp_path: Path, format: str) -> None:
    spec = TIMELINE_FORMATS[format]
    events = [
        Event(0.16, 0.48, "Dog", "/m/0bt9lr", 0.25, 0.5),
        Event(1.0, 20.0, "Speech", "/m/09x0r", 0.1, 1.0),
    ]
    written = [timeline("dawn.wav", *events), timeline("dusk, late.wav", *events[1:])][: 1 + spec.several]
    path = tmp_path / f"dawn.wav{spec.suffix}"
    with path.open("w", encoding="utf-8", newline="") as file:
        _write(spec, file, written)
    read = read_timelines(path)
    assert [each.file for each in read] == [each.file for each in written]
    for before, after in zip(written, read, strict=True):
        spans = [(event.start, event.end, event.name, event.mid) for event in after.events]
        expected = [(event.start, event.end, event.name, event.mid) for event in before.events]
        assert [span[2:] for span in spans] == [span[2:] for span in expected]
        for found, wanted in zip(spans, expected, strict=True):
            assert found[:2] == pytest.approx(wanted[:2], abs=1e-6)


def test_a_label_track_is_about_the_recording_beside_it(tmp_path: Path) -> None:
    (tmp_path / "dawn.FLAC").touch()
    track = tmp_path / "dawn.txt"
    track.write_text("0.5\t1.5\tDog\r\n\\\t100\t8000\r\n")
    (read,) = read_timelines(track)
    assert read.file == str(tmp_path / "dawn.FLAC")
    assert [(event.start, event.end, event.name) for event in read.events] == [(0.5, 1.5, "Dog")]
    (read,) = read_timelines(track, file="other.wav")
    assert read.file == "other.wav"
    track.write_text("")
    assert [each.events for each in read_timelines(track)] == [[]]


def test_a_selection_counts_once_however_many_views_it_has(tmp_path: Path) -> None:
    table = tmp_path / "dawn.selections.txt"
    table.write_text(
        "Selection\tView\tBegin Time (s)\tEnd Time (s)\tSpecies\n"
        "1\tWaveform 1\t0.5\t1.5\tDog\n1\tSpectrogram 1\t0.5\t1.5\tDog\n"
    )
    (read,) = read_timelines(table)
    assert read.file == "dawn"
    assert [(event.start, event.end, event.name) for event in read.events] == [(0.5, 1.5, "Dog")]


def test_a_table_that_somebody_made(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("\ufeffname,start,end,note\r\nDog,1,2.5,x\r\nmy bird,0.5,1,\r\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.csv, line 2: expected the recording in column 'file'"):
        read_timelines(table)
    (read,) = read_timelines(table, file="dawn.wav")
    assert read.file == "dawn.wav"
    assert read.events == [Event(0.5, 1, "my bird", "", 1, 1), Event(1, 2.5, "Dog", "/m/0bt9lr", 1, 1)]
    assert read.start_time is None
    table.write_text("file,start,end,label\ndawn.wav,1,2.5,Dog\n")
    assert read_timelines(table)[0].events == [Event(1, 2.5, "Dog", "/m/0bt9lr", 1, 1)]


def test_rows_of_a_recording_need_not_stand_together(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("file,start,end,name\na,5,6,Dog\nb,0,1,Dog\na,1,2,Cat\n")
    read = read_timelines(table)
    assert [(each.file, len(each.events)) for each in read] == [("a", 2), ("b", 1)]
    assert read[0].events[0].start == 1


@pytest.mark.parametrize(
    ("row", "problem"),
    [
        ("a,1,1,Dog", "expected 0 <= start < end"),
        ("a,2,1,Dog", "expected 0 <= start < end"),
        ("a,-1,1,Dog", "expected 0 <= start < end"),
        ("a,x,1,Dog", "expected a number in column 'start', found 'x'"),
        ("a,0,nan,Dog", "expected a number in column 'end', found 'nan'"),
        ("a,0,inf,Dog", "expected a number in column 'end'"),
        ("a,0", "expected a number in column 'end', found None"),
        ("a,0,1,", "expected a class in column 'name'"),
        (",0,1,Dog", "expected the recording in column 'file'"),
    ],
)
def test_a_bad_row_is_named(tmp_path: Path, row: str, problem: str) -> None:
    table = tmp_path / "mine.csv"
    table.write_text(f"file,start,end,name\na,0,1,Dog\n{row}\n")
    with pytest.raises(UsageError) as caught:
        read_timelines(table)
    assert f"mine.csv, line 3: {problem}" in str(caught.value)


@pytest.mark.parametrize(
    ("name", "content"),
    [
        ("a.json", b"{"),
        ("a.json", b"[1]"),
        ("a.json", b'{"file": "a", "events": {}}'),
        ("a.jsonl", b'{"file": "a", "events": [1]}'),
        ("a.jsonl", b"[" * 100_000),
        ("a.parquet", b"PAR1nonsense"),
        ("a.csv", b"file,start\n\xff,1\n"),
        ("a.csv", b'file,start,end,name\na,0,1,"' + b"x" * 200_000),
        ("a.docx", b""),
        ("a.txt", b"1.0 2.0 Dog\n"),
        ("a.txt", b"1.0\t2.0\n"),
        ("a.txt", b"two\t3\tDog\n"),
        ("a.txt", b"Begin Time (s)\tEnd Time (s)\n"),
        ("a.txt", b"Begin Time (s)\tEnd Time (s)\tLabel\n1\t2\n"),
        ("a.tsv", b"filename\tonset\tevent_label\n"),
        ("a.tsv", b"filename\tonset\toffset\tevent_label\na\t2\t1\tDog\n"),
        ("a.tsv", b"onset\toffset\tevent_label\n0\t1\t" + b"x" * 200_000),
        ("a", b""),
    ],
)
def test_files_of_something_else_are_refused(tmp_path: Path, name: str, content: bytes) -> None:
    (tmp_path / name).write_bytes(content)
    with pytest.raises(UsageError, match=r"--events .*(expected|no JSON|no Parquet|limit)"):
        read_timelines(tmp_path / name)
    with pytest.raises(UsageError, match="can't be read"):
        read_timelines(tmp_path / "gone.csv")


def test_recordings_beside_the_table_are_found(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "site").mkdir()
    (tmp_path / "site/a.wav").touch()
    table = tmp_path / "site/events.csv"
    table.write_text("file,start,end,name\na.wav,0,1,Dog\nb.wav,0,1,Dog\n")
    monkeypatch.chdir(tmp_path)
    assert [each.file for each in read_timelines("site/events.csv")] == ["site/a.wav", "b.wav"]


def test_timelines_of_certain_recordings(tmp_path: Path) -> None:
    (tmp_path / "a.wav").touch()
    heard = [
        timeline(str(tmp_path / "x/../a.wav")),
        timeline("old/b.wav"),
        timeline("1/c.wav"),
        timeline("2/c.wav"),
    ]
    (tmp_path / "x").mkdir()
    picked, missing = for_recordings(heard, [f"{tmp_path}/a.wav", "new/b.wav", "c.wav", "2/c.wav"])
    assert [each.file for each in picked] == [f"{tmp_path}/a.wav", "new/b.wav", "2/c.wav"]
    assert missing == ["c.wav"]  # which of the two?


@given(st.binary(max_size=200), st.sampled_from([".csv", ".json", ".jsonl", ".parquet"]))
def test_no_bytes_break_it(tmp_path_factory: pytest.TempPathFactory, content: bytes, ending: str) -> None:
    path = tmp_path_factory.getbasetemp() / f"noise{ending}"
    path.write_bytes(content)
    with suppress(UsageError):
        read_timelines(path)


def test_what_is_read_can_be_written_again(tmp_path: Path) -> None:
    (read,) = read_timelines(
        write(tmp_path / "a.jsonl", [timeline("a.wav", Event(0, 1, "Dog", "/m/0bt9lr", 0.5, 0.5))])
    )
    stream = io.StringIO()
    TIMELINE_FORMATS["csv"].writer(stream).write(read)
    assert "a.wav,0.0,1.0,Dog,/m/0bt9lr,0.5,0.5" in stream.getvalue()

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


def test_a_table_that_somebody_made(tmp_path: Path) -> None:
    table = tmp_path / "mine.csv"
    table.write_text("\ufeffname,start,end,note\r\nDog,1,2.5,x\r\nmy bird,0.5,1,\r\n", encoding="utf-8")
    with pytest.raises(UsageError, match=r"mine\.csv, line 2: expected the recording in column 'file'"):
        read_timelines(table)
    (read,) = read_timelines(table, file="dawn.wav")
    assert read.file == "dawn.wav"
    assert read.events == [Event(0.5, 1, "my bird", "", 1, 1), Event(1, 2.5, "Dog", "/m/0bt9lr", 1, 1)]
    assert read.start_time is None


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
        ("a.txt", b""),
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

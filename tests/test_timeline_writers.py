"""Every format of timelines: byte for byte as in its golden file, and true to its grammar whatever it is given."""

import csv
import gc
import io
import json
import re
import subprocess
import sys
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from zoneinfo import ZoneInfo

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from timeline_parsers import PARSERS
from timelines import MORNING, NOTHING, ODD_NAME, TIMELINES, fitting, timelines, written

from arwkv_core.errors import UsageError
from arwkv_core.results import Coverage, Event, StartTime, Timeline
from arwkv_core.writers import TIMELINE_FORMATS
from arwkv_core.writers.rttm import class_id, file_id
from arwkv_core.writers.sed_scores import SedScoresWriter

DATA = Path(__file__).parent / "data"
SINGLE = [name for name, format in TIMELINE_FORMATS.items() if not format.several]
EVENT_FORMATS = [name for name in PARSERS if name not in ("chapters", "sed-scores")]


def text_of(format: str, timelines: list[Timeline]) -> str:
    return written(format, timelines).decode("utf-8")


def table_of(timelines: list[Timeline]) -> pa.Table:
    return pq.read_table(io.BytesIO(written("parquet", timelines)))


def as_text(name: str) -> str:
    """How a name stands in a text file: undecodable bytes are spelt out."""
    return name.encode("utf-8", "backslashreplace").decode("utf-8")


@pytest.mark.parametrize("format", [name for name in TIMELINE_FORMATS if name != "parquet"])
def test_golden_file(format: str) -> None:
    golden = DATA / f"timeline{TIMELINE_FORMATS[format].suffix}"
    assert written(format, fitting(format)) == golden.read_bytes()


def test_golden_parquet_file() -> None:
    assert table_of(TIMELINES).equals(pq.read_table(DATA / "timeline.parquet"), check_metadata=True)


def test_suffixes_differ() -> None:
    suffixes = [format.suffix for format in TIMELINE_FORMATS.values()]
    assert len(set(suffixes)) == len(suffixes) == 13
    assert all(name == format.name for name, format in TIMELINE_FORMATS.items())


@pytest.mark.parametrize("format", SINGLE)
def test_a_second_recording_is_refused_where_a_file_holds_one(format: str) -> None:
    with pytest.raises(UsageError, match=f"--format {format}: .*silent.flac.*--output-dir"):
        written(format, [MORNING, NOTHING])


@pytest.mark.parametrize("format", PARSERS)
def test_a_recording_without_events_is_a_document_too(format: str) -> None:
    text = text_of(format, [NOTHING])
    if format == "sed-scores":
        assert PARSERS[format](text) == [(None, 0.0, 0.025, "Speech")]
    else:
        assert PARSERS[format](text) == []
    if format in ("csv", "json", "jsonl", "vtt", "chapters", "sed-events"):
        assert "silent.flac" in text


@pytest.mark.parametrize("format", TIMELINE_FORMATS)
def test_a_run_without_recordings_is_a_document_too(format: str) -> None:
    text = written(format, [])
    if format == "parquet":
        assert pq.read_table(io.BytesIO(text)).schema.names == table_of(TIMELINES).schema.names
    elif format not in ("textgrid", "sed-scores"):  # these have nothing to say without one
        assert PARSERS[format](text.decode()) == []


@settings(max_examples=100, deadline=None)
@given(timelines())
def test_any_events_survive_and_lie_inside_the_recording(timeline: Timeline) -> None:
    seconds = timeline.coverage.decoded_seconds
    for format in EVENT_FORMATS:
        events = PARSERS[format](text_of(format, [timeline]))
        for _, start, end, _ in events:
            assert 0 <= start < end <= seconds, format
        if format == "textgrid":  # where overlaps of a class are one interval
            continue
        # a tick for rounding, and one for those that would have no length at the end
        tolerance = 2.1e-3 if format in ("vtt", "srt") else 2.1e-6
        assert sorted(start for _, start, _, _ in events) == pytest.approx(
            sorted(event.start for event in timeline.events), rel=1e-12, abs=tolerance
        )
        assert sorted(end for _, _, end, _ in events) == pytest.approx(
            sorted(event.end for event in timeline.events), rel=1e-12, abs=tolerance
        )
    expected = [(timeline.file, event.name) for event in timeline.events]
    for format in ("json", "jsonl"):
        events = PARSERS[format](text_of(format, [timeline]))
        assert [(file, name) for file, _, _, name in events] == expected
    table = PARSERS["csv"](text_of("csv", [timeline]))
    assert [event[1:3] for event in table] == [event[1:3] for event in events]
    spelt = [(as_text(file), as_text(name)) for file, name in expected]
    assert [(file, name) for file, _, _, name in table] == spelt
    rows = [row for row in table_of([timeline]).to_pylist() if row["start"] is not None]
    assert [(row["file"], row["start"], row["end"], row["name"]) for row in rows] == table


@settings(max_examples=50, deadline=None)
@given(timelines())
def test_json_carries_all_that_is_known(timeline: Timeline) -> None:
    (record,) = json.loads(text_of("json", [timeline]))
    assert record == json.loads(text_of("jsonl", [timeline]))
    assert record["schema_version"] == 1
    assert (record["file"], record["model"]) == (timeline.file, timeline.model)
    assert record["settings"] == timeline.settings
    assert record["warnings"] == timeline.warnings
    assert record["coverage"]["steps"] == timeline.coverage.steps
    start = timeline.start_time
    if start is None:
        assert record["start_time"] is None
        assert {event["start_time"] for event in record["events"]} <= {None}
        return
    began = datetime.fromisoformat(record["start_time"]["time"])
    assert began == start.time
    assert record["start_time"]["source"] == start.source
    for event in record["events"]:
        for name in ("start", "end"):
            time = datetime.fromisoformat(event[f"{name}_time"])
            assert (time.tzinfo is None) == (start.time.tzinfo is None)
            assert (time - began).total_seconds() == pytest.approx(event[name], abs=1e-6)


@pytest.mark.parametrize("milliseconds", [0.4, 1.0, 1.6])
@pytest.mark.parametrize("format", EVENT_FORMATS)
def test_an_event_at_the_very_end_keeps_a_length(format: str, milliseconds: float) -> None:
    """Rounded to milliseconds, the end would lie after the recording's, or the start at the end."""
    seconds = 9.9997
    event = Event(seconds - milliseconds / 1000, seconds, "Click", "own:1", 0.5, 0.5)
    timeline = Timeline("a.wav", "fake", Coverage(None, seconds, 0, seconds, 62, 0), [event])
    ((_, start, end, _),) = PARSERS[format](text_of(format, [timeline]))
    assert 0 <= start < end <= seconds


def test_clock_times_mind_the_change_to_winter_time() -> None:
    begin = StartTime(datetime(2026, 10, 25, 2, 30, tzinfo=ZoneInfo("Europe/Berlin")), "option")
    event = Event(3600.0, 7200.0, "Rain", "/m/06mb1", 0.5, 0.5)
    timeline = Timeline("a.wav", "fake", Coverage(None, 9e3, 0, 9e3, 56250, 0), [event], {}, begin)
    (row,) = csv.DictReader(io.StringIO(text_of("csv", [timeline])))
    assert row["start_time"] == "2026-10-25T02:30:00.000000+01:00"
    assert row["end_time"] == "2026-10-25T03:30:00.000000+01:00"
    (typed,) = table_of([timeline]).to_pylist()
    assert typed["start_time"] == datetime(2026, 10, 25, 2, 30)
    assert typed["start_time_utc"] == datetime(2026, 10, 25, 1, 30, tzinfo=timezone.utc)


def test_a_clock_that_has_run_out_does_not_stop_the_run() -> None:
    late = replace(MORNING, start_time=StartTime(datetime(9999, 12, 31, 23, 59, 59), "name"))
    rows = list(csv.DictReader(io.StringIO(text_of("csv", [late]))))
    assert rows[0]["start_time"] == "9999-12-31T23:59:59.000000"
    assert rows[-1]["start_time"] == ""


@pytest.mark.parametrize("format", ["csv", "raven"])
def test_columns_are_the_same_whether_the_clock_is_known_or_not(format: str) -> None:
    known, unknown = text_of(format, [MORNING]), text_of(format, [replace(MORNING, start_time=None)])
    assert known.splitlines()[0] == unknown.splitlines()[0]


def test_parquet_has_types_and_says_where_it_comes_from() -> None:
    table = table_of(TIMELINES)
    assert table.schema == table_of([NOTHING]).schema
    assert table.schema.field("start_time").type == pa.timestamp("us")
    assert table.schema.field("start_time_utc").type == pa.timestamp("us", "UTC")
    metadata = {name.decode(): value.decode() for name, value in table.schema.metadata.items()}
    assert json.loads(metadata.pop("arwkv.settings")) == MORNING.settings
    assert metadata == {"arwkv.kind": "timeline", "arwkv.schema_version": "1", "arwkv.model": MORNING.model}
    rows = table.to_pylist()
    assert len(rows) == len(MORNING.events) + 1 + len(ODD_NAME.events)
    empty = rows[len(MORNING.events)]
    assert {name: value for name, value in empty.items() if value is not None} == {
        "file": "silent.flac",
        "decoded_seconds": 0.025,
        "model": "a-rwkv-t-open",
        "schema_version": 1,
    }
    assert rows[-1]["start_time"] == datetime(2026, 5, 14, 5, 30)
    assert rows[-1]["start_time_utc"] is None


def test_a_parquet_file_that_nobody_ends_is_thrown_away_in_silence(monkeypatch: pytest.MonkeyPatch) -> None:
    """As where its recording could not be written: pyarrow would end it into a stream that is closed."""
    said: list[object] = []
    monkeypatch.setattr(sys, "unraisablehook", said.append)
    stream = io.BytesIO()
    writer = TIMELINE_FORMATS["parquet"].writer(stream)
    writer.write(MORNING)
    stream.close()
    del writer
    gc.collect()
    assert said == []


def test_raven_lines_recordings_up() -> None:
    """As Raven does with the sounds of a list: times go on, offsets begin anew."""
    rows = list(csv.DictReader(io.StringIO(text_of("raven", TIMELINES)), delimiter="\t"))
    last = rows[-1]
    assert float(last["Begin Time (s)"]) == pytest.approx(42.345678901 + 0.025, abs=1e-6)
    assert float(last["File Offset (s)"]) == 0
    assert rows[2]["Begin Time (s)"] == rows[2]["File Offset (s)"] == "12.000000"
    assert (rows[0]["Begin Date"], rows[0]["Begin Clock Time"]) == ("2026/05/14", "23:59:59.500")
    assert (rows[2]["Begin Date"], rows[2]["Begin Clock Time"]) == ("2026/05/15", "00:00:11.500")


def test_textgrid_joins_overlaps_of_a_class() -> None:
    events = [Event(start, end, "Rain", "own:1", 0.5, 0.5) for start, end in ((0, 3), (1, 2), (2, 5), (5, 6))]
    timeline = replace(MORNING, events=events)
    spans = [event[1:3] for event in PARSERS["textgrid"](text_of("textgrid", [timeline]))]
    assert spans == [(0, 5), (5, 6)]


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("field/a.wav", "field/a.wav"),
        ("a b_%.wav", "a%20b_%25.wav"),
        ("a\u00a0b\u2028\n.wav", "a%C2%A0b%E2%80%A8%0A.wav"),
        ("NA", "%4EA"),
        (ODD_NAME.file, "caf%E9/t%FC%DF%201.wav"),
        ("\ud800.wav", "%ED%A0%80.wav"),
        ("Größe.wav", "Größe.wav"),
    ],
)
def test_rttm_names_recordings_so_that_they_stay_apart(name: str, written: str) -> None:
    assert file_id(name) == written


@pytest.mark.parametrize(
    ("name", "written"),
    [
        ("Male speech, man speaking", "Male_speech,_man_speaking"),
        ("none", "none_"),
        (" \u3000a\x01\tb ", "a_b"),
        ('"a" b', "'a\"_b"),
        ("N/A", "N/A_"),
    ],
)
def test_rttm_names_classes_without_spaces(name: str, written: str) -> None:
    assert class_id(name) == written


def scores_writer() -> tuple[io.StringIO, SedScoresWriter]:
    stream = io.StringIO()
    return stream, SedScoresWriter(stream)


def test_scores_end_with_the_recording() -> None:
    stream, writer = scores_writer()
    writer.begin("a.wav", ["Speech", "Rain\tfall", "a\\b"])
    writer.add(np.array([[0, 0.5, 1]], np.float32))
    writer.add(np.zeros((0, 3), np.float32))
    writer.add(np.array([[0.123456789, 1e-5, 0.1]], np.float32))
    writer.write(replace(MORNING, coverage=replace(MORNING.coverage, decoded_seconds=0.3299999)))
    writer.close()
    assert stream.getvalue().splitlines() == [
        "onset\toffset\tSpeech\tRain fall\ta/b",
        "0.000000\t0.160000\t0\t0.5\t1",
        "0.160000\t0.329999\t0.123457\t1e-05\t0.1",
    ]


def test_scores_that_cannot_be_told_apart_are_refused() -> None:
    with pytest.raises(UsageError, match=r"--format sed-scores: .* 'Rain'; --exclude"):
        scores_writer()[1].begin("a.wav", ["Rain", "Speech", "Rain"])
    stream, writer = scores_writer()
    writer.begin("a.wav", ["Rain"])
    with pytest.raises(ValueError, match="expected scores of 1 classes"):
        writer.add(np.zeros((3, 2), np.float32))
    with pytest.raises(ValueError, match="no scores"):
        writer.write(MORNING)
    assert stream.getvalue() == "onset\toffset\tRain\n"


def test_subtitles_of_long_recordings_count_hours_on() -> None:
    event = Event(360_000.5, 432_000.0, "Rain", "/m/06mb1", 0.5, 0.5)
    timeline = Timeline("a.wav", "fake", Coverage(None, 432_000.0, 0, 432_000.0, 2_700_000, 0), [event])
    assert "\n100:00:00.500 --> 120:00:00.000\nRain\n" in text_of("vtt", [timeline])
    assert "\r\n100:00:00,500 --> 120:00:00,000\r\nRain\r\n" in text_of("srt", [timeline])


def test_writers_are_imported_without_what_is_heavy() -> None:
    program = (
        "import sys, arwkv_core.writers; print({'numpy', 'pyarrow', 'torch', 'pandas'} & set(sys.modules))"
    )
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, check=True)
    assert done.stdout == "set()\n"


def test_arrows_in_names_do_not_make_cues() -> None:
    for name in ("-->", "a ---> b", "1 --> 2 --> 3"):
        timeline = replace(MORNING, file=f"{name}.wav", events=[Event(0, 1, name, "own:1", 0.5, 0.5)])
        assert len(re.findall("-->", text_of("vtt", [timeline]))) == 1
        assert len(re.findall("-->", text_of("srt", [timeline]))) == 1


def test_the_page_of_formats_names_every_format_and_column(checkout: Path) -> None:
    page = (checkout / "docs" / "formats.md").read_text("utf-8")
    table = page.split("\n\n")[2]
    for name, format in TIMELINE_FORMATS.items():
        (row,) = [row for row in table.splitlines() if f"[`{name}`]" in row]
        assert f"`{format.suffix}`" in row
        assert ("any number" in row) == format.several
    columns = {
        *text_of("csv", []).strip().split(","),
        *text_of("raven", []).strip().split("\t"),
        *text_of("sed-events", []).strip().split("\t"),
        *table_of([]).schema.names,
        *json.loads(text_of("jsonl", [MORNING])),
    }
    assert [column for column in columns if f"`{column}`" not in page] == []

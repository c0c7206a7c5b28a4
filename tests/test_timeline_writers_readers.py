"""Every format of timelines, read back by the program it is meant for or by its best-known reader.

`sed_scores_eval` has to be compiled, so it comes with the extra ``readers``. Where it is missing, the strict parsers of
`timeline_parsers` still read what it would.
"""

import dataclasses
import html
import io
import json
import math
import re
from datetime import timedelta, timezone
from pathlib import Path
from types import ModuleType
from typing import Any

import numpy as np
import pytest
from timeline_parsers import PARSERS
from timelines import MORNING, TIMELINES, fitting, written

from arwkv_core.results import Event, StartTime
from arwkv_core.writers import TIMELINE_FORMATS

DATA = Path(__file__).parent / "data"
ODD_FILE = r"caf\udce9/t\udcfc\udcdf 1.wav"
NOT_INSTALLED = "not here, or can't be imported; a strict parser reads the file in its place"

Spans = list[tuple[float, float, str]]


@pytest.fixture
def saved(tmp_path: Path, request: pytest.FixtureRequest) -> Path:
    """A file of the format that the test is marked with."""
    path = tmp_path / f"timeline{TIMELINE_FORMATS[request.param].suffix}"
    path.write_bytes(written(request.param, fitting(request.param)))
    return path


def of(format: str) -> pytest.MarkDecorator:
    return pytest.mark.parametrize("saved", [format], indirect=True)


def same(found: Spans, events: list[Event], *, seconds: float = 1e-6) -> None:
    """Same names in the same order, and times no further off than the format's tick and a half."""
    assert [name for _, _, name in found] == [event.name for event in events]
    for (start, end, _), event in zip(found, events, strict=True):
        assert start == pytest.approx(event.start, abs=1.5 * seconds)
        assert end == pytest.approx(event.end, abs=1.5 * seconds)


def reader(name: str) -> ModuleType:
    return pytest.importorskip(name, reason=f"{name} is {NOT_INSTALLED}")


@of("csv")
def test_pandas_reads_csv(saved: Path) -> None:
    pandas = reader("pandas")
    table = pandas.read_csv(
        saved, keep_default_na=False, na_values={"start": "", "end": "", "mean": "", "max": ""}
    )
    assert list(table["file"].unique()) == [MORNING.file, "silent.flac", ODD_FILE]
    rows = table[table["file"] == MORNING.file]
    same(list(zip(rows["start"], rows["end"], rows["name"], strict=True)), MORNING.events)
    times = pandas.to_datetime(rows["start_time"])
    assert times.iloc[0].to_pydatetime() == MORNING.start_time.time
    assert table["name"].iloc[-1] == "NA"
    assert table["start"].isna().sum() == 1


def test_the_program_of_the_docs_reads_times_with_and_without_zone(
    checkout: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    reader("pandas")
    page = (checkout / "docs" / "formats.md").read_text("utf-8")
    (program,) = re.findall(r"^```python\n(import pandas.*?)^```$", page, re.DOTALL | re.MULTILINE)
    told = MORNING.start_time.time
    zoneless = dataclasses.replace(MORNING, start_time=StartTime(told.replace(tzinfo=None), "name"))
    for order in ([MORNING, zoneless], [zoneless, MORNING], [TIMELINES[1], zoneless]):
        (tmp_path / "events.csv").write_bytes(written("csv", order))
        monkeypatch.chdir(tmp_path)
        names: dict[str, Any] = {}
        exec(program, names)
        times = [time.to_pydatetime() for time in names["events"]["start_time"]]
        assert times == [
            (timeline.start_time.time + timedelta(seconds=event.start)).replace(
                tzinfo=timeline.start_time.time.tzinfo or timezone.utc
            )
            for timeline in order
            for event in timeline.events
        ]


def test_pandas_reads_json() -> None:
    """But for undecodable file names, which JSON keeps and pandas has no strings for."""
    pandas = reader("pandas")
    documents = json.loads(written("json", TIMELINES[:2]))
    table = pandas.json_normalize(documents, "events", ["file", ["coverage", "decoded_seconds"]])
    same(list(zip(table["start"], table["end"], table["name"], strict=True)), MORNING.events)
    assert pandas.Timestamp(table["end_time"][0]).tz_convert("UTC") == pandas.Timestamp(
        "2026-05-14T22:00:00.62Z"
    )


def test_pandas_reads_json_lines() -> None:
    table = reader("pandas").read_json(io.BytesIO(written("jsonl", TIMELINES[:2])), lines=True)
    assert table["file"].tolist() == [MORNING.file, "silent.flac"]
    assert [len(events) for events in table["events"]] == [len(MORNING.events), 0]


@of("parquet")
def test_pandas_reads_parquet(saved: Path) -> None:
    pandas = reader("pandas")
    table = pandas.read_parquet(saved)
    rows = table[table["file"] == MORNING.file]
    same(list(zip(rows["start"], rows["end"], rows["name"], strict=True)), MORNING.events)
    began = MORNING.start_time.time
    assert table["start_time"].iloc[0] == pandas.Timestamp(began.replace(tzinfo=None))
    assert table["start_time_utc"].iloc[0] == pandas.Timestamp(began.astimezone(timezone.utc))
    assert table["start_time_utc"].isna().tolist() == [False] * 6 + [True] * 2


@of("audacity")
def test_crowsetta_reads_audacity_labels(saved: Path) -> None:
    labels = reader("crowsetta").formats.seq.AudSeq.from_file(saved)
    same(list(zip(labels.start_times, labels.end_times, labels.labels, strict=True)), MORNING.events)


@of("raven")
def test_crowsetta_reads_raven_selections(saved: Path) -> None:
    boxes = reader("crowsetta").formats.bbox.Raven.from_file(saved).to_bbox()
    same([(box.onset, box.offset, box.label) for box in boxes[:-1]], MORNING.events)
    assert (boxes[-1].low_freq, boxes[-1].high_freq, boxes[-1].label) == (50.0, 14_000.0, "NA_")


@of("textgrid")
def test_praatio_reads_textgrids(saved: Path) -> None:
    reader("praatio")
    from praatio import textgrid

    grid = textgrid.openTextgrid(str(saved), includeEmptyIntervals=True, reportingMode="error")
    assert grid.validate(reportingMode="silence")
    assert (grid.minTimestamp, grid.maxTimestamp) == (0, 42.345678)
    assert list(grid.tierNames) == list(dict.fromkeys(event.name for event in MORNING.events))
    found = [tuple(entry) for name in grid.tierNames for entry in grid.getTier(name).entries if entry.label]
    order = {(event.start, event.name): event for event in MORNING.events}
    same(found, [order[key] for key in sorted(order, key=lambda key: (grid.tierNames.index(key[1]), key[0]))])
    for name in grid.tierNames:
        entries = grid.getTier(name).entries
        assert (entries[0].start, entries[-1].end) == (0, 42.345678)


def test_praatio_reads_a_textgrid_without_events(tmp_path: Path) -> None:
    reader("praatio")
    from praatio import textgrid

    path = tmp_path / "silent.TextGrid"
    path.write_bytes(written("textgrid", TIMELINES[1:2]))
    grid = textgrid.openTextgrid(str(path), includeEmptyIntervals=True, reportingMode="error")
    assert [tuple(entry) for entry in grid.getTier("events").entries] == [(0, 0.025, "")]


@of("rttm")
def test_pyannote_reads_rttm(saved: Path) -> None:
    reader("pyannote.core")
    reader("pyannote.database")
    from pyannote.database.util import load_rttm

    recordings = load_rttm(saved)
    assert set(recordings) == {"field/2026%2005,%20morning.wav", "caf%E9/t%FC%DF%201.wav"}
    tracks = recordings["field/2026%2005,%20morning.wav"].itertracks(yield_label=True)
    found = sorted((segment.start, segment.end, label.replace("_", " ")) for segment, _, label in tracks)
    same(found, MORNING.events)
    assert max(end for _, end, _ in found) <= MORNING.coverage.decoded_seconds


@of("vtt")
def test_webvtt_reads_vtt(saved: Path) -> None:
    captions = reader("webvtt").read(str(saved))
    found = [(c.start_in_seconds, c.end_in_seconds, html.unescape(c.text)) for c in captions]
    assert [name for _, _, name in found] == [event.name for event in MORNING.events]
    times = [(cue.start, cue.end) for cue in captions]
    assert times[0] == ("00:00:00.000", "00:00:01.120")
    assert times[3] == ("00:00:30.400", "00:00:30.401")
    assert times[-1] == ("00:00:42.344", "00:00:42.345")


@of("srt")
def test_webvtt_reads_srt(saved: Path) -> None:
    captions = reader("webvtt").from_srt(str(saved))
    swap = str.maketrans("‹›", "<>")
    assert [cue.text.translate(swap) for cue in captions] == [event.name for event in MORNING.events]
    assert [(cue.start, cue.end) for cue in captions][-2:] == [
        ("00:00:41.600", "00:00:42.345"),
        ("00:00:42.344", "00:00:42.345"),
    ]


@of("sed-scores")
def test_sed_scores_eval_reads_scores(saved: Path) -> None:
    io_module = reader("sed_scores_eval").io
    table = io_module.read_sed_scores(saved)  # refuses gaps, overlaps and steps of no length
    assert list(table.columns) == ["onset", "offset", "Speech", "Rain"]
    steps = MORNING.coverage.steps
    assert len(table) == steps
    expected = np.linspace(0, 1, 2 * steps, dtype=np.float32).reshape(steps, 2)
    np.testing.assert_allclose(table[["Speech", "Rain"]].to_numpy(), expected, rtol=1e-5)
    assert table["offset"].iloc[-1] == 42.345678


@of("sed-events")
def test_sed_scores_eval_reads_events(saved: Path) -> None:
    recordings = reader("sed_scores_eval").io.read_ground_truth_events(saved)
    assert list(recordings) == ["field/2026 05, morning", "silent", ODD_FILE.removesuffix(".wav")]
    same([tuple(event) for event in recordings["field/2026 05, morning"]], MORNING.events)
    assert recordings["silent"] == []


@of("sed-events")
def test_dcase_util_reads_events(saved: Path, tmp_path: Path) -> None:
    reader("dcase_util")
    from dcase_util.containers import MetaDataContainer

    path = saved.rename(tmp_path / "events.csv")  # it knows formats by their ending, and none by .tsv
    rows = MetaDataContainer(filename=str(path)).load(delimiter="\t")
    assert [row.filename for row in rows][5:7] == [MORNING.file, "silent.flac"]
    same([(row.onset, row.offset, row.event_label) for row in rows[:6]], MORNING.events)
    assert rows[6].event_label is None


@pytest.mark.parametrize("format", PARSERS)
def test_the_strict_parsers_read_the_golden_files(format: str) -> None:
    """They stand in for readers that are not installed, so they must read what is written."""
    golden = DATA / f"timeline{TIMELINE_FORMATS[format].suffix}"
    events = PARSERS[format](golden.read_bytes().decode("utf-8"))
    if format == "sed-scores":
        assert len(events) == MORNING.coverage.steps
    elif format == "chapters":
        assert [event[3] for event in events] == ["Speech", MORNING.events[2].name, "Speech"]
    else:
        assert len(events) == len(MORNING.events) + (1 if TIMELINE_FORMATS[format].several else 0)
    assert all(math.isfinite(start) and start < end for _, start, end, _ in events)


@pytest.mark.parametrize(
    ("format", "damage"),
    [
        ("audacity", lambda text: text.replace("\t", " ", 1)),
        ("raven", lambda text: text.replace("Spectrogram 1\t", "", 1)),
        ("textgrid", lambda text: text.replace('""', '"', 1)),
        ("textgrid", lambda text: text.replace("xmin = 1.120000", "xmin = 1.130000")),
        ("rttm", lambda text: text.replace("_", " ", 1)),
        ("vtt", lambda text: text.replace("&amp;", "&", 1)),
        ("vtt", lambda text: text.replace("00:00:30.400 -->", "00:00:00.400 -->", 1)),
        ("srt", lambda text: text.replace("\r\n", "\n", 1)),
        ("chapters", lambda text: text.replace('"startTime": 12.0', '"startTime": 11.0')),
        ("sed-scores", lambda text: text.replace("\n0.320000", "\n0.330000", 1)),
        ("sed-events", lambda text: text.replace("\t", ",", 1)),
    ],
)
def test_the_strict_parsers_refuse_what_is_wrong(format: str, damage) -> None:
    golden = DATA / f"timeline{TIMELINE_FORMATS[format].suffix}"
    damaged = damage(golden.read_bytes().decode("utf-8"))
    with pytest.raises((AssertionError, ValueError)):
        PARSERS[format](damaged)

"""Every format: byte for byte as in its golden file, and read back to what was written."""

import csv
import io
import json
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from rich.console import Console

from arwkv_cli.plain_text import clock, printable, span
from arwkv_cli.table import TableWriter
from arwkv_core.results import Coverage, Tag, TagResult
from arwkv_core.writers import BINARY_TAG_FORMATS, TAG_WRITERS

UNDECODABLE = b"caf\xe9/t\xfc\xdf.wav".decode("utf-8", "surrogateescape")
FIRST = TagResult(
    file="field/2026 05, morning.wav",
    model="a-rwkv-t-open",
    pool="mean",
    active_threshold=0.5,
    coverage=Coverage(12.0, 12.345678901, 0.5, 12.335, 78, 3),
    tags=[
        Tag("Bird vocalization, bird call, bird song", "/m/020bb7", 0.7612344, 0.99, 9.92),
        Tag("Rain", "/m/06mb1", 0.1, 0.25, 0.0),
    ],
    warnings=["the header says 12 s, 12.3 s were decoded", 'a "quoted"\nwarning'],
)
NOTHING = TagResult("silent.flac", "a-rwkv-t-open", "max", 0.5, Coverage(None, 0.025, 0.0, 0.025, 1, 0), [])
ODD_NAME = TagResult(
    UNDECODABLE,
    "a-rwkv-t-open",
    "active",
    0.1,
    Coverage(3.0, 3.0, 0.0, 2.995, 19, 0),
    [Tag("Größe ✓", "own:1", 1, 1, 3.0)],
)
RESULTS = [FIRST, NOTHING, ODD_NAME]
TEXT_FORMATS = [format for format in TAG_WRITERS if format not in BINARY_TAG_FORMATS]
DATA = Path(__file__).parent / "data"


def written(format: str, results: list[TagResult]) -> str:
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
    writer = TAG_WRITERS[format](stream)
    for result in results:
        writer.write(result)
        assert raw.getvalue(), "a result must be flushed as soon as it is written"
    writer.close()
    return raw.getvalue().decode("utf-8")


def parquet(results: list[TagResult]) -> pa.Table:
    raw = io.BytesIO()
    writer = TAG_WRITERS["parquet"](raw)
    for result in results:
        writer.write(result)
    writer.close()
    return pq.read_table(io.BytesIO(raw.getvalue()))


@pytest.mark.parametrize("format", TEXT_FORMATS)
def test_golden_file(format: str) -> None:
    assert written(format, RESULTS) == (DATA / f"tags.{format}").read_bytes().decode("utf-8")


def test_golden_parquet_file() -> None:
    golden = pq.read_table(DATA / "tags.parquet")
    table = parquet(RESULTS)
    assert table.equals(golden, check_metadata=True)
    assert table.schema.metadata == {b"arwkv.kind": b"tags", b"arwkv.schema_version": b"1"}


def test_parquet_holds_what_the_csv_holds() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", RESULTS), newline="")))
    columns = parquet(RESULTS).to_pylist()
    assert [list(row) for row in columns] == [list(row) for row in rows]
    for row, cells in zip(columns, rows, strict=True):
        assert {name: type(value)(cells[name]) for name, value in row.items()} == row


def test_parquet_of_no_recordings_has_its_columns() -> None:
    assert parquet([]).schema == parquet(RESULTS).schema


def test_parquet_is_written_in_groups(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("arwkv_core.writers.parquet_table.GROUP_ROWS", 2)
    raw = io.BytesIO()
    writer = TAG_WRITERS["parquet"](raw)
    begun = len(raw.getvalue())
    for _ in range(3):
        writer.write(FIRST)
        assert len(raw.getvalue()) > begun, "rows must not pile up in memory"
        begun = len(raw.getvalue())
    writer.write(ODD_NAME)
    writer.close()
    file = pq.ParquetFile(io.BytesIO(raw.getvalue()))
    assert [file.metadata.row_group(group).num_rows for group in range(file.num_row_groups)] == [2, 2, 2, 1]
    assert not raw.closed


def test_a_carriage_return_in_a_name_ends_no_row() -> None:
    odd = replace(FIRST, file="a\rb\r\n.wav")
    rows = list(csv.reader(io.StringIO(written("csv", [odd]), newline="")))
    assert [row[0] for row in rows] == ["file", odd.file, odd.file]


def same(read: dict, result: TagResult) -> None:
    assert read["schema_version"] == 1
    assert read["file"] == result.file
    assert read["model"] == result.model
    assert read["coverage"] == {
        "header_seconds": result.coverage.header_seconds,
        "decoded_seconds": round(result.coverage.decoded_seconds, 6),
        "filled_seconds": result.coverage.filled_seconds,
        "analysed_seconds": result.coverage.analysed_seconds,
        "steps": result.coverage.steps,
        "invalid_samples": result.coverage.invalid_samples,
    }
    assert [list(tag) for tag in read["tags"]] == [["name", "mid", "mean", "max", "active_seconds"]] * len(
        result.tags
    )
    assert [tag["name"] for tag in read["tags"]] == result.names
    assert [tag["mid"] for tag in read["tags"]] == result.mids
    assert [tag["mean"] for tag in read["tags"]] == [round(tag.mean, 6) for tag in result.tags]
    assert read["warnings"] == result.warnings


@pytest.mark.parametrize(
    ("format", "read"), [("json", json.loads), ("jsonl", lambda text: [*map(json.loads, text.splitlines())])]
)
def test_json_reads_back_undecodable_names_too(format: str, read: Callable[[str], list[dict]]) -> None:
    records = read(written(format, RESULTS))
    assert len(records) == len(RESULTS)
    for record, result in zip(records, RESULTS, strict=True):
        same(record, result)


def test_csv_reads_back() -> None:
    rows = list(csv.DictReader(io.StringIO(written("csv", RESULTS), newline="")))
    assert [(row["file"], row["rank"], row["name"]) for row in rows] == [
        (FIRST.file, "1", FIRST.tags[0].name),
        (FIRST.file, "2", "Rain"),
        (UNDECODABLE.encode("utf-8", "backslashreplace").decode(), "1", "Größe ✓"),
    ]
    assert float(rows[0]["mean"]) == 0.761234
    assert float(rows[0]["decoded_seconds"]) == 12.345679
    assert {row["schema_version"] for row in rows} == {"1"}


@pytest.mark.parametrize(("format", "text"), [("json", "[]\n"), ("jsonl", ""), ("csv", None)])
def test_a_run_without_results_is_a_document_too(format: str, text: str | None) -> None:
    expected = "file,rank,name,mid,mean,max,active_seconds,decoded_seconds,model,schema_version\n"
    assert written(format, []) == (expected if text is None else text)


def test_json_is_a_whole_array_wherever_it_is_broken_off() -> None:
    for count in range(len(RESULTS) + 1):
        assert len(json.loads(written("json", RESULTS[:count]))) == count


def table(
    monkeypatch: pytest.MonkeyPatch, results: list[TagResult], width: int, encoding: str = "utf-8"
) -> list[str]:
    monkeypatch.setenv("COLUMNS", str(width))
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, errors="backslashreplace")
    writer = TableWriter(stream)
    for result in results:
        writer.write(result)
    writer.close()
    stream.flush()
    return raw.getvalue().decode(encoding).splitlines()


@pytest.mark.parametrize("width", [40, 80, 100, 200])
def test_the_table_fits_the_terminal(width: int, monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(monkeypatch, RESULTS, width)
    assert max(map(len, lines)) <= width


def test_the_table_shows_what_matters(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(monkeypatch, RESULTS, 80)
    assert lines[0] == "field/2026 05, morning.wav  12.3 s"
    assert lines[1].split() == ["tag", "mean", "max", "active"]
    assert lines[2].split()[-5:-1] == ["0.76", "0.99", "9.9", "s"]
    bars = [line.split()[-1] for line in lines[2:4]]
    assert bars[0].count("█") > 5 * bars[1].count("█")
    assert "no tag reaches the threshold" in "\n".join(lines)
    assert r"caf\udce9/t\udcfc\udcdf.wav" in "\n".join(lines)


def test_the_table_of_an_ascii_terminal_has_ascii_bars(monkeypatch: pytest.MonkeyPatch) -> None:
    lines = table(monkeypatch, [FIRST], 80, encoding="ascii")
    assert lines[2].split()[-1].strip("#") == "-" * (len(lines[2].split()[-1]) - lines[2].count("#"))
    assert "\\u" not in lines[2]


def test_a_table_that_is_no_terminal_has_no_colours(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv("FORCE_COLOR", raising=False)
    assert "\x1b" not in "\n".join(table(monkeypatch, RESULTS, 80))
    assert not Console(file=io.StringIO()).is_terminal


@pytest.mark.parametrize(
    ("name", "shown"),
    [
        ("Übung [live] 音.wav", "Übung [live] 音.wav"),
        ("a\x1b[31m.wav", r"a\x1b[31m.wav"),
        ("a\nb\t.wav", r"a\nb\t.wav"),
        ("a\u202egpj.wav", r"a\u202egpj.wav"),
        (UNDECODABLE, r"caf\udce9/t\udcfc\udcdf.wav"),
        ("family \U0001f468\u200d\U0001f469.wav", "family \U0001f468\u200d\U0001f469.wav"),
    ],
)
def test_names_are_shown_never_obeyed(name: str, shown: str) -> None:
    assert printable(name) == shown


@pytest.mark.parametrize(
    ("seconds", "short", "long"),
    [
        (0, "0:00", "0.0 s"),
        (59.9, "0:59", "59.9 s"),
        (59.96, "0:59", "1:00"),
        (61.4, "1:01", "1:01"),
        (3723, "1:02:03", "1:02:03"),
    ],
)
def test_durations(seconds: float, short: str, long: str) -> None:
    assert clock(seconds) == short
    assert span(seconds) == long

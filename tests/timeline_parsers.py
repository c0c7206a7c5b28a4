"""Parsers of timelines as strict as the formats' published grammars: what is not allowed fails.

Each returns ``(file, start, end, name)`` per event; the file is None where the format does not name it.
"""

import csv
import io
import json
import re
from collections.abc import Callable
from urllib.parse import unquote

Events = list[tuple[str | None, float, float, str]]
SECONDS = r"(\d+\.\d{6})"


def lines_of(text: str, end: str = "\n") -> list[str]:
    """Lines, which no reader may see elsewhere: some end lines at form feeds or U+2028 too."""
    if not text:
        return []
    assert text.endswith(end)
    lines = text.removesuffix(end).split(end)
    assert all(line.splitlines() in ([line], []) for line in lines)
    return lines


def csv_table(text: str) -> Events:
    header, *rows = csv.reader(io.StringIO(text, newline=""), strict=True)
    assert header[:4] == ["file", "start", "end", "name"]
    assert {len(row) for row in rows} <= {len(header)}
    return [(row[0], float(row[1]), float(row[2]), row[3]) for row in rows if row[1]]


def json_events(records: list[dict]) -> Events:
    return [
        (record["file"], event["start"], event["end"], event["name"])
        for record in records
        for event in record["events"]
    ]


def audacity(text: str) -> Events:
    events: Events = []
    for line in lines_of(text):
        match = re.fullmatch(rf"{SECONDS}\t{SECONDS}\t([^\t]*)", line)
        assert match, line
        events.append((None, float(match[1]), float(match[2]), match[3]))
    return events


def raven(text: str) -> Events:
    header, *rows = [line.split("\t") for line in lines_of(text)]
    assert {len(row) for row in rows} <= {len(header)}
    assert [row[0] for row in rows] == [str(number) for number in range(1, len(rows) + 1)]
    named = [dict(zip(header, row, strict=True)) for row in rows]
    return [
        (row["Begin Path"], float(row["Begin Time (s)"]), float(row["End Time (s)"]), row["Annotation"])
        for row in named
    ]


def textgrid(text: str) -> Events:
    """Praat's long text form; every tier must cover the recording without a gap or an overlap."""
    lines = iter(lines_of(text))
    assert [next(lines) for _ in range(3)] == ['File type = "ooTextFile"', 'Object class = "TextGrid"', ""]

    def number(name: str) -> float:
        match = re.fullmatch(rf" *{name} = (0|{SECONDS}|\d+)", line := next(lines))
        assert match, line
        return float(match[1])

    def string(name: str) -> str:
        match = re.fullmatch(rf' *{name} = "((?:[^"]|"")*)"', line := next(lines))
        assert match, line
        return match[1].replace('""', '"')

    def bare(line: str) -> None:
        assert next(lines).strip() == line

    assert number("xmin") == 0
    end = number("xmax")
    bare("tiers? <exists>")
    tiers = int(number("size"))
    assert tiers >= 1
    bare("item []:")
    events: Events = []
    names = []
    for tier in range(1, tiers + 1):
        bare(f"item [{tier}]:")
        assert string("class") == "IntervalTier"
        names.append(string("name"))
        assert (number("xmin"), number("xmax")) == (0, end)
        covered = 0.0
        for interval in range(1, int(number("intervals: size")) + 1):
            bare(f"intervals [{interval}]:")
            start, stop = number("xmin"), number("xmax")
            assert start == covered < stop
            covered = stop
            if word := string("text"):
                assert word == names[-1]
                events.append((None, start, stop, word))
        assert covered == end
    assert len(set(names)) == len(names)
    assert next(lines, None) is None
    return events


def rttm(text: str) -> Events:
    events: Events = []
    for line in lines_of(text):
        assert line.split() == line.split(" ")
        kind, file, channel, start, duration, *rest = line.split(" ")
        assert (kind, channel, len(rest)) == ("SPEAKER", "1", 5)
        assert [rest[0], rest[1], rest[3], rest[4]] == ["<NA>"] * 4
        events.append(
            (unquote(file, errors="surrogateescape"), float(start), float(start) + float(duration), rest[2])
        )
    return events


def cue_seconds(time: str, point: str) -> float:
    match = re.fullmatch(rf"(\d\d+):([0-5]\d):([0-5]\d){re.escape(point)}(\d\d\d)", time)
    assert match, time
    hours, minutes, seconds, milliseconds = map(int, match.groups())
    return (((hours * 60 + minutes) * 60 + seconds) * 1000 + milliseconds) / 1000


def vtt(text: str) -> Events:
    """WebVTT: blocks between empty lines; cues in order, text without bare markup."""
    head, *blocks = "\n".join(lines_of(text)).split("\n\n")
    assert head == "WEBVTT"
    events: Events = []
    for block in blocks:
        first, *rest = block.split("\n")
        if first == "NOTE":
            assert "-->" not in block
            continue
        start, end = first.split(" --> ")
        (line,) = rest
        assert not re.search(r"[<>]|&(?!amp;|lt;|gt;)", line)
        word = line.replace("&lt;", "<").replace("&gt;", ">").replace("&amp;", "&")
        events.append((None, cue_seconds(start, "."), cue_seconds(end, "."), word))
    assert [event[1] for event in events] == sorted(event[1] for event in events)
    return events


def srt(text: str) -> Events:
    lines = lines_of(text, "\r\n")
    assert len(lines) % 4 == 0
    events: Events = []
    for number, at in enumerate(range(0, len(lines), 4), start=1):
        index, times, word, blank = lines[at : at + 4]
        assert (index, blank) == (str(number), "")
        assert "-->" not in word
        start, end = times.split(" --> ")
        events.append((None, cue_seconds(start, ","), cue_seconds(end, ","), word))
    return events


def chapters(text: str) -> Events:
    document = json.loads(text)
    assert document["version"] == "1.2.0"
    events: Events = []
    for chapter in document["chapters"]:
        assert set(chapter) == {"startTime", "endTime", "title"}
        assert not events or events[-1][2] <= chapter["startTime"]
        events.append((None, chapter["startTime"], chapter["endTime"], chapter["title"]))
    return events


def sed_scores(text: str) -> Events:
    """Steps for events, the first class for a name: sed_scores_eval wants each to begin where the last ended."""
    header, *rows = [line.split("\t") for line in lines_of(text)]
    assert header[:2] == ["onset", "offset"]
    assert len(header) >= 3
    assert len(set(header)) == len(header)
    before = "0.000000"
    for onset, offset, *scores in rows:
        assert onset == before
        before = offset
        assert len(scores) == len(header) - 2
        assert all(0 <= float(score) <= 1 for score in scores)
    return [(None, float(row[0]), float(row[1]), header[2]) for row in rows]


def sed_events(text: str) -> Events:
    header, *rows = csv.reader(lines_of(text), delimiter="\t", strict=True)
    assert header == ["filename", "onset", "offset", "event_label"]
    assert {len(row) for row in rows} <= {4}
    return [(row[0], float(row[1]), float(row[2]), row[3]) for row in rows if row[1] or row[3]]


PARSERS: dict[str, Callable[[str], Events]] = {
    "csv": csv_table,
    "json": lambda text: json_events(json.loads(text)),
    "jsonl": lambda text: json_events([json.loads(line) for line in lines_of(text)]),
    "audacity": audacity,
    "raven": raven,
    "textgrid": textgrid,
    "rttm": rttm,
    "vtt": vtt,
    "srt": srt,
    "chapters": chapters,
    "sed-scores": sed_scores,
    "sed-events": sed_events,
}

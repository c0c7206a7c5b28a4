"""Timelines drawn on a terminal: aligned, as wide as they should be, with every event in sight."""

import io
import itertools
from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st
from rich.cells import cell_len

from arwkv_cli.lanes import HEIGHTS, PLAIN_HEIGHTS, LanesWriter, draw_lane, shorten
from arwkv_cli.time_axis import BLANKS, STEPS, elapsed_axis, wall_clock_axis
from arwkv_core.results import Coverage, Event, StartTime, Timeline


def timeline(events: list[Event], seconds: float = 75.0, **options: object) -> Timeline:
    coverage = Coverage(seconds, seconds, 0.0, seconds, max(1, int(seconds / 0.16)), 0)
    return Timeline("a.wav", "model", coverage, events, **options)


def event(start: float, end: float, name: str, mean: float = 0.9) -> Event:
    return Event(start, end, name, f"/m/{name}", mean, mean)


def draw(
    found: Timeline, width: int, monkeypatch: pytest.MonkeyPatch, encoding: str = "utf-8", **options
) -> str:
    monkeypatch.setenv("COLUMNS", str(width))
    raw = io.BytesIO()
    stream = io.TextIOWrapper(raw, encoding=encoding, newline="")
    writer = LanesWriter(stream, **options)
    writer.write(found)
    writer.close()
    stream.flush()
    return raw.getvalue().decode(encoding)


NAMES = [
    "Speech",
    "Roaring cats (lions, tigers)",
    "鳥の声と風の音と雨の音",
    "צפרדע",
    "e\u0301clair",
    "A" * 70,
    "🐸 Frog",
]


@pytest.mark.parametrize("width", range(40, 201, 16))
@pytest.mark.parametrize("start", [None, datetime(2026, 5, 14, 5, 30)])
def test_all_lines_are_as_wide_as_the_terminal(width: int, start: datetime | None, monkeypatch) -> None:
    events = [event(i, i + 3, name) for i, name in enumerate(NAMES)]
    told = None if start is None else StartTime(start, "option")
    lines = draw(timeline(events, start_time=told), width, monkeypatch).splitlines()[1:]
    assert max(cell_len(line) for line in lines) == width
    lanes = lines[2 : 2 + len(NAMES)]
    assert {cell_len(line) for line in lanes} == {width}  # sums end at the right edge
    ruler = lines[1]
    left = len(ruler) - len(ruler.lstrip())
    for line in lanes:
        assert "▇" not in line[: left // 2]
    assert len(lines) == len(NAMES) + (2 if start is None else 3)


def test_the_picture_of_a_minute(monkeypatch) -> None:
    events = [
        event(0, 15, "Speech", 1.0),
        event(15, 60, "Music", 0.5),
        event(30, 30.1, "Click", 0.4),
        event(45, 60, "Speech", 0.3),
    ]
    assert draw(timeline(events, 60.0), 50, monkeypatch).splitlines() == [
        "a.wav  1:00  4 events",
        "       0:00     0:15     0:30     0:45       total",
        "       ┬────────┬────────┬────────┬───────┬",
        "Music           ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄ 45.0 s",
        "Speech ▇▇▇▇▇▇▇▇▇                  ▂▂▂▂▂▂▂▂▂ 30.0 s",
        "Click                    ▁                   0.1 s",
    ]


@given(st.floats(0.025, 90_000), st.floats(0, 1), st.floats(1e-6, 1), st.floats(0.01, 1), st.integers(1, 180))
def test_no_event_is_so_short_that_it_vanishes(seconds, at, share, mean, width) -> None:
    start = at * seconds * (1 - 1e-9)
    end = min(start + share * (seconds - start) + 1e-9, seconds)
    lane = draw_lane([event(start, end, "x", mean)], seconds, width, HEIGHTS)
    assert len(lane) == width
    drawn = [i for i, char in enumerate(lane) if char != " "]
    assert drawn
    cell = seconds / width
    assert drawn[0] >= int(start / cell) - 1
    assert drawn[-1] <= int(end / cell) + 1
    assert set(lane) <= set(" " + HEIGHTS)


def test_height_rises_with_the_score_and_with_the_time() -> None:
    def height(*events: Event) -> int:
        return HEIGHTS.index(draw_lane(events, 10.0, 1, HEIGHTS))

    assert [height(event(0, 10, "x", mean)) for mean in (0.01, 0.5, 1.0)] == [0, 3, 6]
    assert height(event(0, 0.1, "x", 1.0)) < height(event(0, 2, "x", 1.0)) < height(event(0, 9, "x", 1.0))
    assert height(event(0, 1, "x"), event(5, 8, "x")) > height(event(0, 1, "x"))


def test_lanes_are_ordered_by_time_and_the_rest_is_counted(monkeypatch) -> None:
    events = [event(i, i + 1 + i / 10, f"Class {i}") for i in range(8)]
    text = draw(timeline(events), 80, monkeypatch, top=3)
    names = [line.split("  ")[0] for line in text.splitlines()[3:6]]
    assert names == ["Class 7", "Class 6", "Class 5"]
    assert text.splitlines()[-1] == "  5 more classes: --top 8"
    assert "more" not in draw(timeline(events), 80, monkeypatch, top=8)


def test_nothing_to_draw_and_a_second_recording(monkeypatch) -> None:
    assert draw(timeline([]), 80, monkeypatch) == "a.wav  1:15  0 events\n  no events\n"
    stream = io.StringIO()
    writer = LanesWriter(stream)
    writer.write(timeline([]))
    writer.write(timeline([event(0, 75, "Speech")]))
    assert "\n\na.wav  1:15  1 event\n" in stream.getvalue()


def test_terminals_without_unicode(monkeypatch) -> None:
    events = [event(i, i + 3, name) for i, name in enumerate(NAMES)]
    text = draw(timeline(events), 80, monkeypatch, encoding="ascii")
    assert set(PLAIN_HEIGHTS) & set(text)
    assert {len(line) for line in text.splitlines()[2:] if line[0] != " "} == {80}
    latin = draw(timeline(events), 80, monkeypatch, encoding="latin-1")
    assert "?" in latin


def test_control_characters_do_not_reach_the_terminal(monkeypatch) -> None:
    found = timeline([event(0, 1, "a\x1b[31mb\u202e\n")])
    text = draw(found, 80, monkeypatch)
    assert "\x1b" not in text
    assert "\u202e" not in text
    assert len(text.splitlines()) == 4


def test_names_are_shortened_so_that_they_can_be_told_apart() -> None:
    names = [
        "Speech",
        "Roaring cats (lions, tigers)",
        "Bird call, bird song",
        "Bird call, other",
        "鳥の声と風の音",
    ]
    assert shorten(names, 40) == names
    short = shorten(names, 13)
    assert short[:4] == ["Speech", "Roaring cats", "Bird call, b…", "Bird call, o…"]
    assert max(map(cell_len, short)) <= 13
    assert shorten(["Speech"], 3, plain=True) == ["Sp."]


@given(st.floats(0.025, 5e6), st.integers(16, 190), st.booleans())
def test_ticks_of_elapsed_time(seconds, width, plain) -> None:
    axis = elapsed_axis(seconds, width, plain=plain)
    assert len(axis.labels) == len(axis.ruler) == width
    assert axis.ticks[0] == 0
    assert axis.labels.split()[0] in ("0:00", "0h", "0h00", "0.0", "0.00")
    tick = "+" if plain else "┬"
    assert [i for i, char in enumerate(axis.ruler) if char == tick] == list(axis.ticks)
    starts = [i for i in axis.ticks if i < width and axis.labels[i] != " "]
    assert len(starts) == len(axis.labels.split())
    for left, right in itertools.pairwise(starts):
        assert axis.labels[right - BLANKS : right].isspace()
        assert not axis.labels[left].isspace()
    if plain:
        assert (axis.labels + axis.ruler).isascii()


@given(
    st.datetimes(datetime(1990, 1, 1), datetime(2100, 1, 1)),
    st.floats(0.025, 5e6),
    st.integers(30, 190),
)
def test_ticks_of_the_clock_are_round_times(start, seconds, width) -> None:
    axis = wall_clock_axis(seconds, width, start)
    assert len(axis.labels) == len(axis.ruler) == width
    cell = seconds / width
    for column in axis.ticks:
        label = axis.labels[column:].split()[0] if axis.labels[column : column + 1].strip() else ""
        if ":" in label and label.count(":") == 1:
            # somewhere in this column lies a time that is written so
            left = start + timedelta(seconds=column * cell - 1)
            right = start + timedelta(seconds=(column + 1) * cell + 1)
            moment = left.replace(second=0, microsecond=0)
            while moment <= right and moment.strftime("%H:%M") != label:
                moment += timedelta(minutes=1)
            assert moment <= right


def test_clock_labels() -> None:
    zone = timezone(timedelta(hours=2))
    night = wall_clock_axis(12 * 3600, 80, datetime(2026, 5, 14, 19, 30, tzinfo=zone))
    assert night.labels.split() == ["20:00", "22:00", "05-15", "02:00", "04:00", "06:00"]
    assert wall_clock_axis(30, 60, datetime(2026, 5, 14, 5, 29, 55)).labels.split()[:2] == [
        "05:30:00",
        "05:30:10",
    ]
    days = wall_clock_axis(5 * 86_400, 60, datetime(2026, 2, 27, 19, 30))
    assert days.labels.split() == ["02-28", "03-01", "03-02", "03-03", "03-04"]
    between = wall_clock_axis(600, 20, datetime(2026, 2, 27, 19, 31))
    assert between.labels.split() == ["19:35"]
    assert wall_clock_axis(60, 16, datetime(2026, 2, 27, 19, 31, 7)).labels.split() == ["19:31:07"]
    assert sorted(STEPS) == list(STEPS)

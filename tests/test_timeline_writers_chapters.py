"""Chapters: never overlapping, never too short, of what leads at each moment."""

import io
import itertools
import json
import random

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from timeline_parsers import chapters as parse
from timelines import MORNING, timelines, written

from arwkv_core.errors import UsageError
from arwkv_core.results import Coverage, Event, Timeline
from arwkv_core.writers.chapters import ChaptersWriter
from arwkv_core.writers.dominance import Span, Stretch, dominant, without_gaps, without_short

Chapter = tuple[float, float, str]


def chapters(
    events: list[tuple[float, float, str, float]], seconds: float, min_chapter: float | None = None
) -> list[Chapter]:
    timeline = Timeline(
        "show.mp3",
        "fake",
        Coverage(None, seconds, 0.0, seconds, 1, 0),
        [Event(start, end, name, "own:1", score, score) for start, end, name, score in events],
    )
    options = {} if min_chapter is None else {"min_chapter": min_chapter}
    text = written("chapters", [timeline], **options).decode()
    return [event[1:] for event in parse(text)]


def test_the_louder_class_leads_where_two_sound() -> None:
    events = [(0, 60, "Speech", 0.6), (20, 40, "Music", 0.9), (30, 50, "Laughter", 0.7)]
    assert chapters(events, 60) == [
        (0, 20, "Speech"),
        (20, 40, "Music"),
        (40, 50, "Laughter"),
        (50, 60, "Speech"),
    ]


def test_a_class_that_goes_on_is_one_chapter() -> None:
    assert chapters([(0, 20, "Speech", 0.9), (20, 50, "Speech", 0.5), (30, 31, "Cough", 0.2)], 50) == [
        (0, 50, "Speech")
    ]


def test_what_interrupts_briefly_is_no_chapter() -> None:
    events = [
        (0, 30, "Speech", 0.6),
        (30, 34, "Laughter", 0.9),
        (34, 80, "Speech", 0.6),
        (80, 120, "Music", 0.8),
    ]
    assert chapters(events, 120) == [(0, 80, "Speech"), (80, 120, "Music")]
    assert len(chapters(events, 120, min_chapter=0)) == 4


def test_what_is_brief_between_two_goes_to_the_longer() -> None:
    events = [(0, 20, "Speech", 0.6), (20, 24, "Laughter", 0.9), (24, 80, "Music", 0.6)]
    assert chapters(events, 80) == [(0, 20, "Speech"), (20, 80, "Music")]


def test_short_silence_belongs_to_the_chapter_before_long_silence_to_none() -> None:
    events = [(3, 30, "Speech", 0.6), (36, 50, "Music", 0.6), (200, 220, "Speech", 0.6)]
    assert chapters(events, 225, min_chapter=10) == [
        (0, 36, "Speech"),
        (36, 50, "Music"),
        (200, 225, "Speech"),
    ]
    assert chapters(events, 225, min_chapter=0) == [
        (3, 30, "Speech"),
        (36, 50, "Music"),
        (200, 220, "Speech"),
    ]


def test_something_brief_alone_is_a_chapter_only_where_there_is_nothing_else() -> None:
    assert chapters([(100, 103, "Bark", 0.9)], 300) == [(100, 103, "Bark")]
    assert chapters([(100, 103, "Bark", 0.9), (200, 240, "Rain", 0.3)], 300) == [(200, 240, "Rain")]
    assert chapters([(1, 2, "Bark", 0.9)], 6) == [(0, 6, "Bark")]


@pytest.mark.parametrize("min_chapter", [-1.0, float("nan"), float("inf")])
def test_a_length_that_can_not_be_is_refused(min_chapter: float) -> None:
    with pytest.raises(UsageError, match=r"^min_chapter: expected 0 seconds or more, found"):
        ChaptersWriter(io.StringIO(), min_chapter=min_chapter)


def test_the_document_is_as_published() -> None:
    """https://github.com/Podcastindex-org/podcast-namespace, JSON chapters 1.2.0."""
    document = json.loads(written("chapters", [MORNING]))
    assert list(document) == ["version", "fileName", "chapters"]
    assert document["version"] == "1.2.0"
    assert document["fileName"] == "2026 05, morning.wav"
    for chapter in document["chapters"]:
        assert isinstance(chapter["startTime"], int | float)
        assert isinstance(chapter["title"], str)


@settings(max_examples=100, deadline=None)
@given(timelines(), st.sampled_from([0.0, 0.01, 1.0, 10.0, 600.0]))
def test_chapters_hold_whatever_the_events_are(timeline: Timeline, min_chapter: float) -> None:
    found = parse(written("chapters", [timeline], min_chapter=min_chapter).decode())  # refuses overlaps
    assert bool(found) == bool(timeline.events)
    for _, start, end, name in found:
        assert 0 <= start < end <= timeline.coverage.decoded_seconds
        assert name in {event.name for event in timeline.events}
        assert end - start >= min_chapter - 1e-6 or len(found) == 1
    for (_, _, end, name), (_, start, _, following) in itertools.pairwise(found):
        assert name != following or end < start


def leaders(spans: list[Span], end: int) -> list[str | None]:
    """Who leads each tick, by looking at every tick."""
    found = []
    for tick in range(end):
        sounding = [(-score, start, name) for start, stop, name, score in spans if start <= tick < stop]
        found.append(min(sounding)[2] if sounding else None)
    return found


def spread(stretches: list[Stretch], end: int) -> list[str | None]:
    ticks: list[str | None] = [None] * end
    for stretch in stretches:
        assert ticks[stretch.start : stretch.end] == [None] * (stretch.end - stretch.start)
        ticks[stretch.start : stretch.end] = [stretch.name] * (stretch.end - stretch.start)
    return ticks


spans = st.lists(
    st.tuples(
        st.integers(0, 29), st.integers(1, 10), st.sampled_from("abc"), st.sampled_from([0.2, 0.5, 0.9])
    ).map(lambda span: (span[0], min(span[0] + span[1], 30), span[2], span[3])),
    max_size=10,
)


@settings(max_examples=300, deadline=None)
@given(spans)
def test_who_leads_is_found_as_by_looking_at_every_tick(found: list[Span]) -> None:
    stretches = dominant(found)
    assert spread(stretches, 30) == leaders(found, 30)
    assert all(a.end < b.start or a.name != b.name for a, b in itertools.pairwise(stretches))


@settings(max_examples=300, deadline=None)
@given(spans, st.integers(0, 8))
def test_no_stretch_and_no_gap_stays_short(found: list[Span], shortest: int) -> None:
    closed = without_gaps(dominant(found), shortest, 30)
    edges = [0, *(edge for stretch in closed for edge in (stretch.start, stretch.end)), 30]
    gaps = [right - left for left, right in zip(edges[::2], edges[1::2], strict=True)]
    assert not closed or all(gap == 0 or gap >= shortest for gap in gaps)
    left = without_short(closed, shortest)
    assert bool(left) == bool(found)
    assert len(left) <= 1 or min(stretch.end - stretch.start for stretch in left) >= shortest
    covered = spread(closed, 30)
    for tick, name in enumerate(spread(left, 30)):
        assert name is None or covered[tick] is not None, "a chapter must not grow into silence"


def test_a_day_of_flicker_takes_no_time() -> None:
    """A hundred thousand events; each removed in turn from a list would take minutes."""
    chance = random.Random(1)
    flicker = [
        (start, start + chance.randint(1, 900), chance.choice("abcdefgh"), chance.random())
        for start in range(0, 86_400_000, 864)
    ]
    stretches = without_short(without_gaps(dominant(flicker), 10_000, 86_400_000), 10_000)
    assert min(stretch.end - stretch.start for stretch in stretches) >= 10_000

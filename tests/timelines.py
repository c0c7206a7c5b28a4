"""Timelines that formats are tried on, and what they write of them."""

import io
import math
from collections.abc import Sequence
from datetime import datetime, timedelta, timezone

import numpy as np
from hypothesis import strategies as st

from arwkv_core.results import Coverage, Event, StartTime, Timeline
from arwkv_core.writers import TIMELINE_FORMATS
from arwkv_core.writers.sed_scores import SedScoresWriter

UNDECODABLE = b"caf\xe9/t\xfc\xdf 1.wav".decode("utf-8", "surrogateescape")
SUMMER_TIME = timezone(timedelta(hours=2))
SETTINGS = {"on": None, "off": 0.25, "include": ["Speech"], "groups": None, "smoothing": 0.48}

MORNING = Timeline(
    file="field/2026 05, morning.wav",
    model="a-rwkv-t-open",
    coverage=Coverage(12.0, 42.345678901, 0.5, 42.335, 265, 3),
    events=[
        Event(
            0.0, 1.1200000000000001, "Bird vocalization, bird call, bird song", "/m/020bb7", 0.7612344, 0.99
        ),
        Event(0.32, 30.08, "Speech", "/m/09x0r", 0.45, 0.875),
        Event(12.0, 24.0, 'The "Größe" <b> & --> ✓ صوت', "own:1", 0.5, 0.5),
        Event(30.4, 30.4004, "Click", "/m/07qc9xj", 0.3, 0.3),
        Event(41.6, 42.345678901, "Speech", "/m/09x0r", 0.9, 1.0),
        Event(42.345, 42.345678901, "Rain", "/m/06mb1", 0.2, 0.4),
    ],
    settings=SETTINGS,
    start_time=StartTime(datetime(2026, 5, 14, 23, 59, 59, 500_000, SUMMER_TIME), "guano"),
    warnings=["the header says 12 s, 42.3 s were decoded", 'a "quoted"\nwarning'],
)
NOTHING = Timeline("silent.flac", "a-rwkv-t-open", Coverage(None, 0.025, 0.0, 0.025, 1, 0), [], SETTINGS)
ODD_NAME = Timeline(
    UNDECODABLE,
    "a-rwkv-t-open",
    Coverage(3.0, 3.0, 0.0, 2.995, 19, 0),
    [Event(0, 3, "NA", "group:NA", 1, 1)],
    SETTINGS,
    StartTime(datetime(2026, 5, 14, 5, 30), "name"),
)
TIMELINES = [MORNING, NOTHING, ODD_NAME]


def written(format: str, timelines: Sequence[Timeline], **options: object) -> bytes:
    """What a format writes to a file; of `sed-scores`, with scores made up."""
    raw = io.BytesIO()
    spec = TIMELINE_FORMATS[format]
    text = io.TextIOWrapper(raw, encoding="utf-8", errors="backslashreplace", newline="")
    writer = spec.writer(raw if spec.binary else text, **options)
    for timeline in timelines:
        if isinstance(writer, SedScoresWriter):
            steps = timeline.coverage.steps
            writer.begin(timeline.file, ["Speech", "Rain"])
            scores = np.linspace(0, 1, 2 * steps, dtype=np.float32).reshape(steps, 2)
            for start in range(0, steps, 7):
                writer.add(scores[start : start + 7])
        writer.write(timeline)
        assert spec.binary or raw.getvalue() or not timeline.events, "a recording must be flushed at once"
    writer.close()
    text.flush()
    text.detach()
    return raw.getvalue()


def fitting(format: str, timelines: Sequence[Timeline] = TIMELINES) -> list[Timeline]:
    """As many of the timelines as a file of the format holds."""
    return list(timelines if TIMELINE_FORMATS[format].several else timelines[:1])


# what a format escapes, and what ends lines and columns somewhere
names = st.one_of(
    st.text(st.sampled_from("aé \t\n\r\x1c\x85\u2028\u00a0\"',;<>&-|%#\\/[]=صN"), max_size=12),
    st.text(
        st.characters(exclude_characters="\0", codec="utf-8"), max_size=12
    ),  # neither files nor labels have NUL
    st.sampled_from(
        ["NA", "nan", "None", "-->", '"', "a --> b", "NOTE", "WEBVTT", "=1+1", "item [1]:", UNDECODABLE]
    ),
)
file_names = names.filter(bool)


@st.composite
def timelines(draw: st.DrawFn) -> Timeline:
    """A timeline of any length and any names, with events down to a part of a millisecond."""
    seconds = draw(
        st.one_of(
            st.floats(0.025, 5), st.floats(5, 200_000), st.integers(800, 10**9).map(lambda n: n / 32_000)
        )
    )
    events = []
    for _ in range(draw(st.integers(0, 8))):
        start = draw(st.floats(0, math.nextafter(seconds, 0)))
        shortest = math.nextafter(start, math.inf)
        end = draw(st.one_of(st.just(seconds), st.just(shortest), st.floats(shortest, seconds)))
        scores = sorted(draw(st.tuples(st.floats(0, 1), st.floats(0, 1))))
        events.append(Event(start, end, draw(names), draw(st.sampled_from(["/m/09x0r", "own:1"])), *scores))
    events.sort(key=lambda event: (event.start, event.name))
    zones = st.one_of(st.none(), st.timezones(), st.integers(-1439, 1439).map(minutes_east))
    times = st.datetimes(datetime(1970, 1, 2), datetime(2200, 1, 1), timezones=zones)
    return Timeline(
        draw(file_names),
        "fake",
        Coverage(None, seconds, 0.0, seconds, max(1, int(seconds / 0.16)), 0),
        events,
        {"on": draw(st.floats(0, 1)), "include": [draw(names)]},
        draw(st.one_of(st.none(), st.builds(StartTime, times, st.sampled_from(["bext", "name"])))),
        draw(st.lists(names, max_size=2)),
    )


def minutes_east(minutes: int) -> timezone:
    """A zone that far from UTC."""
    return timezone(timedelta(minutes=minutes))

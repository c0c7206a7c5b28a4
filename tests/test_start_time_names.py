"""Which names of recordings tell when they began, and which only look like it."""

from datetime import datetime, timedelta, timezone

import pytest
from hypothesis import given
from hypothesis import strategies as st

from arwkv_core.start_time import find_start_time

DAWN = datetime(2026, 5, 14, 5, 30)
UTC = timezone.utc


def zone(hours: float) -> timezone:
    return timezone(timedelta(hours=hours))


def time_of(name: str) -> datetime | None:
    found = find_start_time(name)  # there is no such file: only the name can tell
    assert found is None or found.source == "name"
    return None if found is None else found.time


@pytest.mark.parametrize(
    "name",
    [
        "20260514_053000.wav",
        "20260514_053000.WAV",
        "some/folder/20260514_053000.wav",
        "20260513_010101/20260514_053000.wav",
        "SM4A01_20260514_053000.wav",
        "SMA12345_20260514_053000_000.wav",
        "S4A12345_20260514$053000.wav",
        "2MM03214_20260514_053000.wav",
        "SM3_0+1_20260514_053000.wav",
        "20260514_053000T.WAV",  # an AudioMoth that was triggered
        "20260514T053000.flac",
        "20260514T0530.flac",
        "20260514053000.mp3",
        "REC20260514053000.m4a",
        "20260514-053000.wav",
        "2026-05-14T05-30-00.wav",
        "2026-05-14T05:30:00.wav",
        "2026-05-14T05:30.wav",
        "2026-05-14 05.30.00.wav",
        "2026-05-14 05:30:00.wav",
        "2026_05_14_05_30_00.wav",
        "2026-05-14-birdnet-05:30:00.wav",
        "Recording 2026-05-14 at 05.30.00.m4a",
        "Screen Recording 2026-05-14 at 5.30.00\u202fAM.mov",
        "WhatsApp Audio 2026-05-14 at 5.30.00 am.ogg",
        "site 7 (20260514_053000) copy.wav",
        "20260514_053000_20260514_063000.wav",
        "VÖGEL_20260514_053000_naïve.wav",
        "\udcff_20260514_053000.wav",  # undecodable
        "99999999_999999_20260514_053000.wav",
        "20261314_053000_20260514_053000.wav",  # month 13 first
        "20260514_053000-0007.wav",  # a take
        "20260514_053000-01.wav",
        "2026-05-14T05-30-00-01.wav",
        "20260514_053000_001.wav",
        "20260514_053000Zebra.wav",
        "5146.260514053000.wav",  # SoundTrap
    ],
)
def test_names_with_a_local_time(name: str) -> None:
    assert time_of(name) == DAWN


@pytest.mark.parametrize(
    ("name", "hours"),
    [
        ("20260514T053000Z.wav", 0),
        ("20260514_053000Z.wav", 0),
        ("20260514_053000_UTC.wav", 0),
        ("GMT20260514-053000_Recording.m4a", 0),
        ("20260514_053000+0200.wav", 2),
        ("20260514T053000+1000_REC [-27.3888 152.8808].flac", 10),
        ("S20260514T053000+0930_E20260514T063000+0930_+12.34-123.45.wav", 9.5),
        ("20260514T053000-0330.wav", -3.5),
        ("20260514_053000-0700.wav", -7),
        ("2026-05-14T05:30:00+05:45.wav", 5.75),
        ("2026-05-14T05-30-00+02.wav", 2),
        ("2026-05-14 05.30.00 UTC+02.wav", 2),
        ("20260514_053000+0000.wav", 0),
    ],
)
def test_names_with_a_zone(name: str, hours: float) -> None:
    time = time_of(name)
    assert time == DAWN.replace(tzinfo=zone(hours))
    assert time.utcoffset() == timedelta(hours=hours)


def test_decimals_of_a_second() -> None:
    assert time_of("S20260514T053000.123+1000.wav") == DAWN.replace(microsecond=123_000, tzinfo=zone(10))
    assert time_of("2026-05-14T05-30-00.250000Z.wav") == DAWN.replace(microsecond=250_000, tzinfo=UTC)


def test_afternoon_by_twelve_hours() -> None:
    assert time_of("Recording 2026-05-14 at 12.05.09 PM.m4a") == datetime(2026, 5, 14, 12, 5, 9)
    assert time_of("Recording 2026-05-14 at 12.05.09 AM.m4a") == datetime(2026, 5, 14, 0, 5, 9)
    assert time_of("Recording 2026-05-14 at 3.05.09 p.m..m4a") == datetime(2026, 5, 14, 15, 5, 9)


def test_hexadecimal_names_of_the_first_audiomoths() -> None:
    expected = datetime(2020, 5, 5, 4, 59, 20, tzinfo=UTC)
    assert time_of("5EB0F2A8.WAV") == expected
    assert time_of("5eb0f2a8.wav") == expected


@pytest.mark.parametrize(
    "name",
    [
        "ZOOM0001.WAV",
        "-",
        "",
        ".wav",
        "dawn.wav",
        "20260514.wav",
        "20260514_0530.wav",  # a date and a take's number, as often
        "260514_053000.wav",  # day or year first?
        "14052026_053000.wav",
        "20261314_053000.wav",
        "20260230_053000.wav",
        "20260514_243000.wav",
        "20260514_056000.wav",
        "20260514_053060.wav",
        "00000000_000000.wav",
        "19700101_000000.WAV",
        "19000101_000000.wav",
        "21010101_000000.wav",
        "99991231_235959.wav",
        "+4915112345678.m4a",
        "0049 151 12345678.m4a",
        "20251399123456.wav",
        "120260514053000.wav",  # 15 digits
        "202605140530001.wav",
        "2026-05-14053000.wav",
        "20260514_0530001.wav",
        "PTT-20260514-WA0001.opus",
        "DEADBEEF.WAV",
        "12345678.WAV",
        "59654321.WAV",
        "5EB0F2A.WAV",
        "5EB0F2A80.WAV",
        "5eB0F2A8.WAV",
        "x5EB0F2A8.WAV",
        "5146.261314053000.wav",
        "٢٠٢٦٠٥١٤_٠٥٣٠٠٠.wav",
    ],
)
def test_names_that_only_look_like_it(name: str) -> None:
    assert time_of(name) is None


@given(st.text(st.sampled_from("0123456789_-. T:$+Zat/AFaf"), max_size=40))
def test_no_name_breaks_it(name: str) -> None:
    time = time_of(f"/nowhere/{name}")
    assert time is None or 1990 <= time.year <= 2100


@given(st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31)), st.sampled_from(["_", "T", "", "-"]))
def test_every_time_is_read_back(time: datetime, joint: str) -> None:
    assert time_of(f"{time:%Y%m%d}{joint}{time:%H%M%S}.wav") == time.replace(microsecond=0)

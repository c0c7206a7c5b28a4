"""When a recording began, by what recorders write into its file, and by the user's word."""

import os
import struct
import time as clock
from datetime import datetime
from pathlib import Path
from zoneinfo import ZoneInfo

import pytest
from metadata_files import DAWN, GUANO, MOTH, UTC, bext, chunk, found, info, wav, zone

from arwkv_core.errors import UsageError
from arwkv_core.results import StartTime
from arwkv_core.start_time import find_start_time, wall_clock

posix = pytest.mark.skipif(os.name != "posix", reason="pipes and permissions of POSIX")


def test_guano_before_and_behind_the_samples(tmp_path: Path) -> None:
    expected = StartTime(DAWN.replace(tzinfo=zone(2)), "guano")
    guan = chunk(b"guan", GUANO)
    assert found(tmp_path, wav(guan)) == expected
    assert found(tmp_path, wav(before=(guan,))) == expected
    assert found(tmp_path, wav(before=(guan,))[:-1000]) == expected  # the samples are cut, the metadata whole
    assert found(tmp_path, wav(chunk(b"guan", GUANO, ">"), magic=b"RIFX", order=">")) == expected


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("2012-03-31T15:30:00Z", datetime(2012, 3, 31, 15, 30, tzinfo=UTC)),
        ("2012-03-31T15:30:00", datetime(2012, 3, 31, 15, 30)),
        ("2012-03-31 15:30:00", datetime(2012, 3, 31, 15, 30)),
        ("2012-03-31T15:30:00.123-05:00", datetime(2012, 3, 31, 15, 30, 0, 123_000, tzinfo=zone(-5))),
        ("2012-03-31T15:30:00.1234567+0545", datetime(2012, 3, 31, 15, 30, 0, 123_456, tzinfo=zone(5.75))),
        ("2012-03-31T15:30:00-3:30", datetime(2012, 3, 31, 15, 30, tzinfo=zone(-3.5))),
        ("20120331T153000Z", datetime(2012, 3, 31, 15, 30, tzinfo=UTC)),
        ("2012-03-31", None),
        ("2012-13-31T15:30:00", None),
        ("1970-01-01T00:00:00Z", None),
        ("0000-00-00T00:00:00", None),
        ("2012-03-31T15:30:00+40:00", None),
        ("2012-03-31T15:30:00 at home", None),
        ("٢٠١٢-03-31T15:30:00", None),
        ("", None),
    ],
)
@pytest.mark.parametrize("line", ["GUANO|Version:1.0\r\nTimestamp:{}\r\n", "Timestamp: {} \nNote: x"])
def test_timestamps_of_guano(tmp_path: Path, line: str, text: str, expected: datetime | None) -> None:
    body = line.format(text).encode() + b"\0\0\0"
    assert found(tmp_path, wav(chunk(b"guan", body))) == (expected and StartTime(expected, "guano"))


def test_a_guano_chunk_cut_in_its_timestamp_tells_nothing(tmp_path: Path) -> None:
    whole = wav(chunk(b"guan", GUANO))
    cut = whole[: whole.index(b"+02:00")]  # what is left would be another time
    assert found(tmp_path, cut) is None
    assert found(tmp_path, whole[: whole.index(b"Length")]) is not None


@pytest.mark.parametrize(
    ("date", "time"),
    [
        (b"2026-05-14", b"05:30:00"),
        (b"2026_05_14", b"05_30_00"),
        (b"2026:05:14", b"05-30-00"),
        (b"2026 05 14", b"05 30 00"),
        (b"2026.05.14", b"05.30.00"),
        (b"2026/05/14", b"05:30:00"),
        (b"2026-5-14", b"5:30:00"),
        (b"2026- 5-14", b" 5:30: 0"),
        (b"20260514", b"053000"),
    ],
)
def test_broadcast_wave_with_any_separator(tmp_path: Path, date: bytes, time: bytes) -> None:
    assert found(tmp_path, wav(before=(bext(date, time),))) == StartTime(DAWN, "bext")


@pytest.mark.parametrize(
    ("date", "time"),
    [
        (b"", b""),
        (b"2026-05-14", b""),
        (b"", b"05:30:00"),
        (b"0000-00-00", b"00:00:00"),
        (b"1970-01-01", b"00:00:00"),
        (b"2026-02-30", b"05:30:00"),
        (b"2026-05-14", b"25:30:00"),
        (b"14-05-2026", b"05:30:00"),
        (b"\xff" * 10, b"\xff" * 8),
    ],
)
def test_broadcast_wave_with_a_clock_that_was_never_set(tmp_path: Path, date: bytes, time: bytes) -> None:
    assert found(tmp_path, wav(bext(date, time))) is None
    assert found(tmp_path, wav(bext(date, time)), "20260514_053000.wav") == StartTime(DAWN, "name")


@pytest.mark.parametrize(
    ("comment", "expected"),
    [
        (
            "Recorded at 19:17:30 17/02/2021 (UTC) by AudioMoth 243B1F0759E7E1D1 at gain setting 2",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=UTC),
        ),
        (
            "Recorded at 19:17:30 17/02/2021 by AudioMoth 243B1F0759E7E1D1 at gain setting 2",  # firmware 1.0.0
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=UTC),
        ),
        (
            "Recorded at 19:17:30 17/02/2021 (UTC+2) by AudioMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(2)),
        ),
        (
            "Recorded at 19:17:30 17/02/2021 (UTC-3:30) by AudioMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(-3.5)),
        ),
        (
            "Recorded at 19:17:30 17/02/2021 (UTC-0:30) by AudioMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(-0.5)),
        ),
        (
            "Recorded at 19:17:30 17/02/2021 (UTC+12:45) during deployment 0FE081F80FE081F8 by AudioMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=zone(12.75)),
        ),
        (
            "Recorded at 19:17:30.500 17/02/2021 (UTC) by HydroMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, 500_000, tzinfo=UTC),
        ),
        (
            "Recorded at 19:17:30 Wed 17/02/2021 (UTC) by AudioMoth 24",
            datetime(2021, 2, 17, 19, 17, 30, tzinfo=UTC),
        ),
        ("Recorded at 00:00:10 01/01/1970 (UTC) by AudioMoth 24", None),
        ("Recorded at 00:00:00 00/00/0000 (UTC) by AudioMoth 24", None),
        ("Recorded at 19:17:30 02/17/2021 (UTC) by AudioMoth 24", None),
        ("Recorded at 19:17:30 17/02/2021 (UTC+77) by AudioMoth 24", None),
        ("Recorded at 19:17:30 17/02/2021 in the garden", None),
        ("Recorded in the garden", None),
    ],
)
def test_comments_of_audiomoths(tmp_path: Path, comment: str, expected: datetime | None) -> None:
    start = expected and StartTime(expected, "audiomoth")
    for data in (wav(before=(info(comment.encode()),)), wav(info(comment.encode()))):
        result = found(tmp_path, data)
        assert result == start
        if result is not None and expected is not None:
            assert result.time.utcoffset() == expected.utcoffset()


def test_song_meters_own_chunk(tmp_path: Path) -> None:
    entries = b"".join(
        struct.pack("<HI", kind, len(text)) + text
        for kind, text in [(0, b"\1\0"), (1, b"SM4"), (5, b"2026-05-14 05:30:00+02:00"), (8, b"note")]
    )
    start = StartTime(DAWN.replace(tzinfo=zone(2)), "wamd")
    assert found(tmp_path, wav(chunk(b"wamd", entries)), "SM4_20260514_053000.wav") == start
    assert found(tmp_path, wav(chunk(b"wamd", entries[:30]))) is None
    assert found(tmp_path, wav(chunk(b"wamd", b"\5\0\xff\xff\xff\xff"))) is None


def test_the_order_of_the_sources(tmp_path: Path) -> None:
    name = "20200101_000000.wav"
    everything = (info(MOTH), bext(b"2022-02-02", b"02:02:02"), chunk(b"guan", GUANO))

    def source(data: bytes) -> str:
        start = found(tmp_path, data, name)
        assert start is not None
        return start.source

    assert source(wav(*everything)) == "guano"
    assert source(wav(*everything[:2])) == "bext"
    assert source(wav(*everything[:1])) == "audiomoth"
    assert source(wav()) == "name"
    assert (
        source(wav(info(MOTH), bext(b"2022-02-02", b"bad"), chunk(b"guan", b"Timestamp: bad"))) == "audiomoth"
    )
    start = find_start_time(tmp_path / name, option="2026-05-14T05:30:00")
    assert start == StartTime(DAWN, "option")


@pytest.mark.parametrize(
    "option",
    [
        "",
        "now",
        "2026-05-14",
        "05:30",
        "2026-13-14T05:30:00",
        "14.05.2026 05:30",
        "1700-01-01T00:00:00",
        "1747200600",
    ],
)
def test_a_start_that_is_no_time_is_refused(option: str) -> None:
    with pytest.raises(UsageError, match=r"--start: expected .*found"):
        find_start_time("dawn.wav", option=option)


def test_a_start_may_be_given_for_stdin_and_for_old_tapes() -> None:
    for text in ("1931-05-14T05:30:00+01:00", "1931-05-14 05:30+01"):
        start = find_start_time("-", option=text)
        assert start == StartTime(datetime(1931, 5, 14, 5, 30, tzinfo=zone(1)), "option")
    assert find_start_time("-") is None


def test_events_by_the_clock() -> None:
    assert wall_clock(DAWN, 0.16) == datetime(2026, 5, 14, 5, 30, 0, 160_000)
    assert wall_clock(StartTime(DAWN, "name"), 66_600.0) == datetime(2026, 5, 15)
    assert (
        wall_clock(DAWN.replace(tzinfo=UTC), 43_199.999_999).isoformat() == "2026-05-14T17:29:59.999999+00:00"
    )
    # the night in which Berlin's clocks went forward: a recorder's don't
    summer = datetime(2026, 3, 29, 1, 30, tzinfo=ZoneInfo("Europe/Berlin"))
    start = find_start_time("x.wav", option=summer)
    assert start is not None
    assert wall_clock(start, 3600).isoformat() == "2026-03-29T02:30:00+01:00"


@posix
def test_what_is_no_file_has_only_its_name(tmp_path: Path) -> None:
    pipe = tmp_path / "20260514_053000.wav"
    os.mkfifo(pipe)  # opening it would wait for ever
    assert find_start_time(pipe) == StartTime(DAWN, "name")
    folder = tmp_path / "20260514_053000"
    folder.mkdir()
    assert find_start_time(folder) == StartTime(DAWN, "name")
    assert find_start_time(str(tmp_path / "a\0b.wav")) is None
    with (tmp_path / "open.wav").open("wb+") as file:
        assert find_start_time(file) is None


def test_a_thousand_files_take_less_than_a_second(tmp_path: Path) -> None:
    path = tmp_path / "20260514_053000.wav"
    path.write_bytes(wav(*[chunk(b"junk", b"x" * 50)] * 20))
    used = []
    for _ in range(3):  # the best of three: the machine may be busy
        begun = clock.process_time()
        for _ in range(300):
            find_start_time(path)
        used.append((clock.process_time() - begun) / 300)
    assert min(used) < 0.001

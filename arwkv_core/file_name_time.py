"""The time in the name of a recording, where the name leaves no doubt.

A time needs year, month, day, hour, minute and second in this order and nothing but digits that fit: ten
digits of a telephone number, a date alone or two-digit years between other numbers tell nothing.
"""

import re
from datetime import datetime, timedelta, timezone

from .clock_text import fixed_zone, moment

_DATE = r"(?<!\d)(?P<year>\d{4})(?P<dash>[-_.]?)(?P<month>\d{2})(?P=dash)(?P<day>\d{2})"
_UTC_BEFORE = r"(?P<utc>(?:GMT|UTC)[-_ ]?)?"  # Zoom meetings: GMT20260514-053000
_JOINT = r"(?P<joint>[Tt]|[-_ $]at[-_ ]|[-_ $]{1,3}|-birdnet-|)"
_ZONE = (
    r"(?:(?P<zone>[Zz](?![A-Za-z])|[-_ ]?\(?(?:UTC|GMT)(?![A-Za-z\d+-]))"
    r"|(?:[-_ ]?\(?(?P<named>UTC|GMT))?(?P<sign>[+-])(?P<zone_hour>\d{2})(?:[-:]?(?P<zone_minute>\d{2}))?(?!\d))"
)
_TIME = re.compile(
    rf"{_UTC_BEFORE}{_DATE}{_JOINT}"
    r"(?P<hour>\d{2})(?P<colon>[-_.:]?)(?P<minute>\d{2})"
    r"(?:(?P=colon)(?P<second>\d{2})(?:[.,](?P<fraction>\d{3}|\d{6})(?!\d))?)?(?!\d)"
    rf"{_ZONE}?",
    re.ASCII,
)
_TWELVE_HOURS = re.compile(
    rf"{_DATE}(?:[-_ ]at[-_ ]|[-_ T])(?P<hour>\d{{1,2}})[-_.:](?P<minute>\d{{2}})[-_.:](?P<second>\d{{2}})"
    r"[-_.\s]?(?P<half>[AaPp])\.?[Mm](?![A-Za-z])"  # macOS puts a narrow no-break space there
)
_SOUNDTRAP = re.compile(r"\d{1,10}\.(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)(\d\d)", re.ASCII)
_UNIX_HEX = re.compile(r"(?=\d*[A-F])[0-9A-F]{8}|(?=\d*[a-f])[0-9a-f]{8}", re.ASCII)

_AUDIOMOTH_FIRST_YEAR, _AUDIOMOTH_LAST_YEAR = 2017, 2040
"""Its first firmwares named files by the hexadecimal seconds since 1970; most other hexadecimal numbers of
eight digits would lie outside these years. Those without a letter are more often numbers of something else."""

_ZONES_WEST = frozenset([f"{hour:02}00" for hour in range(1, 13)] + ["0230", "0330", "0930"])


def read_file_name(stem: str) -> datetime | None:
    """Find when a recording began in its file's name.

    Parameters
    ----------
    stem : str
        The name without folder and ending.

    Returns
    -------
    datetime or None
        With a zone where the name has one (``Z``, ``+0200``, ``UTC``), and for AudioMoth's hexadecimal names.

    Examples
    --------
    >>> read_file_name("SM4A01_20260514_053000")
    datetime.datetime(2026, 5, 14, 5, 30)
    """
    if _UNIX_HEX.fullmatch(stem):
        time = datetime(1970, 1, 1, tzinfo=timezone.utc) + timedelta(seconds=int(stem, 16))
        return time if _AUDIOMOTH_FIRST_YEAR <= time.year <= _AUDIOMOTH_LAST_YEAR else None
    if soundtrap := _SOUNDTRAP.fullmatch(stem):
        year, *rest = soundtrap.groups()
        return moment([f"20{year}", *rest])
    start = 0
    while match := _TWELVE_HOURS.search(stem, start):
        found = _twelve_hours(match)
        if found is not None:
            return found
        start = match.start() + 1
    start = 0
    while match := _TIME.search(stem, start):
        found = _time(match)
        if found is not None:
            return found
        start = match.start("year") + 1
    return None


def _time(match: re.Match[str]) -> datetime | None:
    with_t = match["joint"] in ("T", "t")
    if match["second"] is None and not with_t:
        return None  # 20260514_0530 is as often a date and a take's number
    if not match["joint"] and (match["dash"] or match["colon"]):
        return None
    zone: timezone | None = None
    if match["zone"] or match["utc"]:
        zone = timezone.utc
    elif match["sign"]:
        # behind a time, "-01" and "-0007" are mostly numbers of takes; as a zone they need a reason
        hour, minute = match["zone_hour"], match["zone_minute"]
        clear = match["named"] or match["sign"] == "+" or (with_t and match["colon"] != "-")
        if clear or f"{hour}{minute}" in _ZONES_WEST:
            zone = fixed_zone(match["sign"], hour, minute)
    return moment(
        [*match.group("year", "month", "day", "hour", "minute"), match["second"] or 0],
        fraction=match["fraction"],
        zone=zone,
    )


def _twelve_hours(match: re.Match[str]) -> datetime | None:
    hour = int(match["hour"])
    if not 1 <= hour <= 12:
        return None
    hour = hour % 12 + (12 if match["half"] in "Pp" else 0)
    return moment([*match.group("year", "month", "day"), hour, *match.group("minute", "second")])

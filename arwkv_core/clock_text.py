"""Dates and times as people and recorders write them: ISO 8601, BWF, GUANO, AudioMoth.

Every reader here gives None for what can't be: month 13, hour 25, a zone of 40 hours, or a year in which
nobody recorded to such a file. Recorders whose clock was never set write 0000 or 1970.
"""

import re
from collections.abc import Iterable
from datetime import datetime, timedelta, timezone

FIRST_YEAR, LAST_YEAR = 1990, 2100
"""What metadata and file names may say: before, there were no recorders that write them."""

_MOST_ZONE = timedelta(hours=14)  # Kiribati

_DISTANCE = r"(?:UTC|GMT)?\s?(?P<sign>[+\-\u2212])(?P<zone_hour>\d{1,2})(?::?(?P<zone_minute>\d{2}))?"
_ZONE = rf"(?P<zone>[Zz]|{_DISTANCE}|UTC|GMT)"
_ISO = re.compile(
    r"(?P<year>\d{4})(?P<dash>-?)(?P<month>\d{2})(?P=dash)(?P<day>\d{2})"
    r"(?:[Tt]|\s+)"
    r"(?P<hour>\d{2})(?P<colon>:?)(?P<minute>\d{2})"
    r"(?:(?P=colon)(?P<second>\d{2})(?:[.,](?P<fraction>\d{1,9}))?)?"
    rf"\s?{_ZONE}?",
    re.ASCII,
)
_BEXT_DATE = re.compile(r"(\d{4})[-_:./ ]\s?(\d{1,2})[-_:./ ]\s?(\d{1,2})|(\d{4})(\d{2})(\d{2})", re.ASCII)
_BEXT_TIME = re.compile(r"(\d{1,2})[-_:./ ]\s?(\d{1,2})[-_:./ ]\s?(\d{1,2})|(\d{2})(\d{2})(\d{2})", re.ASCII)
_AUDIOMOTH = re.compile(
    r"Recorded at (?P<hour>\d\d):(?P<minute>\d\d):(?P<second>\d\d)(?:\.(?P<fraction>\d{1,6}))?"
    r",? (?:on )?(?:[A-Za-z]{3,9},? )?(?P<day>\d\d)/(?P<month>\d\d)/(?P<year>\d{4}),? "
    r"(?:\(UTC(?:(?P<sign>[+-])(?P<zone_hour>\d{1,2})(?::(?P<zone_minute>[ \d]\d))?)?\)|(?=by \w*Moth))",
    re.ASCII,
)


def moment(
    numbers: Iterable[str | int],
    *,
    fraction: str | None = None,
    zone: timezone | None = None,
    first_year: int = FIRST_YEAR,
) -> datetime | None:
    """Put a time together; None if there is no such time or nobody recorded then.

    Parameters
    ----------
    numbers : iterable of str or int
        Year, month, day, hour, minute and second.
    fraction : str, optional
        Decimals of the second; what is finer than a microsecond is cut off.
    zone : timezone, optional
        None is the recorder's local time.
    first_year : int
        The first that is believed.
    """
    year, month, day, hour, minute, second = (int(number) for number in numbers)
    microsecond = int((fraction or "")[:6].ljust(6, "0"))
    if not first_year <= year <= LAST_YEAR:
        return None
    try:
        return datetime(year, month, day, hour, minute, second, microsecond, tzinfo=zone)
    except ValueError:
        return None


def fixed_zone(sign: str, hours: str | int, minutes: str | int | None = None) -> timezone | None:
    """Return a distance from UTC as a zone; None if there is none so far away."""
    if int(minutes or 0) > 59:
        return None
    distance = timedelta(hours=int(hours), minutes=int(minutes or 0))
    if distance > _MOST_ZONE:
        return None
    return timezone(distance if sign == "+" else -distance)


def read_iso(text: str, *, first_year: int = FIRST_YEAR) -> datetime | None:
    """Read ISO 8601, extended (``2026-05-14T05:30:00+02:00``) or basic (``20260514T053000Z``).

    A blank may stand for the T; seconds, their decimals and the zone may be missing.
    """
    match = _ISO.fullmatch(text.strip())
    if match is None:
        return None
    zone = None
    if match["zone"]:
        zone = timezone.utc
        if match["sign"]:
            found = fixed_zone(match["sign"], match["zone_hour"], match["zone_minute"])
            if found is None:
                return None
            zone = found
    return moment(
        [*match.group("year", "month", "day", "hour", "minute"), match["second"] or 0],
        fraction=match["fraction"],
        zone=zone,
        first_year=first_year,
    )


def read_bext(date: str, time: str) -> datetime | None:
    """Read OriginationDate (``2026-05-14``) and OriginationTime (``05:30:00``) of a BWF file (EBU Tech 3285).

    The separators may be hyphen, underscore, colon, blank or full stop. It has no zone.
    """
    on, at = _BEXT_DATE.fullmatch(date.strip()), _BEXT_TIME.fullmatch(time.strip())
    if on is None or at is None:
        return None
    return moment([*filter(None, on.groups()), *filter(None, at.groups())])


def read_audiomoth(text: str) -> datetime | None:
    """Find the time in an AudioMoth's comment: ``Recorded at 19:17:30 17/02/2021 (UTC+2) by AudioMoth …``.

    The first firmware names no zone; its clock knew only UTC.
    """
    match = _AUDIOMOTH.search(text)
    if match is None:
        return None
    zone: timezone | None = timezone.utc
    if match["sign"]:
        zone = fixed_zone(match["sign"], match["zone_hour"], match["zone_minute"])
        if zone is None:
            return None
    return moment(
        match.group("year", "month", "day", "hour", "minute", "second"),
        fraction=match["fraction"],
        zone=zone,
    )

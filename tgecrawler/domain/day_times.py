"""Times of day beside a date, and the zones that make moments of them."""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, timedelta, timezone
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.date_shapes import stands_alone

if TYPE_CHECKING:
    from collections.abc import Sequence

_MAX_TIMES = 160  # of one field; the first ones matter
_JOINT_CHARS = 20  # between a date and its time of day

# Hours east of UTC. CST is left out: in this trade it is China's as often as America's.
_ZONES = {
    **dict.fromkeys(("z", "utc", "gmt"), 0.0),
    **dict.fromkeys(("cet", "bst"), 1.0),
    "cest": 2.0,
    "msk": 3.0,
    "ist": 5.5,
    **dict.fromkeys(("sgt", "hkt"), 8.0),
    **dict.fromkeys(("kst", "jst"), 9.0),
    **dict.fromkeys(("est", "et"), -5.0),
    "edt": -4.0,
    **dict.fromkeys(("pst", "pt"), -8.0),
    "pdt": -7.0,
}

_ZONE = (
    r"(?P<zone>(?:utc|gmt)(?:\s?[+-]\s?\d{1,2}(?::?\d\d)?)?|[cep][sd]?t|cest|bst|msk|ist|sgt"
    r"|hkt|kst|jst|z)(?!\w)"
)
_CLOCK = re.compile(
    r"(?P<hour>\d{1,2})(?:[:.](?P<minute>\d\d))?(?::\d\d)?(?!\d)"
    rf"\s?(?:(?P<half>[ap])\.?m\.?(?!\w))?(?:\s?h(?!\w))?(?:\s?(?P<open>\()?{_ZONE}(?(open)\)?))?"
)
_ISO_MARK = re.compile(r"\dt\d")
_ZONE_BEHIND = re.compile(rf"[\s,]{{0,2}}(?P<open>\()?{_ZONE}(?(open)\)?)")
_TIME_AFTER = re.compile(
    r"t|[\s,)]{0,2}(?:[@(–—-]\s?)?(?:(?:at|from|by|around|starting)\s(?:exactly\s)?)?"
)
_TIME_BEFORE = re.compile(r"[\s,)]{0,3}(?:on\s|of\s)?(?:the\s)?")


class DayTime(NamedTuple):
    """A time of day; ``zone`` is "" where none stands beside it."""

    start: int
    end: int
    hour: int
    minute: int
    zone: str


def find_times(lower: str) -> list[DayTime]:
    """Return the times of day in a text, in order of place; for some no zone is known yet."""
    return [
        time
        for match in islice(_CLOCK.finditer(lower), _MAX_TIMES)
        if (time := _read_clock(match)) is not None
        and (stands_alone(lower, match) or _ISO_MARK.match(lower, max(match.start() - 2, 0)))
    ]


def time_beside(times: Sequence[DayTime], start: int, end: int, lower: str) -> DayTime | None:
    """Return the time of day that belongs to a date; its zone may stand behind both."""
    for time in times:
        if _joined(_TIME_BEFORE, lower, time.end, start):
            return time if time.zone else _find_zone(time, end, lower)
    for time in times:
        if _joined(_TIME_AFTER, lower, end, time.start):
            return time if time.zone else _find_zone(time, time.end, lower)
    return None


def to_moment(day: date, time: DayTime, published_at: datetime | None) -> datetime | None:
    """Return a day and a time as UTC; None for a zone that is unknown.

    Args:
        published_at: given where the day counts from this moment's own in UTC;
            "tonight at 9 pm ET" is the evening of the reader in New York.
    """
    offset = _offset(time.zone, day)
    if offset is None:
        return None
    if published_at is not None:
        day += (published_at + offset).date() - published_at.date()
    midnight = datetime(day.year, day.month, day.day, tzinfo=timezone(offset))
    return (midnight + timedelta(hours=time.hour, minutes=time.minute)).astimezone(UTC)


def _read_clock(match: re.Match[str]) -> DayTime | None:
    hour, minute = int(match["hour"]), int(match["minute"] or 0)
    half, zone = match["half"], match["zone"] or ""
    if not (half or zone or (match["minute"] and ":" in match.group())):
        return None
    if half:
        if not 1 <= hour <= 12:
            return None
        hour = hour % 12 + (12 if half == "p" else 0)
    if minute > 59 or hour * 60 + minute > 24 * 60:
        return None
    return DayTime(match.start(), match.end(), hour, minute, zone)


def _joined(gap: re.Pattern[str], lower: str, start: int, end: int) -> bool:
    return 0 <= end - start <= _JOINT_CHARS and gap.fullmatch(lower, start, end) is not None


def _find_zone(time: DayTime, behind: int, lower: str) -> DayTime | None:
    """Return a time with the zone that stands at ``behind``, None without one."""
    match = _ZONE_BEHIND.match(lower, behind)
    return time._replace(end=match.end(), zone=match["zone"]) if match else None


def _offset(zone: str, day: date) -> timedelta | None:
    """Return how far east of UTC a zone is on a day."""
    name = "".join(zone.split())
    if name[3:]:
        if name[:3] not in ("utc", "gmt"):
            return timedelta(hours=_ZONES[name]) if name in _ZONES else None
        digits = name[4:].replace(":", "")
        hours, minutes = (digits, "0") if len(digits) <= 2 else (digits[:-2], digits[-2:])
        east = timedelta(hours=int(hours), minutes=int(minutes))
        return None if east > timedelta(hours=14) else -east if name[3] == "-" else east
    if name not in _ZONES:
        return None
    summer = name in ("et", "pt") and _is_american_summer(day)
    return timedelta(hours=_ZONES[name] + summer)


def _is_american_summer(day: date) -> bool:
    """Return whether clocks are forward: second Sunday of March to first of November."""
    begins = 8 + (6 - date(day.year, 3, 8).weekday()) % 7
    ends = 1 + (6 - date(day.year, 11, 1).weekday()) % 7
    return (3, begins) <= (day.month, day.day) < (11, ends)

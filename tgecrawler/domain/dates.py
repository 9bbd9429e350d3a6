"""Moments out of the many ways in which feeds and pages write them."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from typing import TYPE_CHECKING

from feedparser.datetimes.greek import _parse_date_greek
from feedparser.datetimes.hungarian import _parse_date_hungarian
from feedparser.datetimes.korean import _parse_date_nate, _parse_date_onblog
from feedparser.datetimes.perforce import _parse_date_perforce

if TYPE_CHECKING:
    from collections.abc import Callable

EARLIEST_YEAR = 1990  # the Web's first; anything before is a default value, not a date
LATEST_YEAR = 2100
_LONGEST_DATE = 100  # characters

_MONTHS = {
    name: number
    for number, name in enumerate(
        ["jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec"],
        start=1,
    )
}
# Hours east of UTC. Names that mean several zones: RFC 822's meaning first (CST,
# EST, MST, PST of North America), else the one with the most people.
_ZONES = {
    **dict.fromkeys(("z", "ut", "utc", "gmt", "wet", "zulu"), 0.0),
    **dict.fromkeys(("bst", "west", "cet", "met", "mez", "wat"), 1.0),
    **dict.fromkeys(("cest", "mest", "mesz", "eet", "cat", "sast"), 2.0),
    **dict.fromkeys(("eest", "msk", "trt", "eat"), 3.0),
    "irst": 3.5,
    "gst": 4.0,
    "msd": 4.0,
    "pkt": 5.0,
    "ist": 5.5,
    "npt": 5.75,
    **dict.fromkeys(("wib", "ict"), 7.0),
    **dict.fromkeys(("hkt", "sgt", "myt", "pht", "awst"), 8.0),
    **dict.fromkeys(("jst", "kst"), 9.0),
    "acst": 9.5,
    "acdt": 10.5,
    "aest": 10.0,
    "aedt": 11.0,
    "nzst": 12.0,
    "nzdt": 13.0,
    "brt": -3.0,
    "art": -3.0,
    "clt": -4.0,
    "nst": -3.5,
    "ndt": -2.5,
    "ast": -4.0,
    "adt": -3.0,
    "est": -5.0,
    "edt": -4.0,
    "et": -5.0,
    "cst": -6.0,
    "cdt": -5.0,
    "ct": -6.0,
    "mst": -7.0,
    "mdt": -6.0,
    "pst": -8.0,
    "pdt": -7.0,
    "pt": -8.0,
    "akst": -9.0,
    "akdt": -8.0,
    "hst": -10.0,
}

_TIME = (
    r"(?P<hour>\d{1,2}):(?P<minute>\d{2})(?::(?P<second>\d{2})(?:[.,]\d{1,12})?)?"
    r"\s*(?P<half>[ap]\.?m\.?)?"
)
_ZONE = (
    r"\s*(?P<zone>[a-z]{1,5}(?![a-z]))?\s*(?P<offset>[+-]\d{1,2}(?::?\d{2})?)?"
    r"(?:\s*\([^()]*\))?\s*"
)
_WEEKDAY = r"(?:[a-z]{2,9}\.?,?\s+)?"
_MONTH = r"(?P<month>[a-z]{3,9})\.?"
_YEAR = r"(?P<year>\d{4}|\d{2})"
_SHAPES = tuple(
    re.compile(shape, re.IGNORECASE | re.ASCII)
    for shape in (
        # 2024-3-5, 2024/03/05 07:08 EST, 2024-03-05T07:08:09.1Z
        rf"(?P<year>\d{{4}})[-/.](?P<month>\d{{1,2}})[-/.](?P<day>\d{{1,2}})"
        rf"(?:(?:t|,?\s+)\s*{_TIME}{_ZONE})?",
        # Tue, 05 Mar 2024 07:08:09 +0000
        rf"{_WEEKDAY}(?P<day>\d{{1,2}})(?:st|nd|rd|th)?[\s-]+{_MONTH},?[\s-]+{_YEAR}"
        rf"(?:,?\s+(?:at\s+)?{_TIME})?{_ZONE}",
        # March 5th, 2024 at 7:08 am EST
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})(?:st|nd|rd|th)?,?\s+{_YEAR}"
        rf"(?:,?\s+(?:at\s+)?{_TIME})?{_ZONE}",
        # Tue Mar  5 07:08:09 UTC 2024 (asctime, date(1), old Twitter)
        rf"{_WEEKDAY}{_MONTH}\s+(?P<day>\d{{1,2}})\s+{_TIME}{_ZONE}\s(?P<year>\d{{4}})",
    )
)
_EPOCH = re.compile(r"\d{10}(?:\d{3})?", re.ASCII)
_COMPACT = re.compile(r"\d{8}(?:[tT ]?\d{4,6})?[zZ]?", re.ASCII)

# feedparser's readers of other languages' dates. Its ISO reader is left out: it
# takes what a date lacks from the clock.
_FOREIGN: tuple[Callable[[str], tuple[int, ...] | None], ...] = (
    _parse_date_onblog,
    _parse_date_nate,
    _parse_date_greek,
    _parse_date_hungarian,
    _parse_date_perforce,
)


def parse_date(value: str) -> datetime | None:
    """Return the moment that `value` names, aware UTC, or None.

    Reads ISO 8601, RFC 822 and 2822 (wrong or missing weekday, named zones,
    two-digit years, no seconds), asctime, English prose dates, seconds or
    milliseconds since 1970, and what feedparser reads of Korean, Greek and
    Hungarian dates. Without a zone it is UTC; without a time it is midnight.
    A year before 1990 or after 2100 is no date. Never raises.
    """
    text = value.strip()
    if not text or len(text) > _LONGEST_DATE:
        return None
    moment = _parse_iso(text) or _parse_epoch(text) or _parse_shapes(text) or _parse_foreign(text)
    if moment is None or not EARLIEST_YEAR <= moment.year <= LATEST_YEAR:
        return None
    return moment


def _parse_iso(text: str) -> datetime | None:
    if len(text) < 8 or (text[4] != "-" and not _COMPACT.fullmatch(text)):
        return None
    try:
        return _to_utc(datetime.fromisoformat(text))
    except (ValueError, OverflowError):
        return None


def _parse_epoch(text: str) -> datetime | None:
    if not _EPOCH.fullmatch(text):
        return None
    seconds = int(text[:10])
    return datetime(1970, 1, 1, tzinfo=UTC) + timedelta(seconds=seconds)


def _parse_shapes(text: str) -> datetime | None:
    for shape in _SHAPES:
        match = shape.fullmatch(text)
        if match:
            return _build_moment({name: part or "" for name, part in match.groupdict().items()})
    return None


def _build_moment(parts: dict[str, str]) -> datetime | None:
    month = parts["month"]
    number = int(month) if month.isdigit() else _MONTHS.get(month[:3].lower())
    if number is None:
        return None
    hour = _hour(parts)
    try:
        day = datetime(_year(parts["year"]), number, int(parts["day"]), tzinfo=_zone(parts))
        if hour > 24 or int(parts["minute"] or 0) > 59 or int(parts["second"] or 0) > 60:
            return None
        seconds = min(int(parts["second"] or 0), 59)  # a leap second
        return _to_utc(
            day + timedelta(hours=hour, minutes=int(parts["minute"] or 0), seconds=seconds)
        )
    except (ValueError, OverflowError):
        return None


def _hour(parts: dict[str, str]) -> int:
    hour = int(parts["hour"] or 0)
    half = parts["half"][:1].lower()
    if half and hour <= 12:
        return hour % 12 + (12 if half == "p" else 0)
    return hour


def _year(digits: str) -> int:
    """Return the year of two or four digits; below 69 is this century (POSIX)."""
    year = int(digits)
    if len(digits) == 4:
        return year
    return year + (2000 if year < 69 else 1900)


def _zone(parts: dict[str, str]) -> timezone:
    offset = parts["offset"]
    if offset:
        digits = offset[1:].replace(":", "")
        hours, minutes = (digits, "0") if len(digits) <= 2 else (digits[:-2], digits[-2:])
        east = timedelta(hours=int(hours), minutes=int(minutes))
        return timezone(-east if offset[0] == "-" else east)
    return timezone(timedelta(hours=_ZONES.get(parts["zone"].lower(), 0.0)))


def _parse_foreign(text: str) -> datetime | None:
    for parse in _FOREIGN:
        try:
            parsed = parse(text)
            if parsed:
                year, month, day, hour, minute, second = parsed[:6]
                return datetime(year, month, day, hour, minute, second, tzinfo=UTC)
        except (ValueError, KeyError, IndexError, TypeError, AttributeError, OverflowError):
            continue
    return None


def _to_utc(moment: datetime) -> datetime:
    if moment.tzinfo is None:
        return moment.replace(tzinfo=UTC)
    return moment.astimezone(UTC)

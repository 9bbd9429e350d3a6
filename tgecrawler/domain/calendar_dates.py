"""Dates by their place in the calendar: "Oct. 14", "14/10/2025", "Q2", "in May", "in 2026"."""

from __future__ import annotations

import re
from datetime import date
from typing import TYPE_CHECKING

from tgecrawler.domain.date_periods import Period, last_of_month
from tgecrawler.domain.date_shapes import PLACE, TH, WEEKDAY, Shape
from tgecrawler.domain.date_tense import next_or_last

if TYPE_CHECKING:
    from tgecrawler.domain.date_shapes import Hit
    from tgecrawler.items import Precision

_MONTH_NAMES = ("jan", "feb", "mar", "apr", "may", "jun", "jul", "aug", "sep", "oct", "nov", "dec")
_MONTHS = {name: at for at, name in enumerate(_MONTH_NAMES, start=1)}
_ORDINALS = {"first": 1, "second": 2, "third": 3, "fourth": 4, "final": 4, "last": 4}

_MONTH = (
    r"(?P<month>jan(?:uary)?|feb(?:ruary)?|mar(?:ch)?|apr(?:il)?|may|june?|july?"
    r"|aug(?:ust)?|sept?(?:ember)?|oct(?:ober)?|nov(?:ember)?|dec(?:ember)?)(?!\w)"
)
# "5 million", "10x", "10 AM", "3.5" and "4%" are no days of a month.
_NO_AMOUNT = (
    r"(?!\w|[.,:/]\d|\s?%|\s(?:million|billion|percent|per\s?cent|cents|times|usd|usdt|tokens"
    r"|[ap]\.?m)\b)"
)
_UNTIL = rf"(?:\s?(?:-|–|—|to|until|till|and|&)\s?\d{{1,2}}{TH}?{_NO_AMOUNT})?"
_YEAR = r"(?P<year>20\d\d|['’]\d\d)(?!\w|[.,:]\d)"
_ITS_YEAR = rf"(?:,?\s{{0,2}}(?:of\s)?{_YEAR})?"

_MONTH_DAY = re.compile(
    rf"{_MONTH}(?:\.\s{{0,2}}|,?\s{{1,2}})(?:the\s)?(?P<day>\d{{1,2}})(?P<th>{TH}?){_NO_AMOUNT}"
    rf"{_UNTIL}{_ITS_YEAR}"
)
_DAY_MONTH = re.compile(
    rf"(?P<day>\d{{1,2}})(?P<th>{TH}?){_UNTIL}\s{{1,2}}(?P<of>of\s)?{_MONTH}\.?{_ITS_YEAR}"
)
_ISO = re.compile(
    r"(?P<year>20\d\d)(?P<mark>[-/.])(?P<month>\d{1,2})(?P=mark)(?P<day>\d{1,2})"
    r"(?=t\d\d:\d\d|[^\w/-]|\Z)"
)
_NUMERIC = re.compile(
    r"(?P<one>\d{1,2})(?P<mark>[-/.])(?P<two>\d{1,2})(?P=mark)(?P<year>20\d\d)(?![\w/-])"
)
_QUARTER = re.compile(
    rf"q(?P<quarter>[1-4])(?!\w)(?:\s?[-–/]\s?q[1-4](?!\w))?(?:[\s/,]{{0,2}}(?:of\s)?{_YEAR})?"
)
_YEAR_QUARTER = re.compile(r"(?P<year>20\d\d)[\s,-]?q(?P<quarter>[1-4])(?!\w)")
_QUARTER_YEAR = re.compile(rf"(?P<quarter>[1-4])q[\s-]?{_YEAR}")
_NAMED_PART = re.compile(
    r"(?P<ordinal>first|second|third|fourth|final|last|[1-4](?:st|nd|rd|th))\s"
    rf"(?P<unit>quarter|half)(?!\w)(?:\s(?:of\s)?(?:{_YEAR}|(?P<which>this|next)\syear(?!\w)))?"
)
_HALF = re.compile(rf"h[12][\s/-]?(?:of\s)?{_YEAR}")
_MONTH_ALONE = re.compile(rf"{_MONTH}(?!-[a-z]-)(?:\.?,?\s{{1,2}}(?:of\s)?{_YEAR})?")
_YEAR_ALONE = re.compile(r"(?P<year>20\d\d)(?!\w|[.,:/-]\d|\s?%|\s(?:tokens|usd|usdt)\b)")

# What stands before a date; ``kept`` belongs to it. \Z is where the date begins.
_ITS_WEEKDAY = re.compile(rf"(?<!\w)(?P<kept>{WEEKDAY}\.?[\s,(]{{1,3}}(?:the\s)?)\Z")
_WEAK_LEADS = ("", "this", "of")  # "this May Be the Year"
_NAME_LEADS = ("", "by", "for", "from", "of", "to")
# "Layer 2 June upgrade" tells of no day.
_NUMBERED = re.compile(
    r"(?<!\w)(?:layer|season|phase|web|version|round|stage|chapter|wave|batch|tier|top|part"
    r"|episode|epoch|series|level)[\s-]\Z"
)
_ORDINAL = re.compile(rf"(?<!\w)\d{{1,2}}{TH}\s(?:of\s)?\Z")
_ACCOUNTS = re.compile(r"\s(?:earnings|results|report|revenue|profit|financial|shareholder)")
# "may launch", "march toward": the word after a month is none of these
_VERB_FOLLOWS = re.compile(r"\s(?!(?:at|from|to|and|on|for|in|with|or|as|via|by)\b)[a-z]")


def _read_month_day(hit: Hit) -> Period | None:
    if hit.has_before(_ORDINAL):
        return None  # "10th Feb 23": the day stands before the month
    certain = hit.is_capital or hit.part("th") or hit.part("year")
    if hit.part("month") in ("may", "march") and not certain:
        return None
    return _dated(hit, _MONTHS[hit.part("month")[:3]], int(hit.part("day")), "day")


def _read_day_month(hit: Hit) -> Period | None:
    certain = hit.part("th") or hit.part("of") or hit.part("year")
    if not certain and (
        hit.has_before(_NUMBERED)
        or (hit.part("month") in ("may", "march") and hit.has_after(_VERB_FOLLOWS))
    ):
        return None
    return _dated(hit, _MONTHS[hit.part("month")[:3]], int(hit.part("day")), "day")


def _read_iso(hit: Hit) -> Period:
    year, month, day = (int(hit.part(name)) for name in ("year", "month", "day"))
    return Period(date(year, month, day), "day")


def _read_numeric(hit: Hit) -> Period | None:
    """Return day and month where only one order is possible."""
    one, two, year = (int(hit.part(name)) for name in ("one", "two", "year"))
    if one <= 12 and two <= 12 and one != two:
        return None
    month, day = (two, one) if one > 12 or one == two else (one, two)
    return Period(date(year, month, day), "day")


def _read_quarter(hit: Hit) -> Period | None:
    if hit.has_after(_ACCOUNTS):
        return None
    return _dated(hit, 3 * int(hit.part("quarter")) - 2, 1, "quarter")


def _read_named_part(hit: Hit) -> Period | None:
    """Return "second quarter of 2025"; of a half only the year, for there is no such precision."""
    today, which = hit.scene.today, hit.part("which")
    if which and today is None:
        return None
    year = hit.part("year") or (str(today.year + (which == "next")) if which and today else "")
    if hit.part("unit") == "half":
        return Period(date(_full_year(year), 1, 1), "year") if year else None
    if hit.has_after(_ACCOUNTS):
        return None
    ordinal = hit.part("ordinal")
    month = 3 * (_ORDINALS.get(ordinal) or int(ordinal[0])) - 2
    if year:
        return Period(date(_full_year(year), month, 1), "quarter")
    return None if ordinal == "last" else _dated(hit, month, 1, "quarter")


def _read_year(hit: Hit) -> Period:
    return Period(date(_full_year(hit.part("year")), 1, 1), "year")


def _read_placed_year(hit: Hit) -> Period | None:
    """Return a bare year where a word says that it is one: "in 2025", "early 2025"."""
    place = hit.lead_part("place") or hit.lead_part("kept").removeprefix("the").strip()
    return _read_year(hit) if place not in ("", "to", "of") else None


def _read_month(hit: Hit) -> Period | None:
    """Return a month without a day, where its words make it one.

    "May" and "March" may be verbs, "Jan" a person, "Mar-a-Lago" a place.
    """
    name, place = hit.part("month"), hit.lead_part("place")
    kept = hit.lead_part("kept").removeprefix("the").strip()
    if hit.part("year"):
        certain = True
    elif name in ("may", "march"):
        certain = hit.is_capital and (place not in ("", "to", "of") or kept not in _WEAK_LEADS)
    elif len(name) > 4 or name in ("june", "july"):
        certain = bool(place or kept or hit.is_capital)
    else:
        certain = place not in _NAME_LEADS or kept not in _WEAK_LEADS
    return _dated(hit, _MONTHS[name[:3]], 1, "month") if certain else None


def _dated(hit: Hit, month: int, day: int, precision: Precision) -> Period | None:
    """Return a date in its year, or in the nearest years that have it."""
    if written := hit.part("year"):
        return Period(date(_full_year(written), month, day), precision)
    if (today := hit.scene.today) is None:
        return None
    if hit.lead_part("kept").startswith("this ") and precision != "day":
        return Period(date(today.year, month, day), precision)
    choices = [
        Period(date(year, month, day), precision)
        for year in range(today.year - 1, today.year + 3)
        if day <= last_of_month(date(year, month, 1)).day
    ]
    return next_or_last(choices, hit)


def _full_year(digits: str) -> int:
    return int(digits) if len(digits) == 4 else 2000 + int(digits[1:])


# In order of how much a shape says.
CALENDAR_SHAPES = (
    Shape(_ISO, _read_iso),
    Shape(_NUMERIC, _read_numeric),
    Shape(_MONTH_DAY, _read_month_day, _ITS_WEEKDAY),
    Shape(_DAY_MONTH, _read_day_month, _ITS_WEEKDAY),
    Shape(_YEAR_QUARTER, _read_quarter, PLACE),
    Shape(_QUARTER_YEAR, _read_quarter, PLACE),
    Shape(_QUARTER, _read_quarter, PLACE),
    Shape(_NAMED_PART, _read_named_part, PLACE, needs=("quarter", "half")),
    Shape(_HALF, _read_year, PLACE),
    Shape(_MONTH_ALONE, _read_month, PLACE),
)
# Apart, for it says least: it comes after those of ``relative_dates`` too.
YEAR_SHAPE = Shape(_YEAR_ALONE, _read_placed_year, PLACE)

"""Dates by their distance from the reader's day: "today", "in 3 days", "Monday", "next month"."""

from __future__ import annotations

import re
from datetime import date, timedelta
from typing import TYPE_CHECKING

from tgecrawler.domain.date_periods import Period, count_from, days_numbered, shift_period
from tgecrawler.domain.date_shapes import PLACE, TH, WEEKDAY, Shape
from tgecrawler.domain.date_tense import find_tense, next_or_last

if TYPE_CHECKING:
    from tgecrawler.domain.date_shapes import Hit

_WEEKDAYS = ("mon", "tue", "wed", "thu", "fri", "sat", "sun")
_COUNT_WORDS = ("one", "two", "three", "four", "five", "six", "seven", "eight", "nine", "ten")
_COUNTS = {word: at for at, word in enumerate(_COUNT_WORDS, start=1)} | {"a": 1, "an": 1}

_UNIT = (
    r"(?P<unit>minute|min|hour|hr|day|week|month|year)s?(?!\w)"
    r"(?:\s(?P<tail>from\s(?:now|today)|left|to\sgo|away|remaining|ago)(?!\w)"
    r"|(?=\s(?P<until>until|till)\s))?"
)
_DAY_WORD = re.compile(
    r"(?P<word>today|tonight|tomorrow|yesterday|this\s(?:morning|afternoon|evening))(?!\w)"
)
_NEAR_PART = re.compile(r"(?P<which>this|next|last)\s(?P<unit>month|quarter|year)(?!\w)")
_YEAR_END = re.compile(r"(?:year[\s-]?end|end\sof\s(?:the\s)?year)(?!\w)(?!\s\d)")
_WEEKDAY_ALONE = re.compile(rf"{WEEKDAY}(?:,?\s(?:the\s)?(?P<day>\d{{1,2}}){TH}(?!\w))?")
_THE_NTH = re.compile(
    rf"the\s(?P<day>\d{{1,2}}){TH}(?=\s?(?:[.,;!)…]|\Z|at\s|of\s(?:this|the)\smonth))"
)
_OFFSET = re.compile(rf"(?P<count>\d{{1,3}})[\s-]?{_UNIT}")
_COUNTED = re.compile(_UNIT)  # behind a number in words, which its lead holds

# What stands before a date; ``kept`` belongs to it. \Z is where the date begins.
_WHICH_WEEKDAY = re.compile(
    r"(?<!\w)(?:(?P<kept>(?P<which>this\scoming|this|coming|next|last|past))"
    r"|on|by|from|until|till|since)\s\Z"
)
_NTH_PLACE = re.compile(r"(?<!\w)(?:on|from|until|till|by)\s\Z")
_INSIDE = (
    r"(?P<inside>in\s(?:(?:just|only|about|around|almost|roughly)\s)?)"
    r"|(?P<bound>(?:(?:in\s)?less\sthan|within|under|(?:in|within|over)\sthe\snext)\s)"
)
_IN = re.compile(rf"(?<!\w)(?P<kept>{_INSIDE})\Z")
_IN_WORDS = re.compile(
    rf"(?<!\w)(?P<kept>(?:{_INSIDE})?(?P<count>{'|'.join(_COUNT_WORDS)}|an?)[\s-])\Z"
)
# "within 24 hours of listing" counts from another day than the reader's.
_BOUND = re.compile(r"\s(?:of(?!\sthis\sannounce)|after|following|since|later|before)(?!\w)")
# "20% in 3 days" tells of a price.
_GAIN = re.compile(r"(?:%|[$€£]\d|\d(?:x|k|m|bn?)\b)[^,.;:!?]{0,12}\Z")
_NO_WEEKDAY = re.compile(r"(?<!\w)(?:black|cyber|super|ruby|palm|bloody)\s\Z")
_NEWSPAPER = re.compile(r"usa\s\Z")
# "on Friday" beside these is the last one, unless the sentence has a verb of the future.
_TOLD = re.compile(
    r"[^\W\d]{2}ed(?!\w)|(?<!\w)(?:said|wrote|told|reports?|statement|post|release)(?!\w)"
)


def _read_day_word(hit: Hit) -> Period | None:
    if hit.scene.today is None or hit.has_before(_NEWSPAPER):
        return None
    days = {"tomorrow": 1, "yesterday": -1}.get(hit.part("word"), 0)
    return Period(hit.scene.today + timedelta(days=days), "day")


def _read_near_part(hit: Hit) -> Period | None:
    """Return this, next or last month, quarter or year."""
    if hit.scene.today is None:
        return None
    step = {"next": 1, "last": -1}.get(hit.part("which"), 0)
    return shift_period(hit.scene.today, step, hit.part("unit"))


def _read_year_end(hit: Hit) -> Period | None:
    return shift_period(hit.scene.today, 0, "year") if hit.scene.today else None


def _read_weekday(hit: Hit) -> Period | None:
    name, today = hit.part("weekday"), hit.scene.today
    if today is None or hit.has_before(_NO_WEEKDAY):
        return None
    number = _WEEKDAYS.index(name[:3])
    if day := hit.part("day"):
        return next_or_last(
            [p for p in days_numbered(today, int(day)) if p.first.weekday() == number], hit
        )
    if len(name) < 6 or not (hit.lead or hit.is_capital):
        return None  # "sun", "sat", "wed"
    last = today - timedelta(days=(today.weekday() - number) % 7)
    return _pick_weekday(last, today, hit)


def _pick_weekday(last: date, today: date, hit: Hit) -> Period | None:
    """Return which one of a weekday is meant; ``last`` is its last one, today included.

    On a Wednesday "next Friday" is the day after tomorrow to some and nine days
    away to others: None. Where this week's has passed, all agree.
    """
    which = hit.lead_part("which")
    coming = last if last == today else last + timedelta(days=7)
    week = today - timedelta(days=today.weekday())
    if which == "next":
        agreed = last >= week
        return Period(last + timedelta(days=7), "day") if agreed else None
    if which in ("last", "past"):
        if last == today:
            return Period(last - timedelta(days=7), "day")
        return Period(last, "day") if last < week else None
    if which:
        return Period(coming, "day")
    tense = find_tense(hit)
    told = hit.has_before(_TOLD)
    return Period(last if tense == "past" or (told and not tense) else coming, "day")


def _read_nth(hit: Hit) -> Period | None:
    if hit.scene.today is None or hit.lead is None:
        return None
    return next_or_last(days_numbered(hit.scene.today, int(hit.part("day"))), hit)


def _read_offset(hit: Hit) -> Period | None:
    """Return "in 3 days", "48 hours from now", "2 days left" or "two months ago"."""
    tail = hit.part("tail")
    is_in = hit.lead_part("inside") or hit.lead_part("bound")
    if not (tail or hit.part("until")) and (not is_in or _is_span(hit)):
        return None
    if hit.scene.published_at is None or (not tail and hit.has_after(_BOUND)):
        return None
    count, unit = hit.part("count") or hit.lead_part("count"), hit.part("unit")
    if not count:
        return None
    number = (int(count) if count.isdigit() else _COUNTS[count]) * (-1 if tail == "ago" else 1)
    exact = tail.startswith("from")
    found = count_from(hit.scene.published_at, number, unit, exact=exact)
    if hit.lead_part("bound") and found.first != hit.scene.today:
        return None  # "within three days" is any of them
    return found


def _is_span(hit: Hit) -> bool:
    """Return whether "in N days" says how long something took: "rose 20% in 3 days"."""
    if hit.has_before(_GAIN):
        return True
    tense = find_tense(hit)
    return tense == "past" or (tense is None and hit.part("unit").startswith("min"))


# In order of how much a shape says.
RELATIVE_SHAPES = (
    Shape(_OFFSET, _read_offset, _IN, relative=True),
    Shape(_COUNTED, _read_offset, _IN_WORDS, relative=True),
    Shape(_DAY_WORD, _read_day_word, relative=True),
    Shape(_NEAR_PART, _read_near_part, PLACE),
    Shape(_YEAR_END, _read_year_end, PLACE, needs=("year",)),
    Shape(_WEEKDAY_ALONE, _read_weekday, _WHICH_WEEKDAY),
    Shape(_THE_NTH, _read_nth, _NTH_PLACE),
)

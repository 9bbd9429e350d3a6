"""When a token event happens, as far as a text says: dates with the words that say so.

A date is no more precise than its words. Without a time that names its zone it
is a day and never a midnight; "in six weeks" is a month; "next week", "soon" and
"within three days" name no period that ``Precision`` has, and give nothing. What
a text leaves out comes from the moment of publication, and without one only
dates that name their year remain. "3/7" may be two days, and is therefore none.

What a date looks like is in ``calendar_dates`` and ``relative_dates``.
"""

from __future__ import annotations

import re
from bisect import bisect_right
from dataclasses import dataclass
from itertools import islice
from typing import TYPE_CHECKING, NamedTuple

from tgecrawler.domain.calendar_dates import CALENDAR_SHAPES, YEAR_SHAPE
from tgecrawler.domain.date_shapes import (
    Hit,
    Scene,
    Shape,
    find_before,
    lower_in_place,
    set_scene,
    stands_alone,
)
from tgecrawler.domain.date_tense import NEAR_CHARS, SENTENCE_END
from tgecrawler.domain.dates import EARLIEST_YEAR, LATEST_YEAR
from tgecrawler.domain.day_times import find_times, time_beside, to_moment
from tgecrawler.domain.relative_dates import RELATIVE_SHAPES

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence
    from datetime import datetime

    from tgecrawler.domain.date_periods import Period
    from tgecrawler.domain.day_times import DayTime
    from tgecrawler.items import Precision, TextField

MAX_CHARS = 20_000  # of a field; a long article has 10,000
MAX_MATCHES = 40  # of one shape in one field; the first ones matter

# In order of how much a shape says: what an earlier one covers is no other's.
_SHAPES = (*CALENDAR_SHAPES, *RELATIVE_SHAPES, YEAR_SHAPE)

# A date beside these is the report's: "announced on Tuesday", "today announced".
_REPORTED = re.compile(
    r"(?<!\w)(?:announced|said|told|reported|confirmed|revealed|tweeted|posted|wrote|published"
    r"|shared|stated|according\sto|price)(?:\s(?:that|on|in|a|an|its|late|early|earlier|the|x)"
    r"){0,3}\s\Z"
)
_REPORTS = re.compile(
    r",?\s(?:(?:it|they)\s)?(?:announced|said|confirmed|revealed|statement|tweet|post"
    r"|announcement)(?!\w)"
)
# Deposits open before trading does, and registration before the claim.
_PREPARES = re.compile(r"(?<!\w)(?:deposits?|withdrawals?|regist(?:er|rations?))(?!\w)")
_DATELINE = re.compile(r"[\s)]{0,2}(?:--|–|—)\s")
_DATELINE_CHARS = 60  # from the beginning of a field to the end of a dateline


@dataclass(frozen=True, slots=True)
class EventDate:
    """A date that a text names, and where.

    ``value`` is ISO 8601 as far as ``precision`` goes: "2025-10-14T10:00Z",
    "2025-10-14", "2025-10", "2025-Q4" or "2025"; of a range it is the beginning.
    ``start`` and ``end`` are offsets in characters into the text.
    """

    value: str
    precision: Precision
    start: int
    end: int
    text: str


class CuedText(NamedTuple):
    """A field of a record, and where words of an event stand in it, in characters."""

    field: TextField
    text: str
    cues: Sequence[tuple[int, int]] = ()


class ChosenDate(NamedTuple):
    """The event's date, and the field that it stands in."""

    field: TextField
    date: EventDate


class _Draft(NamedTuple):
    """A date before its time of day is known."""

    start: int
    end: int
    period: Period
    relative: bool


def find_event_dates(text: str, published_at: datetime | None) -> list[EventDate]:
    """Return the dates that a text names, in order of place; no two overlap.

    A date without a year is the next one after ``published_at``. Where that is
    more than ``date_tense.WINDOW_DAYS`` ahead it is the last one instead, if that is
    at most as far back and no verb of the future speaks of it. Where a past verb speaks
    of one further back, the year is anybody's guess, and the date is left out.
    """
    scene = set_scene(text[:MAX_CHARS], published_at)
    drafts: list[_Draft] = []
    for shape in _SHAPES:
        if any(word in scene.lower for word in shape.needs):
            for match in islice(shape.pattern.finditer(scene.lower), MAX_MATCHES):
                if stands_alone(scene.lower, match) and not _overlaps(match, drafts):
                    drafts += _draft(shape, scene, match)
    times = find_times(scene.lower) if drafts else []
    return [_finish(draft, times, scene) for draft in sorted(drafts)]


def _overlaps(match: re.Match[str], drafts: Sequence[_Draft]) -> bool:
    return any(match.start() < draft.end and draft.start < match.end() for draft in drafts)


def _draft(shape: Shape, scene: Scene, match: re.Match[str]) -> Iterator[_Draft]:
    """Yield the date of a match, at most one."""
    lead = find_before(shape.lead, scene.lower, match.start()) if shape.lead else None
    try:
        period = shape.read(Hit(scene, match, lead))
    except (ValueError, OverflowError):  # 31 February, or a day past the calendar's end
        return
    if period is not None and EARLIEST_YEAR <= period.first.year <= LATEST_YEAR:
        start, end = match.span()
        if lead is not None and lead.groupdict().get("kept"):
            start = lead.start("kept")
        if "(" in scene.lower[start : match.start()]:
            end += scene.lower.startswith(")", end)
        yield _Draft(start, end, period, shape.relative)


def _finish(draft: _Draft, times: list[DayTime], scene: Scene) -> EventDate:
    """Return a draft as a date: to the minute where a time with its zone stands beside it.

    That time is taken out of ``times``, for it belongs to no other date.
    """
    start, end = draft.start, draft.end
    value, precision = draft.period.value(), draft.period.precision
    time = time_beside(times, start, end, scene.lower) if precision == "day" else None
    reader_at = scene.published_at if draft.relative else None
    moment = to_moment(draft.period.first, time, reader_at) if time is not None else None
    if time is not None and moment is not None:
        times[:] = [other for other in times if other.start != time.start]
        start, end = min(start, time.start), max(end, time.end)
        value, precision = moment.strftime("%Y-%m-%dT%H:%MZ"), "minute"
    return EventDate(value, precision, start, end, scene.text[start:end])


def choose_event_date(
    texts: Sequence[CuedText], published_at: datetime | None
) -> ChosenDate | None:
    """Return the date that is the event's: the one nearest to a cue.

    First come dates in the sentence of a cue, then those elsewhere in its field,
    then those of deposits or registration, which open before the event, then those
    of fields without cues; of equals the earlier field's. A date that only tells when
    something was reported is taken where there is no other. Where a sentence of
    the event says the same more precisely ("tomorrow", "Oct. 14, 10:00 UTC"),
    the more precise date is returned.
    """
    ranked = sorted(
        (
            (_rank(scan, found, at), ChosenDate(text.field, found))
            for at, text in enumerate(texts)
            for scan in [_scan(text)]
            for found in find_event_dates(text.text, published_at)
        ),
        key=lambda pair: pair[0],
    )
    if not ranked:
        return None
    best = ranked[0][1]
    return next((other for rank, other in ranked if not rank[0] and _refines(other, best)), best)


def _refines(other: ChosenDate, chosen: ChosenDate) -> bool:
    """Return whether a date says the same as another, and more."""
    one, two = other.date, chosen.date
    return one.precision != two.precision and one.value.startswith(two.value)


class _Scan(NamedTuple):
    """A field as the choice looks at it: where its sentences end, and its cues."""

    lower: str
    breaks: list[int]
    cues: Sequence[tuple[int, int]]


def _scan(text: CuedText) -> _Scan:
    lower = lower_in_place(text.text[:MAX_CHARS])
    ends = SENTENCE_END.finditer(text.text, 0, MAX_CHARS)
    return _Scan(lower, [match.end() for match in ends], text.cues)


def _rank(scan: _Scan, found: EventDate, at: int) -> tuple[int, int, int, int]:
    """Return how remote a date is: in kind, in fields, in characters, in order of place."""
    sentence = bisect_right(scan.breaks, found.start)
    gaps = [
        (bisect_right(scan.breaks, start) != sentence, max(start - found.end, found.start - end, 0))
        for start, end in scan.cues
    ]
    apart, gap = min(gaps, default=(True, MAX_CHARS))
    begin = max(found.start - NEAR_CHARS, 0, *scan.breaks[:sentence][-1:])
    if _is_report(scan.lower, found):
        kind = 4
    elif not gaps:
        kind = 3
    elif _PREPARES.search(scan.lower, begin, found.start):
        kind = 2
    else:
        kind = int(apart)
    return kind, at, gap, found.start


def _is_report(lower: str, found: EventDate) -> bool:
    """Return whether a date tells when something was said, not when it happens."""
    return (
        find_before(_REPORTED, lower, found.start) is not None
        or _REPORTS.match(lower, found.end) is not None
        or (found.end < _DATELINE_CHARS and _DATELINE.match(lower, found.end) is not None)
    )

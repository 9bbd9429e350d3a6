"""Dates in texts: which, how precise, at which place, and which of them is the event's."""

from __future__ import annotations

import re
from datetime import UTC, datetime, timedelta, timezone
from itertools import pairwise
from time import perf_counter

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.event_date import (
    MAX_CHARS,
    MAX_MATCHES,
    CuedText,
    choose_event_date,
    find_event_dates,
)

WEDNESDAY = datetime(2025, 10, 8, 12, 0, tzinfo=UTC)

VALUES = {
    "minute": r"\d{4}-\d\d-\d\dT\d\d:\d\dZ",
    "day": r"\d{4}-\d\d-\d\d",
    "month": r"\d{4}-\d\d",
    "quarter": r"\d{4}-Q[1-4]",
    "year": r"\d{4}",
}


def read(text: str, published_at: datetime | None = WEDNESDAY) -> list[tuple[str, str]]:
    """Return the dates of a text as (value, words), checking what holds of each."""
    found = find_event_dates(text, published_at)
    for date in found:
        assert re.fullmatch(VALUES[date.precision], date.value)
        assert text[date.start : date.end] == date.text
    assert all(one.end <= other.start for one, other in pairwise(found))
    return [(date.value, date.text) for date in found]


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("Claims open Oct. 14.", "2025-10-14", "Oct. 14"),
        ("Claims open on October 14th, 2026", "2026-10-14", "October 14th, 2026"),
        ("set for 14 October", "2025-10-14", "14 October"),
        ("on the 14th of October 2025", "2025-10-14", "14th of October 2025"),
        ("listed Nov.17 on Acme", "2025-11-17", "Nov.17"),
        ("open on Tuesday, October 14th", "2025-10-14", "Tuesday, October 14th"),
        ("on Tuesday (October 14)", "2025-10-14", "Tuesday (October 14)"),
        ("from January 18 to 25 of 2026", "2026-01-18", "January 18 to 25 of 2026"),
        ("on 10th Oct 23", "2025-10-10", "10th Oct"),
        ("18-20 October", "2025-10-18", "18-20 October"),
        ("on 2025-10-14", "2025-10-14", "2025-10-14"),
        ("on 14/10/2025", "2025-10-14", "14/10/2025"),
        ("on 10/14/2025", "2025-10-14", "10/14/2025"),
        ("on 14.10.2025", "2025-10-14", "14.10.2025"),
        ("on 05/05/2025", "2025-05-05", "05/05/2025"),
        ("on MAY 4", "2026-05-04", "MAY 4"),
        ("on may 4th", "2026-05-04", "may 4th"),
        ("snapshot on the 23rd.", "2025-10-23", "the 23rd"),
        ("sale on Monday 13th", "2025-10-13", "Monday 13th"),
    ],
)
def test_days(text: str, value: str, words: str) -> None:
    assert read(text) == [(value, words)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("Oct. 14, 10:00 UTC", "2025-10-14T10:00Z"),
        ("October 14th, 2025 at 10am EST", "2025-10-14T15:00Z"),
        ("10:00 UTC on May 13, 2026", "2026-05-13T10:00Z"),
        ("7:00 AM PDT, Nov 3rd", "2025-11-03T14:00Z"),
        ("9am UTC on Monday, October 13th", "2025-10-13T09:00Z"),
        ("October 25, 2026 at 2pm (UTC)", "2026-10-25T14:00Z"),
        ("08:00 AM on April 4, 2022, EDT", "2022-04-04T12:00Z"),
        ("2025-10-14T10:00:00Z", "2025-10-14T10:00Z"),
        ("Oct 20 @ 3PM SGT", "2025-10-20T07:00Z"),
        ("Oct 20, 20:00 UTC+8", "2025-10-20T12:00Z"),
        ("Oct 20, 09:30 UTC+5:30", "2025-10-20T04:00Z"),
        ("Oct 20, 21:00 GMT-3", "2025-10-21T00:00Z"),
        ("Oct 20, 9:00 KST", "2025-10-20T00:00Z"),
        ("Oct 20, 9:00 CEST", "2025-10-20T07:00Z"),
        ("Oct 20, 12 AM UTC", "2025-10-20T00:00Z"),
        ("Oct 20, 12 PM UTC", "2025-10-20T12:00Z"),
        ("12:30 UTC today", "2025-10-08T12:30Z"),
        ("tomorrow at 10:00am UTC", "2025-10-09T10:00Z"),
    ],
)
def test_minutes(text: str, value: str) -> None:
    assert read(text) == [(value, text)]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("March 8, 2026 at 10am ET", "2026-03-08T14:00Z"),  # the second Sunday of March
        ("March 7, 2026 at 10am ET", "2026-03-07T15:00Z"),
        ("November 1, 2026 at 10am PT", "2026-11-01T18:00Z"),  # the first Sunday of November
        ("October 31, 2026 at 10am PT", "2026-10-31T17:00Z"),
    ],
)
def test_american_summer_time(text: str, value: str) -> None:
    assert read(text) == [(value, text)]


@pytest.mark.parametrize("time", ["10:00", "10am", "10:00 CST", "25:00 UTC", "13pm UTC"])
def test_a_time_without_a_known_zone_leaves_a_day(time: str) -> None:
    assert [value for value, _ in read(f"Claims open Oct. 14, {time}")] == ["2025-10-14"]


def test_a_time_belongs_to_one_date() -> None:
    assert [value for value, _ in read("10:00 UTC on Oct 14, 12:00 UTC on Oct 15")] == [
        "2025-10-14T10:00Z",
        "2025-10-15T12:00Z",
    ]
    assert [value for value, _ in read("Oct 14 10:00 UTC, Oct 15")] == [
        "2025-10-14T10:00Z",
        "2025-10-15",
    ]


def test_tonight_is_the_evening_of_the_zone_that_is_named() -> None:
    small_hours = datetime(2025, 10, 9, 0, 30, tzinfo=UTC)  # still the 8th in New York
    assert read("tonight at 9pm ET", small_hours) == [("2025-10-09T01:00Z", "tonight at 9pm ET")]
    assert read("tonight at 9pm UTC", small_hours) == [("2025-10-09T21:00Z", "tonight at 9pm UTC")]


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("live in Q1", "2026-Q1", "Q1"),
        ("live in Q2 2025", "2025-Q2", "Q2 2025"),
        ("live in Q1'26", "2026-Q1", "Q1'26"),
        ("2026 Q1", "2026-Q1", "2026 Q1"),
        ("1Q 2026", "2026-Q1", "1Q 2026"),
        ("the second quarter of 2025", "2025-Q2", "the second quarter of 2025"),
        ("next quarter", "2026-Q1", "next quarter"),
        ("in March", "2026-03", "March"),
        ("by the end of March", "2026-03", "the end of March"),
        ("mid-June", "2026-06", "mid-June"),
        ("late this November", "2025-11", "late this November"),
        ("as early as February", "2026-02", "February"),
        ("in May", "2026-05", "May"),
        ("March 2026", "2026-03", "March 2026"),
        ("Slated for October", "2025-10", "October"),
        ("next month", "2025-11", "next month"),
        ("end of next month", "2025-11", "end of next month"),
        ("H1 2026", "2026", "H1 2026"),
        ("the first half of next year", "2026", "the first half of next year"),
        ("early 2026", "2026", "early 2026"),
        ("in 2026", "2026", "2026"),
        ("later this year", "2025", "later this year"),
        ("next year", "2026", "next year"),
        ("by year-end", "2025", "year-end"),
    ],
)
def test_longer_periods(text: str, value: str, words: str) -> None:
    assert read(text) == [(value, words)]


@pytest.mark.parametrize(
    ("text", "value", "words"),
    [
        ("live today", "2025-10-08", "today"),
        ("TOMORROW", "2025-10-09", "TOMORROW"),
        ("it went live yesterday", "2025-10-07", "yesterday"),
        ("this afternoon", "2025-10-08", "this afternoon"),
        ("in 3 days", "2025-10-11", "in 3 days"),
        ("in three days", "2025-10-11", "in three days"),
        ("2 days to go", "2025-10-10", "2 days to go"),
        ("ONE DAY away", "2025-10-09", "ONE DAY away"),
        ("48 hours from now", "2025-10-10", "48 hours from now"),
        ("3 days left before the snapshot", "2025-10-11", "3 days left"),
        ("Acme nears $10m, sale must end in 8 days", "2025-10-16", "in 8 days"),
        ("it goes live in 10 minutes", "2025-10-08", "in 10 minutes"),
        ("in almost 14 hours", "2025-10-09", "in almost 14 hours"),
        ("within 5 hours", "2025-10-08", "within 5 hours"),
        ("just 1 hour until the launch", "2025-10-08", "1 hour"),
        ("two weeks from today", "2025-10-22", "two weeks from today"),
        ("in 6 weeks", "2025-11", "in 6 weeks"),
        ("in two months", "2025-12", "in two months"),
        ("two days ago", "2025-10-06", "two days ago"),
        ("on Monday", "2025-10-13", "Monday"),
        ("on Wednesday", "2025-10-08", "Wednesday"),
        ("this Friday", "2025-10-10", "this Friday"),
        ("next Monday", "2025-10-13", "next Monday"),
        ("last Friday", "2025-10-03", "last Friday"),
        ("it launched on Monday", "2025-10-06", "Monday"),
        ("announced Monday", "2025-10-06", "Monday"),
        ("announced that it will launch on Monday", "2025-10-13", "Monday"),
    ],
)
def test_relative_dates(text: str, value: str, words: str) -> None:
    assert read(text) == [(value, words)]
    assert read(text, None) == []


@pytest.mark.parametrize(
    "text",
    [
        "this week",
        "next week",
        "over the weekend",
        "soon",
        "on 04/10/2025",
        "within 3 days",
        "next Friday",  # the day after tomorrow to some, nine days away to others
        "last Monday",
        "Feb 30",
        "31.02.2025",
        "$10.14 a token",
        "version v2.10 and v2.10.2025",
        "it cost $14 Oct",
        "as of v2.14 Oct",
        "10.14% and 14 million",
        "it may launch",
        "Traders May 10x This",
        "may 4 of them win",
        "This May Be the Year",
        "the bulls march to 5",
        "Season 2 May Launch",
        "FAQ2 and Q22 and $Q2",
        "Q2 earnings call",
        "a 25 year old",
        "won 3-2",
        "2026 tokens",
        "a 2025 vintage",
        "biggest launch of 2024",
        "up 20% in 3 days",
        "sold out in five minutes",
        "Sells Out in Five Minutes",
        "raises $2M in 3 days",
        "within 24 hours of listing",
        "in 3 days after the sale",
        "Black Friday",
        "USA Today",
        "the sun and the sat",
        "at Mar-a-Lago",
        "https://acme.example/2025/10/14/q2-today",
        "decided by Jan Acme",
    ],
)
def test_no_dates(text: str) -> None:
    assert read(text) == []


def test_a_numbered_thing_before_a_month_is_no_day() -> None:
    assert read("Layer 2 June upgrade") == [("2026-06", "June")]


@pytest.mark.parametrize(
    ("text", "value"),
    [
        ("The token launched on September 20", "2025-09-20"),
        ("September 20 was the day", "2025-09-20"),
        ("Airdrop recap, September 20", "2025-09-20"),
        ("It will launch on September 20", "2026-09-20"),
        ("It will launch on October 7", "2025-10-07"),  # passed on late: not next year's
        ("It will launch on October 8", "2025-10-08"),
        ("announced the sale for March 5", "2026-03-05"),
        ("the snapshot is on the 5th.", "2025-11-05"),
        ("the snapshot was on the 5th.", "2025-10-05"),
        ("It started in September", "2025-09"),
        ("It started in October", "2025-10"),
        ("It sold out in Q3", "2025-Q3"),
        ("It will open in Q3", "2026-Q3"),
        ("due on January 5", "2026-01-05"),
    ],
)
def test_the_year_that_a_text_leaves_out(text: str, value: str) -> None:
    assert [found for found, _ in read(text)] == [value]


def test_a_year_is_not_guessed() -> None:
    assert read("The token launched on May 2") == []
    assert read("Claims open Oct. 14", None) == []
    assert read("Claims open Oct. 14, 2025", None) == [("2025-10-14", "Oct. 14, 2025")]


def test_turn_of_the_year() -> None:
    new_year = datetime(2026, 1, 2, tzinfo=UTC)
    assert read("It went live on December 30", new_year) == [("2025-12-30", "December 30")]
    assert read("29 February", datetime(2027, 12, 1, tzinfo=UTC)) == [("2028-02-29", "29 February")]


def test_publication_in_another_zone_and_in_none() -> None:
    assert read("today", datetime.min.replace(tzinfo=timezone(timedelta(hours=9)))) == []
    seoul = datetime(2025, 10, 9, 8, 0, tzinfo=timezone(timedelta(hours=9)))
    assert read("today", seoul) == [("2025-10-08", "today")]
    assert read("today", datetime(2025, 10, 8)) == [("2025-10-08", "today")]  # noqa: DTZ001


def test_places_hold_where_lower_case_is_longer() -> None:
    assert read("İİİ Oct. 14") == [("2025-10-14", "Oct. 14")]


def choose(*texts: tuple[str, str]) -> tuple[str, str] | None:
    """Return (field, words) chosen from texts whose cue is the word given beside each."""
    cued = [
        CuedText(field, text, [(text.index(cue), text.index(cue) + len(cue))] if cue else [])
        for field, (text, cue) in zip(("title", "summary", "text"), texts, strict=False)
    ]
    chosen = choose_event_date(cued, WEDNESDAY)
    return None if chosen is None else (chosen.field, chosen.date.text)


def test_the_date_in_the_sentence_of_the_event_is_chosen() -> None:
    text = "Founded in March 2020 by two friends. The airdrop of Acme opens to users on Oct. 14."
    assert choose((text, "airdrop")) == ("title", "Oct. 14")
    near = "Listed on Oct. 20. The airdrop of the token that all have been waiting for is Oct. 14."
    assert choose((near, "airdrop")) == ("title", "Oct. 14")


def test_the_nearest_of_a_sentence_is_chosen() -> None:
    text = "Acme, which raised funds in March 2020, sets its airdrop for Oct. 14"
    assert choose((text, "airdrop")) == ("title", "Oct. 14")


def test_fields_are_asked_in_order() -> None:
    assert choose(("Airdrop on Oct. 14", "Airdrop"), ("Airdrop on Oct. 15", "Airdrop")) == (
        "title",
        "Oct. 14",
    )
    assert choose(("Airdrop dated", "Airdrop"), ("It is Oct. 15.", "")) == ("summary", "Oct. 15")


def test_the_day_of_the_report_is_the_last_resort() -> None:
    reported = "Acme announced on Tuesday its airdrop, which opens on Oct. 14"
    assert choose((reported, "airdrop")) == ("title", "Oct. 14")
    assert choose(("SEOUL, Oct. 7 – Acme opens its airdrop on Oct. 14", "airdrop")) == (
        "title",
        "Oct. 14",
    )
    assert choose(("Acme announced on Tuesday its airdrop", "airdrop")) == ("title", "Tuesday")


def test_deposits_open_before_the_event() -> None:
    text = "ACME deposits open at 04:00 UTC on Oct. 13, 2025.\nTrading opens on Oct. 14, 2025."
    chosen = choose_event_date([CuedText("text", text, [(5, 13), (50, 57)])], WEDNESDAY)
    assert chosen is not None
    assert chosen.date.value == "2025-10-14"


def test_the_same_date_said_more_precisely_is_chosen() -> None:
    assert choose(
        ("Acme airdrop tomorrow", "airdrop"),
        ("The airdrop opens at 10:00 UTC on Oct. 9.", "airdrop"),
    ) == ("summary", "10:00 UTC on Oct. 9")
    assert choose(
        ("Acme airdrop tomorrow", "airdrop"), ("The airdrop was hinted at on Oct. 1.", "airdrop")
    ) == ("title", "tomorrow")


def test_nothing_to_choose() -> None:
    assert choose(("Acme opens its airdrop", "airdrop")) is None
    assert choose_event_date([], WEDNESDAY) is None


WORDS = """
Oct. may March 14 14th 2025 '26 , . - – / : ( ) 10:00 10am UTC UTC+8 EST ET today tomorrow Q2 H1
first quarter of half next last this in within 3 days weeks hours from now left ago Monday on the
23rd by end early mid- year month will launched $ % 31.02. 99 0 00 İ ² ٣ https://acme.example
"""
PIECES = st.sampled_from([*WORDS.split(), "\n"])


@given(st.lists(PIECES, max_size=25), st.sampled_from(["", " "]), st.datetimes())
def test_any_words_are_read_or_left(pieces: list[str], gap: str, published_at: datetime) -> None:
    read(gap.join(pieces), published_at)
    read(gap.join(pieces), None)


@given(st.text(max_size=300), st.lists(st.tuples(st.integers(0, 300), st.integers(0, 300))))
def test_any_text_and_any_cues(text: str, cues: list[tuple[int, int]]) -> None:
    read(text)
    choose_event_date([CuedText("title", text, cues)], WEDNESDAY)


@settings(max_examples=25, deadline=None)
@given(PIECES | st.characters())
def test_time_is_bounded(piece: str) -> None:
    megabyte = (piece + " ") * 500_000
    solid = (piece or " ") * 1_000_000
    started_at = perf_counter()
    found = find_event_dates(megabyte, WEDNESDAY)
    find_event_dates(solid, WEDNESDAY)
    choose_event_date([CuedText("text", solid, [(0, 5)])], WEDNESDAY)
    assert perf_counter() - started_at < 2  # it takes 10 to 30 ms
    assert len(found) <= 4 * MAX_MATCHES
    assert all(date.end <= MAX_CHARS for date in found)

from __future__ import annotations

from datetime import UTC, datetime

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tgecrawler.domain.dates import parse_date


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        # ISO 8601 and its relatives
        ("2024-03-05T07:08:09Z", "2024-03-05T07:08:09"),
        ("2024-03-05T07:08:09.123456789Z", "2024-03-05T07:08:09.123456"),
        ("2024-03-05t07:08:09z", "2024-03-05T07:08:09"),
        ("2024-03-05T07:08:09+0200", "2024-03-05T05:08:09"),
        ("2024-03-05 07:08:09 +02:00", "2024-03-05T05:08:09"),
        ("2024-03-05 07:08:09 UTC", "2024-03-05T07:08:09"),
        ("2024-03-05T07:08", "2024-03-05T07:08:00"),
        ("2024-03-05", "2024-03-05T00:00:00"),
        ("20240305", "2024-03-05T00:00:00"),
        ("20240305T070809Z", "2024-03-05T07:08:09"),
        ("2024-3-5 7:08", "2024-03-05T07:08:00"),
        ("2024/03/05 07:08:09", "2024-03-05T07:08:09"),
        ("2024-03-05T24:00:00Z", "2024-03-06T00:00:00"),
        ("2016-12-31T23:59:60Z", "2016-12-31T23:59:59"),
        # RFC 822 and 2822
        ("Tue, 05 Mar 2024 07:08:09 +0000", "2024-03-05T07:08:09"),
        ("Fri, 05 Mar 2024 07:08:09 GMT", "2024-03-05T07:08:09"),  # it was a Tuesday
        ("5 Mar 24 07:08 EST", "2024-03-05T12:08:00"),
        ("05 Mar 99 07:08 PDT", "1999-03-05T14:08:00"),
        ("Tue, 5 March 2024 07:08:09 CET", "2024-03-05T06:08:09"),
        ("Tue, 05 Mar 2024 07:08:09 KST", "2024-03-04T22:08:09"),
        ("Tue, 05 Mar 2024 07:08:09 IST", "2024-03-05T01:38:09"),
        ("Tue, 05 Mar 2024 07:08:09 GMT+2", "2024-03-05T05:08:09"),
        ("Tue, 05 Mar 2024 07:08:09 -05:00 (EST)", "2024-03-05T12:08:09"),
        ("Tue, 05 Sept 2023 07:08:09 Z", "2023-09-05T07:08:09"),
        ("Tue, 05 Mar 2024 07:08:09 NOSUCH", None),
        ("Tue, 05 Mar 2024 07:08:09 XYZ", "2024-03-05T07:08:09"),
        # asctime, prose, seconds
        ("Tue Mar  5 07:08:09 2024", "2024-03-05T07:08:09"),
        ("Tue Mar 05 07:08:09 +0000 2024", "2024-03-05T07:08:09"),
        ("March 5th, 2024 at 7:08 pm EST", "2024-03-06T00:08:00"),
        ("Tuesday, March 5, 2024", "2024-03-05T00:00:00"),
        ("Mar 5, 2024 12:08 a.m.", "2024-03-05T00:08:00"),
        ("1709622489", "2024-03-05T07:08:09"),
        ("1709622489123", "2024-03-05T07:08:09"),
        # left to feedparser
        ("2008년 09월 15일 10:11:12", "2008-09-15T01:11:12"),
        ("Δευ, 05 Μαρ 2024 07:08:09 GMT", None),  # "Μαρ" is none of its months
        ("Τρι, 05 Μάώ 2024 07:08:09 GMT", "2024-03-05T07:08:09"),
        ("2004-július-13T9:15-03:00", "2004-07-13T12:15:00"),
        # no dates
        ("", None),
        ("soon", None),
        ("07:08", None),
        ("2024-02-30", None),
        ("Sun, 31 Feb 2024 00:00:00 GMT", None),
        ("2024-03-05T25:00:00Z", None),
        ("0001-01-01T00:00:00Z", None),
        ("1970-01-01T00:00:00Z", None),
        ("1989-12-31T23:59:59Z", None),
        ("2101-01-01T00:00:00Z", None),
        ("9999-12-31T23:59:59-12:00", None),
        ("2024-03-05T07:08:09+99:00", None),
        ("1" * 5_000, None),
    ],
)
def test_parse_date(value: str, expected: str | None) -> None:
    wanted = datetime.fromisoformat(expected).replace(tzinfo=UTC) if expected else None
    assert parse_date(value) == wanted


def test_result_is_aware_utc() -> None:
    parsed = parse_date("2024-03-05T07:08:09+05:30")
    assert parsed is not None
    assert parsed.tzinfo is UTC


MOMENTS = st.datetimes(datetime(1990, 1, 1), datetime(2100, 12, 31)).map(  # noqa: DTZ001
    lambda moment: moment.replace(microsecond=0, tzinfo=UTC)
)


@settings(deadline=None)
@given(MOMENTS)
def test_reads_back_what_it_should(moment: datetime) -> None:
    for form in ("%Y-%m-%dT%H:%M:%SZ", "%a, %d %b %Y %H:%M:%S GMT", "%d %B %Y %H:%M:%S +0000"):
        assert parse_date(moment.strftime(form)) == moment


WORDS = st.sampled_from(
    [
        *["0", "5", "12", "31", "2024", "99", ":", "-", "/", ",", "+", "T", "Z"],
        " ",
        "Mar",
        "Tue,",
        "EST",
        "pm",
        "년",
        "(",
        ")",
    ]
)


@settings(max_examples=300, deadline=None)
@given(st.text(max_size=40) | st.lists(WORDS, max_size=12).map("".join))
def test_never_raises(value: str) -> None:
    parsed = parse_date(value)
    assert parsed is None or (parsed.tzinfo is UTC and 1990 <= parsed.year <= 2100)

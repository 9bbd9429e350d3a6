"""What a host's refusals cost it and us: Retry-After in all its forms, and back-off without it."""

from __future__ import annotations

import statistics
from datetime import UTC, datetime, timedelta
from random import Random

import pytest

from tgecrawler.domain.politeness import (
    EXACT_STRIKES,
    FORGIVING_ANSWERS,
    FORGIVING_QUIET,
    JITTER_RATIO,
    LONGEST_CRAWL_DELAY_S,
    LONGEST_REST_S,
    LONGEST_RETRY_AFTER,
    HostState,
    back_off_s,
    parse_http_date,
    parse_retry_after,
    retry_after_of,
)

NOON = datetime(2026, 11, 24, 12, tzinfo=UTC)
HALF_PAST = NOON + timedelta(minutes=30)


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        ("0", NOON),
        ("120", NOON + timedelta(seconds=120)),
        (" 1800 ", HALF_PAST),
        ("00060", NOON + timedelta(minutes=1)),
        ("Tue, 24 Nov 2026 12:30:00 GMT", HALF_PAST),
        ("tue, 24 nov 2026 12:30:00 gmt", HALF_PAST),
        ("Tuesday, 24-Nov-26 12:30:00 GMT", HALF_PAST),
        ("Tue Nov 24 12:30:00 2026", HALF_PAST),
        ("Tue, 24 Nov 2026 13:30:00 +0100", HALF_PAST),
        ("Sun, 06 Nov 1994 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("Sunday, 06-Nov-94 08:49:37 GMT", datetime(1994, 11, 6, 8, 49, 37, tzinfo=UTC)),
        ("604800", NOON + LONGEST_RETRY_AFTER),
        ("604801", NOON + LONGEST_RETRY_AFTER),
        ("9" * 5000, NOON + LONGEST_RETRY_AFTER),
        ("Tue, 24 Nov 2099 12:30:00 GMT", NOON + LONGEST_RETRY_AFTER),
        ("Fri, 31 Dec 9999 23:59:59 GMT", NOON + LONGEST_RETRY_AFTER),
    ],
)
def test_retry_after_is_read(value: str, expected: datetime) -> None:
    assert parse_retry_after(value, NOON) == expected


@pytest.mark.parametrize(
    "value",
    [
        None, "", " ", "soon", "-5", "1.5", "1e3", "+60", "60 s", "60, 120", "٣٠", "²",
        "Tue", "Tue, 99 Nov 2026 12:30:00 GMT", "Tue, 24 Nov 2026 25:30:00 GMT",
        "2026-11-24T12:30:00Z", "Tue, 24 Nov 99999 12:00:00 GMT", "\x00", "None", "a" * 10_000,
        "Mon, 29-Feb-27 12:00:00 GMT", "Fri, 31 Dec 9999 23:59:59 -2359",
    ],
)  # fmt: skip
def test_junk_says_nothing(value: str | None) -> None:
    assert parse_retry_after(value, NOON) is None


def test_a_two_digit_year_is_at_most_fifty_years_ahead() -> None:
    ahead = parse_http_date("Tuesday, 24-Nov-76 12:00:00 GMT", NOON)
    behind = parse_http_date("Wednesday, 24-Nov-77 12:00:00 GMT", NOON)
    assert (ahead and ahead.year, behind and behind.year) == (2076, 1977)


@pytest.mark.parametrize(
    ("date", "expected"),
    [
        ("Tue, 24 Nov 2026 12:00:00 GMT", HALF_PAST),
        ("Tue, 24 Nov 2026 11:50:00 GMT", NOON + timedelta(minutes=40)),  # its clock is late
        ("Tue, 24 Nov 2026 12:10:00 GMT", HALF_PAST),  # its clock is fast
        (None, HALF_PAST),
        ("yesterday", HALF_PAST),
    ],
)
def test_a_host_with_a_wrong_clock_is_never_asked_early(
    date: str | None, expected: datetime
) -> None:
    assert retry_after_of("Tue, 24 Nov 2026 12:30:00 GMT", date, NOON) == expected


def test_delta_seconds_do_not_depend_on_the_hosts_clock() -> None:
    assert retry_after_of("1800", "Tue, 24 Nov 2020 12:00:00 GMT", NOON) == HALF_PAST


def test_back_off_doubles_from_a_minute_to_a_day() -> None:
    rests = [back_off_s(strikes, 0) for strikes in range(14)]
    assert rests[:6] == [0, 60, 120, 240, 480, 960]
    assert rests[11:] == [61440, LONGEST_REST_S, LONGEST_REST_S]
    assert back_off_s(10**9, 1) == LONGEST_REST_S * (1 + JITTER_RATIO)


def test_jitter_lengthens_and_spreads() -> None:
    chance = Random(5)
    rests = [back_off_s(1, chance.random()) for _ in range(1000)]
    spread_s = max(rests) - min(rests)
    print(
        f"jitter of a first rest: {min(rests):.1f} to {max(rests):.1f} s, "
        f"standard deviation {statistics.stdev(rests):.1f} s, over 1000 hosts"
    )
    assert min(rests) >= 60
    assert spread_s > 0.95 * 60 * JITTER_RATIO


def requests_within(hours: float, headers: datetime | None = None) -> list[float]:
    """Ask a host that always answers 429 whenever it may be asked; return when, in seconds."""
    state, at, asked = HostState(gap_s=1), NOON, []
    while (passed_s := (at - NOON).total_seconds()) < hours * 3600:
        asked.append(passed_s)
        state.start(passed_s)
        assert state.answer(429, headers, at, 0)
        at += timedelta(seconds=state.wait_s(at, passed_s))
    return asked


def test_an_hour_of_429_without_a_header() -> None:
    asked = requests_within(1)
    print(f"429 without a header: {len(asked)} requests in the first hour, at {asked} s")
    assert asked == [0, 60, 180, 420, 900, 1860]
    assert len(requests_within(24)) <= 12


def test_retry_after_is_kept_to_the_second() -> None:
    state = HostState()
    assert state.answer(429, HALF_PAST, NOON, 1)
    assert state.rests_until == HALF_PAST
    assert state.wait_s(NOON, 0) == 1800
    assert state.wait_s(HALF_PAST - timedelta(seconds=1), 0) == 1
    assert state.wait_s(HALF_PAST, 0) == 0


def test_a_host_that_refuses_after_its_own_time_is_backed_off_as_well() -> None:
    state, at, rests = HostState(), NOON, []
    for _ in range(EXACT_STRIKES + 3):
        state.answer(429, at + timedelta(seconds=5), at, 0)
        rests.append(state.rest_left_s(at))
        at += timedelta(seconds=rests[-1])
    assert rests == [5, 5, 5, 60, 120, 240]
    state.answer(429, at + timedelta(hours=2), at, 0)
    assert state.rest_left_s(at) == 7200  # its own time, where that is longer


@pytest.mark.parametrize(
    ("status", "retry_after", "rests"),
    [
        (200, None, False), (200, HALF_PAST, False), (301, HALF_PAST, False), (304, None, False),
        (404, None, False), (500, None, False), (502, None, False), (429, None, True),
        (503, None, True), (503, HALF_PAST, True), (500, HALF_PAST, True), (502, HALF_PAST, True),
        (403, HALF_PAST, True), (500, NOON, False), (429, NOON, True),
    ],
)  # fmt: skip
def test_what_puts_a_host_to_rest(status: int, retry_after: datetime | None, rests: bool) -> None:
    state = HostState()
    assert state.answer(status, retry_after, NOON, 0) is rests
    assert (state.rest_left_s(NOON) > 0) is rests
    assert state.strikes == int(rests)


def test_a_rest_is_never_shortened() -> None:
    state = HostState()
    state.rest(HALF_PAST)
    state.answer(429, NOON + timedelta(seconds=1), NOON, 0)
    assert state.rests_until == HALF_PAST


def struck(times: int) -> tuple[HostState, datetime]:
    state, at = HostState(), NOON
    for _ in range(times):
        state.answer(429, None, at, 0)
        assert state.rests_until is not None
        at = state.rests_until
    return state, at


def test_good_answers_forgive() -> None:
    state, at = struck(5)
    answers = 0
    while state.strikes:
        state.answer(200, None, at, 0)
        answers += 1
    assert answers == 3 * FORGIVING_ANSWERS
    state.answer(429, None, at, 0)
    assert state.rest_left_s(at) == 60


def test_errors_forgive_nothing() -> None:
    state, at = struck(1)
    for _ in range(FORGIVING_ANSWERS):
        state.answer(200, None, at, 0)
        state.answer(500, None, at, 0)
    assert state.strikes == 1


def test_quiet_forgives_and_a_rest_is_no_quiet() -> None:
    state, at = struck(8)
    almost = at + FORGIVING_QUIET - timedelta(seconds=1)
    assert not state.is_forgettable(almost, 0)
    assert state.strikes == 8
    assert not state.is_forgettable(at + FORGIVING_QUIET, 0)
    assert state.strikes == 4
    assert state.is_forgettable(at + 4 * FORGIVING_QUIET, 0)
    assert state.strikes == 0


def test_a_long_quiet_forgives_all_at_once() -> None:
    state, at = struck(8)
    state.answer(429, None, at + 10 * FORGIVING_QUIET, 0)
    assert state.strikes == 1


def test_the_gap_counts_from_the_start() -> None:
    state = HostState(gap_s=2)
    assert state.wait_s(NOON, 100) == 0
    state.start(100)
    assert state.wait_s(NOON, 100.5) == 1.5
    assert state.wait_s(NOON, 102) == 0
    state.crawl_delay_s = 10
    assert state.wait_s(NOON, 102) == 8
    state.crawl_delay_s = 1  # below our own gap
    assert state.spacing_s == 2
    state.crawl_delay_s = 86_400
    assert state.spacing_s == LONGEST_CRAWL_DELAY_S
